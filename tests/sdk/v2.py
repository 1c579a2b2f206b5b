"""Drive the image with the SageMaker Python SDK 2 in local mode, as a user's notebook would."""
# mypy: disable-error-code="import-not-found"

from sagemaker.deserializers import JSONDeserializer
from sagemaker.estimator import Estimator
from sagemaker.local import LocalSession
from sagemaker.predictor import Predictor
from sagemaker.serializers import JSONSerializer, StringSerializer
from steps import HYPERPARAMETERS, ROLE, TEXT, Arguments, failure_in, names_in, report, start, transformed

SOURCES = {"text/csv": "transform", "application/jsonlines": "transform-lines"}


def make_estimator(arguments: Arguments, session: LocalSession, output: str, hosts: int = 1) -> Estimator:
    return Estimator(
        image_uri=arguments.image,
        role=ROLE,
        instance_count=hosts,
        instance_type="local",
        hyperparameters=HYPERPARAMETERS,
        output_path=f"file://{arguments.work / output}",
        sagemaker_session=session,
    )


def fit(arguments: Arguments, estimator: Estimator) -> None:
    estimator.fit({"training": f"file://{arguments.work}/training"})
    (archive,) = (arguments.work / "output").rglob("model.tar.gz")
    report("fit", files=names_in(archive))


def fit_bad_rows(arguments: Arguments, session: LocalSession) -> None:
    estimator = make_estimator(arguments, session, "bad-output")
    error = ""
    try:
        estimator.fit({"training": f"file://{arguments.work}/bad"})
    except RuntimeError as raised:
        error = str(raised)
    report("bad rows", error=error, failure=failure_in(arguments.work / "bad-output"))


def fit_on_two_hosts(arguments: Arguments, session: LocalSession) -> None:
    make_estimator(arguments, session, "two-output", hosts=2).fit({"training": f"file://{arguments.work}/training"})
    archives = list((arguments.work / "two-output").rglob("model.tar.gz"))
    report("fit on two hosts", archives=len(archives), files=names_in(archives[0]))


def predict(estimator: Estimator, session: LocalSession) -> None:
    endpoint = estimator.deploy(1, "local", wait=False)  # waiting adds 30 s of sleep to an endpoint that is up
    try:
        verbose = JSONDeserializer(accept="application/json;verbose")
        text = Predictor(endpoint.endpoint_name, session, StringSerializer(content_type="application/x-text"), verbose)
        report("predict text", answer=text.predict(TEXT))
        instances = Predictor(endpoint.endpoint_name, session, JSONSerializer(), JSONDeserializer())
        report("predict json", answer=instances.predict({"instances": [TEXT, "No fault found."]}))
    finally:
        endpoint.delete_endpoint()


def transform(arguments: Arguments, estimator: Estimator, kind: str, strategy: str) -> None:
    name = f"transform {kind} {strategy}"
    output = arguments.work / name.replace("/", "-").replace(" ", "-")
    transformer = estimator.transformer(
        1,
        "local",
        strategy=strategy,
        assemble_with="Line",
        accept=kind,
        max_payload=6,
        output_path=f"file://{output}",
    )
    source = f"file://{arguments.work}/{SOURCES[kind]}"
    transformer.transform(source, content_type=kind, split_type="Line", logs=False)  # logs are CloudWatch's
    report(name, files=transformed(output))


def main() -> None:
    arguments = start()
    session = LocalSession()
    session.config = arguments.local_settings()
    estimator = make_estimator(arguments, session, "output")
    fit(arguments, estimator)
    fit_bad_rows(arguments, session)
    fit_on_two_hosts(arguments, session)
    predict(estimator, session)
    for kind in SOURCES:
        for strategy in ("MultiRecord", "SingleRecord"):
            transform(arguments, estimator, kind, strategy)


if __name__ == "__main__":
    main()
