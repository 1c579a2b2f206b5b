"""Drive the image with the SageMaker Python SDK 3 in local mode, as a user's notebook would."""
# mypy: disable-error-code="import-not-found"

from pathlib import Path

from sagemaker.core.local.local_session import LocalSession
from sagemaker.core.training.configs import Compute, InputData
from sagemaker.core.transformer import Transformer
from sagemaker.train.model_trainer import Mode, ModelTrainer
from steps import HYPERPARAMETERS, ROLE, TEXT, Arguments, failure_in, names_in, report, start, transformed


def make_trainer(arguments: Arguments, channel: str, root: Path) -> ModelTrainer:
    root.mkdir()
    return ModelTrainer(
        training_mode=Mode.LOCAL_CONTAINER,
        training_image=arguments.image,
        role=ROLE,
        base_job_name="claims",
        compute=Compute(instance_type="local_cpu", instance_count=1),
        hyperparameters=HYPERPARAMETERS,
        input_data_config=[InputData(channel_name="training", data_source=str(arguments.work / channel))],
        local_container_root=str(root),
    )


def train(arguments: Arguments) -> Path:
    root = arguments.work / "train"
    make_trainer(arguments, "training", root).train()  # no command: the image's own CMD must train
    archive = root / "compressed_artifacts" / "model.tar.gz"
    report("train", files=names_in(archive))
    return archive


def train_bad_rows(arguments: Arguments) -> None:
    root = arguments.work / "train-bad"
    error = ""
    try:
        make_trainer(arguments, "bad", root).train()
    except RuntimeError as raised:
        error = str(raised)
    report("bad rows", error=error, failure=failure_in(root))


def make_model(arguments: Arguments, session: LocalSession, archive: Path) -> None:
    container = {"Image": arguments.image, "ModelDataUrl": f"file://{archive}", "Environment": {}}
    session.sagemaker_client.create_model("claims", container)


def predict(session: LocalSession) -> None:
    client, runtime = session.sagemaker_client, session.sagemaker_runtime_client
    variant = {"VariantName": "AllTraffic", "ModelName": "claims", "InstanceType": "local", "InitialInstanceCount": 1}
    client.create_endpoint_config("claims", [variant])
    client.create_endpoint("claims", "claims")
    try:
        answer = runtime.invoke_endpoint(TEXT, "claims", "application/x-text", "application/json;verbose")
        report("predict text", type=answer["ContentType"], answer=answer["Body"].read().decode())
    finally:
        client.delete_endpoint("claims")


def transform(arguments: Arguments, session: LocalSession) -> None:
    output = f"file://{arguments.work}/transformed"
    transformer = Transformer(
        "claims", 1, "local", "SingleRecord", "Line", accept="text/csv", output_path=output, sagemaker_session=session
    )
    source = f"file://{arguments.work}/transform"
    transformer.transform(source, content_type="text/csv", split_type="Line", job_name="claims")  # unnamed, it asks AWS
    report("transform", files=transformed(arguments.work / "transformed"))


def main() -> None:
    arguments = start()
    archive = train(arguments)
    train_bad_rows(arguments)
    session = LocalSession()
    session.config = arguments.local_settings()
    make_model(arguments, session, archive)
    predict(session)
    transform(arguments, session)


if __name__ == "__main__":
    main()
