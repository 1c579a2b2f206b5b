"""The answer to ``/execution-parameters``: how batch transform should send its requests.

Source: SageMaker developer guide, "Use Your Own Inference Code with Batch Transform".
"""

from typing import Any

from classifier import resources
from classifier.serving.settings import ServingSettings

# The platform's default payload, and the most that concurrent requests may add up to.
USUAL_MEGABYTES = 6
MOST_MEGABYTES_AT_ONCE = 100
# The bytes of memory that each byte of a body read whole takes as Python values.
WHOLE_GROWTH = 16


def execution_parameters(settings: ServingSettings) -> dict[str, Any]:
    """Return the execution parameters: as many concurrent requests as keep the backend busy and fit in memory."""
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
