"""Requests that ask for the words that made the label (``;explain``)."""

import io
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from numpy.typing import NDArray

import serving_helpers
from classifier.backends import Encoded
from classifier.errors import RequestError
from classifier.predictor import Predictor
from classifier.serving import records
from classifier.serving.invocation import Invocation, Service, Usage, invoke
from classifier.serving.settings import ServingSettings
from image_model_helpers import LABELS as COLOURS
from image_model_helpers import MANIFEST as OF_IMAGES
from image_model_helpers import drawn
from serving_helpers import error_of

# The application sets up the root logger.
pytestmark = pytest.mark.usefixtures("own_logging")

EXPLAIN = "application/json;verbose;explain"
LINES = "application/jsonlines;explain"


@dataclass
class Letters:
    """A backend that says "yes" the surer the longer the text; a text's tokens are its characters."""

    asked: list[str] = field(default_factory=list)

    def encode(self, texts: Sequence[str]) -> list[Encoded]:
        return [Encoded(text.encode(), max(1, len(text))) for text in texts]

    def run_batch(self, batch: Sequence[Encoded]) -> NDArray[np.float32]:
        texts = [each.content.decode() for each in batch]
        self.asked += texts
        yes = np.array([yes_of(text) for text in texts], np.float32)
        return np.stack([1 - yes, yes], axis=1)


def yes_of(text: str) -> float:
    return 1 - 1 / (len(text) + 2)


def weight(text: str, without: str) -> object:
    return pytest.approx(yes_of(text) - yes_of(without), abs=1e-6)


@pytest.fixture
def backend() -> Letters:
    return Letters()


def client_of(backend: Letters, **environ: str) -> FlaskClient:
    return serving_helpers.client_of(backend, ("no", "yes"), {}, environ)


def ask(client: FlaskClient, body: str | bytes, accept: str = EXPLAIN, content_type: str = "text/plain") -> Any:
    answer = client.post("/invocations", data=body, headers={"Accept": accept, "Content-Type": content_type})
    assert answer.status_code == 200, answer.text
    return answer.get_json() if "lines" not in answer.content_type else list(map(json.loads, answer.text.splitlines()))


def test_an_answer_has_each_word_as_it_was_sent_with_its_place_and_weight(backend: Letters) -> None:
    text = "👍 naïve,\nisn't"
    answer = ask(client_of(backend), text)
    assert list(answer) == ["probabilities", "labels", "predicted_label", "words"]
    assert answer["words"] == [
        {"text": "👍", "start": 0, "end": 1, "weight": weight(text, text[1:])},
        {"text": "naïve", "start": 2, "end": 7, "weight": weight(text, "👍 ,\nisn't")},
        {"text": "isn't", "start": 9, "end": 14, "weight": weight(text, "👍 naïve,\n")},
    ]
    assert backend.asked[0] == text
    assert sorted(backend.asked[1:]) == sorted([text[1:], "👍 ,\nisn't", "👍 naïve,\n"])


@pytest.mark.parametrize(
    "accept",
    ["application/json;explain", "application/json; Explain=true", "application/*;explain=1", "*/*;explain;verbose"],
)
def test_explain_is_read_as_verbose_is_and_includes_it(backend: Letters, accept: str) -> None:
    assert [word["text"] for word in ask(client_of(backend), "a text", accept)["words"]] == ["a", "text"]
    assert ask(client_of(backend), "a text", accept)["predicted_label"] == "yes"


@pytest.mark.parametrize("accept", ["application/json;verbose", "application/json;verbose;explain=false", "*/*"])
def test_nothing_is_explained_unasked(backend: Letters, accept: str) -> None:
    assert "words" not in ask(client_of(backend), "a text", accept)
    assert backend.asked == ["a text"]


def test_a_list_has_the_words_of_each_text_also_beside_ids_and_the_most_probable_labels(backend: Letters) -> None:
    body = json.dumps([{"id": 7, "text": "one"}, "", "two words"])
    answers = ask(client_of(backend), body, f"{EXPLAIN};n_predictions=1", "application/json")
    assert [next(iter(answer)) for answer in answers] == ["id", "probabilities", "probabilities"]
    assert [[word["text"] for word in answer["words"]] for answer in answers] == [["one"], [], ["two", "words"]]
    assert [len(answer["probabilities"]) for answer in answers] == [1, 1, 1]


def test_lines_have_their_words_and_a_bad_line_its_error_in_its_place(backend: Letters) -> None:
    body = '"one"\n[\n{"text": "two words"}'
    one, bad, two = ask(client_of(backend, SAGEMAKER_BATCH="true"), body, LINES, "application/jsonlines")
    assert ([word["text"] for word in one["words"]], list(bad)) == (["one"], ["error"])
    assert [word["text"] for word in two["words"]] == ["two", "words"]


def test_columns_that_the_environment_selects_stay_and_the_words_come_last(backend: Letters) -> None:
    client = client_of(backend, SAGEMAKER_INFERENCE_OUTPUT="probability")
    (answer,) = ask(client, '"one"', LINES, "application/jsonlines")
    assert list(answer) == ["probability", "words"]


@pytest.mark.parametrize("accept", ["text/csv;explain, application/json;q=0.5", "text/*;explain, application/json"])
def test_where_csv_is_to_be_explained_another_type_that_is_accepted_is_answered(backend: Letters, accept: str) -> None:
    assert list(ask(client_of(backend), "a text", accept)) == ["probabilities"]


