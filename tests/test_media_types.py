import pytest

from classifier.errors import RequestError
from classifier.serving import media_types
from classifier.serving.media_types import AnswerType
from classifier.serving.requests import CSV_BELOW_HEADER, CSV_WITHOUT_HEADER, OF, UNTYPED, UNTYPED_LINE


def choose(accept: str, content_type: str = "", default: str = "") -> str:
    answer = media_types.choose_answer(accept, content_type, default)
    count = f";n_predictions={answer.n_predictions}" if answer.n_predictions else ""
    return answer.media_type + (";verbose" if answer.verbose else "") + count


@pytest.mark.parametrize(
    ("content_type", "kind"),
    [
        ("application/x-text", "application/x-text"),
        ("text/plain", "application/x-text"),
        ("text/csv; charset=utf-8", "text/csv"),
        ('TEXT/CSV ;Charset="UTF-8"; headers=2', "text/csv"),
        ("application/json;charset=us-ascii", "application/json"),
        ("application/json;verbose", "application/json"),
        ("application/jsonlines", "application/jsonlines"),
        ("application/x-ndjson", "application/jsonlines"),
        ("application/jsonl;", "application/jsonlines"),
    ],
)
def test_a_content_type_is_read_without_its_parameters_and_in_any_case_H18(content_type: str, kind: str) -> None:
    assert media_types.request_type(content_type, must_name_one=True) == kind
    assert media_types.request_type(content_type, must_name_one=False) == kind


@pytest.mark.parametrize(
    "content_type", ["application/octet-stream", "", " ", "Application/Octet-Stream; charset=utf-8"]
)
def test_what_names_no_type_is_a_text_and_in_a_transform_job_a_line_of_one_H18(content_type: str) -> None:
    assert media_types.request_type(content_type, must_name_one=False) == UNTYPED
    if content_type.strip():
        assert media_types.request_type(content_type, must_name_one=True) == UNTYPED_LINE


@pytest.mark.parametrize(
    ("content_type", "kind"),
    [
        ("text/csv; header=present", CSV_BELOW_HEADER),
        ('Text/CSV; charset=utf-8; Header="Present"', CSV_BELOW_HEADER),
        ("text/csv;header=absent", CSV_WITHOUT_HEADER),
        ("application/jsonlines; header=present", "application/jsonlines"),
    ],
)
def test_the_header_of_csv_is_a_parameter_of_its_type(content_type: str, kind: str) -> None:
    assert media_types.request_type(content_type, must_name_one=False) == kind


@pytest.mark.parametrize("header", ["", "true", "1", "yes", "none"])
def test_a_header_that_is_neither_present_nor_absent_is_415(header: str) -> None:
    with pytest.raises(RequestError, match="neither present nor absent; send text/csv; header=present") as caught:
        media_types.request_type(f"text/csv; header={header}", must_name_one=False)
    assert (caught.value.status, caught.value.code) == (415, "unsupported_media_type")


def test_a_transform_job_whose_file_is_cut_up_has_no_header_that_could_be_present_in_all_parts() -> None:
    with pytest.raises(RequestError, match="take the header out of the file") as caught:
        media_types.request_type("text/csv; header=present", must_name_one=True)
    assert caught.value.status == 415
    assert media_types.request_type("text/csv; header=absent", must_name_one=True) == CSV_WITHOUT_HEADER


@pytest.mark.parametrize(
    ("content_type", "cure"),
    [
        ("application/x-www-form-urlencoded", "curl -H 'Content-Type: application/json'"),
        ("multipart/form-data; boundary=x", "curl --data-binary @FILE"),
    ],
)
@pytest.mark.parametrize("modality", ["text", "image"])
def test_forms_as_curl_sends_them_are_415_and_say_what_to_do(content_type: str, cure: str, modality: str) -> None:
    with pytest.raises(RequestError, match="the body is a form") as caught:
        media_types.request_type(content_type, must_name_one=False, requests=OF[modality](("a.example",)))
    assert (caught.value.status, cure in caught.value.message) == (415, True)


