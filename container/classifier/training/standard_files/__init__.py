"""Files about a model in formats of other programs: SageMaker Model Registry, Hugging Face, TensorBoard, MLflow."""
