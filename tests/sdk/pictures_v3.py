"""Drive the image with the SageMaker Python SDK 3 in local mode: an endpoint that is asked about a picture."""
# mypy: disable-error-code="import-not-found"

from sagemaker.core.local.local_session import LocalSession
from steps import Arguments, report, start
from v3 import make_model


def predict(arguments: Arguments, session: LocalSession) -> None:
    picture = (arguments.work / "transform" / "disc.png").read_bytes()
    client, runtime = session.sagemaker_client, session.sagemaker_runtime_client
    variant = {"VariantName": "AllTraffic", "ModelName": "claims", "InstanceType": "local", "InitialInstanceCount": 1}
    client.create_endpoint_config("pictures", [variant])
    client.create_endpoint("pictures", "pictures")
    try:
        answer = runtime.invoke_endpoint(picture, "pictures", "application/x-image", "application/json;verbose")
        report("predict picture", type=answer["ContentType"], answer=answer["Body"].read().decode())
    finally:
        client.delete_endpoint("pictures")


def main() -> None:
    arguments = start()
    session = LocalSession()
    session.config = arguments.local_settings()
    make_model(arguments, session, arguments.work / "model.tar.gz")
    predict(arguments, session)


if __name__ == "__main__":
    main()
