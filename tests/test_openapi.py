"""docs/openapi.yaml says what a running server does: asked by schemathesis, with requests right and wrong."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import (
    allow_header_conformance,
    negative_data_rejection,
    positive_data_acceptance,
)

from serving_helpers import Server, model_folder, serving

pytestmark = pytest.mark.skipif(shutil.which("nginx") is None, reason="needs nginx")

FILE = Path(__file__).resolve().parents[1] / "docs" / "openapi.yaml"


@schemathesis.serializer("application/x-text", "application/jsonlines")
def plainly(_: object, value: object) -> bytes:
    """The body as it is; what is no text, as JSON."""
    return (value if isinstance(value, str) else json.dumps(value)).encode("utf-8", "replace")


schema = schemathesis.openapi.from_path(FILE)
# A name of a model may also be longer than a request line (414).
rejection = schema.config.checks.negative_data_rejection
rejection.expected_statuses = [*rejection.expected_statuses, "414"]
bounded = settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def one() -> Iterator[Server]:
    with serving(model_folder()) as running:
        yield running


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    base = tmp_path_factory.mktemp("openapi")
    with serving(base / "model", {"SAGEMAKER_MULTI_MODEL": "true"}) as running:
        yield running


def check(case: schemathesis.Case[Any], server: Server, *pointless: Callable[..., Any]) -> None:
    """Ask, and compare the answer with the page; any body of a text is a text, so only JSON can be wrong for it."""
    excluded = pointless if case.media_type == "application/json" else (*pointless, negative_data_rejection)
    case.call_and_validate(base_url=server.url, excluded_checks=list(excluded))


@schema.exclude(path_regex="^/models").parametrize()
@bounded
def test_a_server_answers_as_the_page_for_programs_says_H25_H41(case: schemathesis.Case[Any], one: Server) -> None:
    check(case, one)


@schema.include(path_regex="^/models").parametrize()
@bounded
def test_a_multi_model_server_answers_as_the_page_for_programs_says_M03_M05_M09(
    case: schemathesis.Case[Any], many: Server
) -> None:
    # No address of a model that is there can be guessed, and "x/invoke" may be a model's name, with methods of its own.
    check(case, many, positive_data_acceptance, allow_header_conformance)
