"""Drive the image with the SageMaker Python SDK 3 in local mode: an endpoint that is asked about an image."""
# mypy: disable-error-code="import-not-found"

from sagemaker.core.local.local_session import LocalSession
from steps import Arguments, report, start
from v3 import make_model


def predict(arguments: Arguments, session: LocalSession) -> None:
    image = (arguments.work / "transform" / "disc.png").read_bytes()
    client, runtime = session.sagemaker_client, session.sagemaker_runtime_client
    variant = {"VariantName": "AllTraffic", "ModelName": "claims", "InstanceType": "local", "InitialInstanceCount": 1}
    client.create_endpoint_config("images", [variant])
    client.create_endpoint("images", "images")
    try:
        answer = runtime.invoke_endpoint(image, "images", "application/x-image", "application/json;verbose")
        report("predict image", type=answer["ContentType"], answer=answer["Body"].read().decode())
    finally:
        client.delete_endpoint("images")


def main() -> None:
    arguments = start()
    session = LocalSession()
    session.config = arguments.local_settings()
    make_model(arguments, session, arguments.work / "model.tar.gz")
    predict(arguments, session)


if __name__ == "__main__":
    main()
