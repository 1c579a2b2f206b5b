"""Fine-tune and serve classifiers the way Amazon SageMaker runs containers."""

__version__ = "0.1.0"

# The modalities, which are kinds of records; each is the name of its module in classifier.modalities.
TEXT, IMAGE = "text", "image"
MODALITY_NAMES = (TEXT, IMAGE)
# The encoders that are in the container image: of texts, which is also the default of model_id, and of images.
DEFAULT_ENCODER = "all-minilm-l6-v2"
DEFAULT_IMAGE_ENCODER = "efficientnet-lite0"
