"""Drive the image with the SageMaker Python SDK 2 in local mode, on images."""
# mypy: disable-error-code="import-not-found"

import base64

from sagemaker.deserializers import JSONDeserializer
from sagemaker.estimator import Estimator
from sagemaker.local import LocalSession
from sagemaker.predictor import Predictor
from sagemaker.serializers import IdentitySerializer, JSONSerializer
from steps import ROLE, Arguments, names_in, report, start, transformed


def fit(arguments: Arguments, session: LocalSession) -> Estimator:
    estimator = Estimator(
        image_uri=arguments.image,
        role=ROLE,
        instance_count=1,
        instance_type="local",
        hyperparameters={"epochs": 1, "batch_size": 8},
        output_path=f"file://{arguments.work}/output",
        sagemaker_session=session,
    )
    estimator.fit({"training": f"file://{arguments.work}/training"})
    (archive,) = (arguments.work / "output").rglob("model.tar.gz")
    report("fit", files=names_in(archive))
    return estimator


def predict(arguments: Arguments, estimator: Estimator, session: LocalSession) -> None:
    image = (arguments.work / "transform" / "disc.png").read_bytes()
    endpoint = estimator.deploy(1, "local", wait=False)  # waiting adds 30 s of sleep to an endpoint that is up
    try:
        serializer = IdentitySerializer(content_type="application/x-image")
        verbose = JSONDeserializer(accept="application/json;verbose")
        report("predict image", answer=Predictor(endpoint.endpoint_name, session, serializer, verbose).predict(image))
        instances = [{"b64": base64.b64encode(image).decode()}] * 2
        several = Predictor(endpoint.endpoint_name, session, JSONSerializer(), JSONDeserializer())
        report("predict json", answer=several.predict({"instances": instances}))
    finally:
        endpoint.delete_endpoint()


def transform(arguments: Arguments, estimator: Estimator) -> None:
    output = arguments.work / "transformed"
    transformer = estimator.transformer(
        1,
        "local",
        strategy="SingleRecord",
        accept="application/jsonlines",
        max_payload=6,
        output_path=f"file://{output}",
    )
    source = f"file://{arguments.work}/transform"
    transformer.transform(source, content_type="application/x-image", logs=False)  # logs are CloudWatch's
    report("transform", files=transformed(output))


def main() -> None:
    arguments = start()
    session = LocalSession()
    session.config = arguments.local_settings()
    estimator = fit(arguments, session)
    predict(arguments, estimator, session)
    transform(arguments, estimator)


if __name__ == "__main__":
    main()
