"""Fine-tune and serve classifiers the way Amazon SageMaker runs containers."""

__version__ = "0.1.0"

# The kinds of records that are classified: modalities.
TEXT, IMAGE = "text", "image"
# The encoder of texts that is in the container image.
DEFAULT_ENCODER = "all-minilm-l6-v2"
