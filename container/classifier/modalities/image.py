"""Images: a folder of them for each label."""

from collections.abc import Mapping, Sequence
from typing import Any

from classifier import DEFAULT_IMAGE_ENCODER, IMAGE
from classifier.modalities.modality import Modality

BROUGHT = "model channel"  # stands for the encoder whose files are there, whatever that is called


def _smoke_images() -> Sequence[Any]:
    from classifier import pixels  # noqa: PLC0415  a server of texts does without Pillow, and its memory

    return pixels.smoke_images()


def _decode(record: Any, manifest: Mapping[str, Any]) -> Any:
    """Return an image's pixels in the size that the encoder reads, uint8[height, width, 3]."""
    from classifier import pixels  # noqa: PLC0415

    encoder = manifest["encoder"]
    return pixels.decode(record, encoder["height"], encoder["width"], encoder.get("bits", pixels.BITS))


MODALITY = Modality(
    name=IMAGE,
    channel_module="classifier.modalities.image_channel",
    decode=_decode,
    smoke_inputs=_smoke_images,
    families=("efficientnet", "image_network", "keras_image", "hub_image"),
    from_scratch={"cnn": "image_network"},
    model_channel=(
        "one file of weights of InceptionV3, MobileNet, MobileNetV2, EfficientNetV2B0 or ResNet50 as Keras saves it "
        "(.h5, .weights.h5, .keras), or a TensorFlow Hub SavedModel that encodes images"
    ),
    default_model_id=DEFAULT_IMAGE_ENCODER,
    default_with_channel=BROUGHT,
    # A new top layer must learn fast, for there are often few images; what an encoder learned before bears small steps
    # only. Measured with MobileNet on 200 photographs of flowers (docs/image-classification.md).
    encoder_defaults={"learning_rate": 0.01, "encoder_learning_rate_decay": 0.003},
    has_embedded_encoder=True,
    encoders_page="image-classification.md",
    is_array=True,
    in_files=True,
)