@pytest.mark.parametrize("content_type", ["image/png", "text", "multipart/form-data; boundary=x", "application/*", ";"])
def test_an_unknown_content_type_is_415_and_lists_the_known_ones_H25(content_type: str) -> None:
    with pytest.raises(RequestError, match=r"application/x-text, text/plain, .*text/csv") as caught:
        media_types.request_type(content_type, must_name_one=False)
    assert (caught.value.status, caught.value.code) == (415, "unsupported_media_type")


def test_another_charset_than_utf_8_is_415() -> None:
    with pytest.raises(RequestError, match=r"charset .* send UTF-8") as caught:
        media_types.request_type("text/csv; charset=latin-1", must_name_one=False)
    assert caught.value.status == 415


def test_batch_transform_without_a_content_type_is_told_to_set_it_B16() -> None:
    with pytest.raises(RequestError, match=r"set the ContentType of the transform job") as caught:
        media_types.request_type("", must_name_one=True)
    assert caught.value.status == 415


@pytest.mark.parametrize(
    ("accept", "answer"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("application/*", "application/json"),
        ("text/*", "text/csv"),
        ("application/json", "application/json"),
        ("application/json;verbose", "application/json;verbose"),
        ("Application/JSON; Verbose", "application/json;verbose"),
        ("application/json;verbose=true", "application/json;verbose"),
        ("application/json;verbose=false", "application/json"),
        ("application/json; charset=utf-8", "application/json"),
        ("application/jsonlines", "application/jsonlines"),
        ("application/jsonlines;verbose", "application/jsonlines;verbose"),
        ("text/csv", "text/csv"),
        ("text/csv, application/json", "text/csv"),
        ("text/csv;q=0.5, application/json;q=0.9", "application/json"),
        ("text/csv;q=0.5, application/json;verbose;q=.5", "text/csv"),
        ("text/html, application/xhtml+xml, */*;q=0.1", "application/json"),
        ("image/png, text/csv;q=0.1", "text/csv"),
        ("application/json;q=0, */*", "application/jsonlines"),
        ("text/csv, */*;q=0", "text/csv"),
        ("text/csv;q=nan", "text/csv"),
        (" , text/csv ,", "text/csv"),
        ("*/*;verbose", "application/json;verbose"),
    ],
)
def test_accept_is_a_list_with_weights_H20(accept: str, answer: str) -> None:
    assert choose(accept) == answer


@pytest.mark.parametrize(
    ("accept", "answer"),
    [
        ("application/json;n_predictions=3", "application/json;n_predictions=3"),
        ("application/json;verbose;n_predictions=3", "application/json;verbose;n_predictions=3"),
        ("application/json;n_predictions=3;verbose", "application/json;verbose;n_predictions=3"),
        ("Application/JSON ; N_Predictions = 3 ; VERBOSE", "application/json;verbose;n_predictions=3"),
        ('application/jsonlines;n_predictions="03"', "application/jsonlines;n_predictions=3"),
        ("text/csv;n_predictions=1", "text/csv;n_predictions=1"),
        ("*/*;n_predictions=2", "application/json;n_predictions=2"),
        ("text/*;q=0.1;n_predictions=2", "text/csv;n_predictions=2"),
        ("text/csv;n_predictions=2;q=0.1, application/json", "application/json"),
        ("text/html;n_predictions=all, application/json", "application/json"),
    ],
)
def test_accept_may_ask_for_the_most_probable_labels_only_H20(accept: str, answer: str) -> None:
    assert choose(accept) == answer


def test_any_number_of_predictions_may_be_asked_for_H20() -> None:
    answer = media_types.choose_answer(f"application/json;n_predictions={'9' * 10_000}", "", "")
    assert answer.n_predictions == 999_999_999