@pytest.mark.parametrize("accept", ["text/csv;explain", "text/*;explain"])
def test_csv_has_no_words_and_says_what_has(backend: Letters, accept: str) -> None:
    refused = client_of(backend).post("/invocations", data="text", headers={"Accept": accept})
    assert refused.status_code == 406
    assert error_of(refused) == (
        "not_acceptable",
        "CSV holds no words; use application/json;explain or application/jsonlines;explain",
    )


def test_a_model_of_images_refuses_before_it_computes() -> None:
    class Unasked(Letters):
        def encode(self, texts: Sequence[Any]) -> list[Encoded]:
            raise AssertionError(texts)

    client = serving_helpers.client_of(Unasked(), COLOURS, OF_IMAGES, {})
    refused = client.post("/invocations", data=drawn(), headers={"Accept": EXPLAIN})
    assert refused.status_code == 406
    assert error_of(refused)[1] == "explain in Accept is for models of texts, and this one reads images; leave it out"


def test_more_than_a_request_may_cost_is_413_before_anything_of_it_is_computed(backend: Letters) -> None:
    client = client_of(backend, SERVING_MAX_EXPLAINED_TOKENS="20")
    assert len(ask(client, "four four ")["words"]) == 2  # 10 tokens, twice
    backend.asked.clear()
    for body, content_type in (("four four!!", "text/plain"), ('["four four", "one"]', "application/json")):
        headers = {"Accept": EXPLAIN, "Content-Type": content_type}
        refused = client.post("/invocations", data=body, headers=headers)
        code, message = error_of(refused)
        assert (refused.status_code, code) == (413, "too_many_tokens")
        assert "send fewer or shorter records, or leave explain out of Accept" in message
    assert backend.asked == []
    assert client.post("/invocations", data="four four!!", headers={"Accept": "*/*"}).status_code == 200


@pytest.mark.parametrize("content_type", ["application/json", "application/jsonlines"])
def test_a_request_of_many_records_is_refused_before_the_first_of_them_is_computed(
    backend: Letters, content_type: str
) -> None:
    texts = ["one"] * (records.CHUNK_RECORDS + 1)
    body = json.dumps(texts) if content_type == "application/json" else "\n".join(map(json.dumps, texts))
    client = client_of(
        backend, SERVING_MAX_EXPLAINED_TOKENS=str(3 * records.CHUNK_RECORDS)
    )  # enough for the first chunk
    refused = client.post("/invocations", data=body, headers={"Accept": LINES, "Content-Type": content_type})
    assert (refused.status_code, error_of(refused)[0]) == (413, "too_many_tokens")
    assert backend.asked == []


def test_no_text_is_explained_to_a_client_that_has_gone(backend: Letters) -> None:
    body = b'["one", "two", "three"]'
    service = Service.of(ServingSettings.from_environ({}))
    request = Invocation(
        io.BytesIO(body), len(body), "application/json", EXPLAIN, is_abandoned=lambda: len(backend.asked) > 3
    )
    with pytest.raises(RequestError, match="the client closed the connection"):
        invoke(request, Predictor(backend, labels=("no", "yes")), service, Usage())
    assert backend.asked == ["one", "two", "three", ""]


def test_a_text_of_which_a_model_reads_little_is_not_free(backend: Letters, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "encode", lambda texts: [Encoded(text.encode(), 2) for text in texts])
    headers = {"Accept": EXPLAIN}
    for size, status in ((320, 200), (352, 413)):
        client = client_of(backend, SERVING_MAX_EXPLAINED_TOKENS="10")
        assert client.post("/invocations", data="x" * size, headers=headers).status_code == status


@pytest.mark.parametrize("characters", [1, 20, 60])
def test_a_text_that_is_prepared_in_pieces_is_explained_as_at_once(
    backend: Letters, monkeypatch: pytest.MonkeyPatch, characters: int
) -> None:
    text = "of words of many lengths"
    at_once = ask(client_of(backend), text)
    monkeypatch.setattr(records, "CHUNK_BYTES", characters)
    assert ask(client_of(backend), text) == at_once
    assert len({word["weight"] for word in at_once["words"]}) == 4


def test_a_long_text_costs_no_more_than_64_of_it(backend: Letters) -> None:
    text = "word " * 1000
    answer = ask(client_of(backend, SERVING_MAX_EXPLAINED_TOKENS="0"), text)
    assert len(answer["words"]) == 64
    assert len(backend.asked) == 65
    assert "".join(word["text"] for word in answer["words"]).count("word") == 1000


def test_what_is_asked_to_explain_is_neither_counted_as_a_record_nor_logged(
    backend: Letters, caplog: pytest.LogCaptureFixture
) -> None:
    client = client_of(backend)
    logging.getLogger().addHandler(caplog.handler)
    ask(client, "secret words here")
    assert "secret" not in "".join(str(vars(record)) for record in caplog.records)
    (line,) = [vars(record) for record in caplog.records if record.getMessage() == "invocation"]
    assert (line["records"], line["tokens"], line["explained_tokens"]) == (1, 17, 51)
    metrics = client.get("/metrics").text
    assert "classifier_records_total 1.0" in metrics
    assert 'classifier_predicted_labels_total{label="yes"} 1.0' in metrics
