"""``serve``: HTTP in front of a trained model."""