@pytest.mark.parametrize("count", ["", "=", "=0", "=00", "=-1", "=1.5", "=+2", "=all", "=²", "=1_0"])
@pytest.mark.parametrize("accepted", ["application/json", "application/jsonlines;verbose", "text/csv", "*/*"])
def test_no_number_of_predictions_is_406_and_says_what_to_send_H20(accepted: str, count: str) -> None:
    with pytest.raises(RequestError, match="whole number above 0; use application/json;n_predictions=3") as caught:
        choose(f"{accepted};n_predictions{count}")
    assert (caught.value.status, caught.value.code) == (406, "not_acceptable")


@pytest.mark.parametrize(
    ("accept", "threshold"),
    [
        ("application/json;verbose", None),
        ("application/json;verbose;threshold=0.8", 0.8),
        ("text/csv; Threshold = .5", 0.5),
        ("*/*;threshold=0", 0.0),
        ('application/jsonlines;threshold="1.0"', 1.0),
        ("application/json;threshold=0.;q=0.2", 0.0),
        ("text/html;threshold=high, application/json", None),
    ],
)
def test_accept_may_say_how_probable_a_label_must_be(accept: str, threshold: float | None) -> None:
    assert media_types.choose_answer(accept, "", "").threshold == threshold


@pytest.mark.parametrize("threshold", ["", "=", "=80", "=1.01", "=-0.1", "=1e-3", "=nan", "=.", "=high", "=٠"])
def test_no_threshold_from_0_to_1_is_406_and_says_what_to_send(threshold: str) -> None:
    with pytest.raises(RequestError, match=r"from 0 to 1; use application/json;verbose;threshold=0\.8,") as caught:
        choose(f"application/json;threshold{threshold}")
    assert (caught.value.status, caught.value.code) == (406, "not_acceptable")


@pytest.mark.parametrize(
    "accept", ["image/png", "text/html, text/plain", "*/*;q=0", "application/json;q=0", "csv", ";"]
)
def test_an_accept_that_names_nothing_written_here_is_406_and_lists_the_types_H20(accept: str) -> None:
    with pytest.raises(RequestError, match=r"application/json, application/json;verbose, .*, text/csv") as caught:
        choose(accept)
    assert (caught.value.status, caught.value.code) == (406, "not_acceptable")


@pytest.mark.parametrize("accept", ["", "*/*"])
@pytest.mark.parametrize("default", media_types.ANSWER_NAMES)
def test_the_default_answer_is_the_one_the_environment_names_H21(accept: str, default: str) -> None:
    assert choose(accept, "text/csv", default) == default
    assert choose("application/json", "text/csv", default) == "application/json"


@pytest.mark.parametrize("content_type", ["text/csv; charset=utf-8", "application/jsonlines", "application/x-ndjson"])
def test_records_a_line_are_answered_a_line_each_where_accept_leaves_it_open_B08(content_type: str) -> None:
    assert choose("", content_type) == "application/jsonlines"
    assert choose("*/*", content_type) == "application/jsonlines"
    assert choose("application/json", content_type) == "application/json"


def test_names_of_answers_are_read_in_any_case() -> None:
    assert media_types.named_answer("Application/JSON; verbose") == AnswerType("application/json", verbose=True)
    with pytest.raises(KeyError):
        media_types.named_answer("text/html")


def test_a_default_keeps_its_labels_where_accept_asks_for_the_most_probable_H21() -> None:
    answer = choose("*/*;n_predictions=2", "text/csv", "application/jsonlines;verbose")
    assert answer == "application/jsonlines;verbose;n_predictions=2"


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("predicted_label", ("predicted_label",)),
        ("probabilities , predicted_label", ("probabilities", "predicted_label")),
        ("predicted_label,probability,probabilities,labels", media_types.INFERENCE_OUTPUTS),
    ],
)
def test_columns_are_names_parted_by_commas_in_the_order_given(text: str, columns: tuple[str, ...]) -> None:
    assert media_types.parse_columns(text) == columns


@pytest.mark.parametrize("text", ["", "label", "labels,", "labels,labels", "Labels", "labels probability"])
def test_other_names_of_columns_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="each once"):
        media_types.parse_columns(text)
