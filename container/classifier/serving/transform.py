"""What batch transform is advised to send.

Source: SageMaker developer guide, "Use Your Own Inference Code with Batch Transform".
"""

from typing import Any

from classifier import resources
from classifier.serving.settings import ServingSettings

# The platform's own default, and the most that requests at once may come to.
USUAL_MEGABYTES = 6
MOST_MEGABYTES_AT_ONCE = 100
# What a body that is read whole takes of memory, as Python values, for every byte.
WHOLE_GROWTH = 16


def execution_parameters(settings: ServingSettings) -> dict[str, Any]:
    """Return the answer of ``/execution-parameters``: as many requests at once as keep the engine busy and fit."""
    asked = settings.max_payload_megabytes
    payload = asked if asked <= MOST_MEGABYTES_AT_ONCE else USUAL_MEGABYTES
    busy = 2 * max(settings.predictions_at_once, settings.engine_threads)
    most = [busy * settings.workers, settings.capacity * settings.workers]
    if payload:  # 0 is a body of any size, which is read as a stream
        most.append(MOST_MEGABYTES_AT_ONCE // payload)
        most.append(resources.memory() // (payload * WHOLE_GROWTH << 20))
    return {
        "MaxConcurrentTransforms": max(1, min(most)),
        "BatchStrategy": settings.batch_strategy,
        "MaxPayloadInMB": payload,
    }
