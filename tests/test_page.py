"""The page on which to try the model, in Chromium, at a running server."""

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

import image_model_helpers
import serving_helpers
from classifier.serving import page
from jobs import ROOT
from serving_helpers import Server, model_folder, serving

sys.path.insert(0, str(ROOT / "tools"))
import chromium
from chromium import Tab, browsing

EXPLAIN = {"Accept": "application/json;verbose;explain", "Content-Type": "application/x-text"}
NASTY = """it's "quoted" $HOME $(id) `id` \\ \\n !! #1 & | ; * ? ~ {a,b} % 'twice''
second line\ttab  two spaces
Großes 東京 👍🏽 <b>&amp;</b> -d @x \u2028 """

needs_nginx = pytest.mark.skipif(shutil.which("nginx") is None, reason="needs nginx")
needs_chromium = pytest.mark.skipif(not chromium.is_installed(), reason="needs Chromium (apt-get install chromium)")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server of the model whose label depends on the length of a text; only short texts are explained."""
    with serving(model_folder(), {"SERVING_MAX_EXPLAINED_TOKENS": "10000"}) as running:
        yield running


@pytest.fixture(scope="module")
def tab() -> Iterator[Tab]:
    with browsing() as opened:
        yield opened


@pytest.fixture
def of_texts(server: Server, tab: Tab) -> Iterator[Tab]:
    """The page of a model of texts, which must have nothing to complain of in the end."""
    tab.problems.clear()
    tab.open(f"{server.url}/")
    yield tab
    assert [problem for problem in tab.problems if "status of" not in problem] == []


def classify(tab: Tab, text: str) -> None:
    """Type a text, click, and wait for the label and the words, or for an error."""
    tab.write("#text", text)
    tab.click("#send")
    tab.wait_for("document.body.ariaBusy === 'false'")


def asked(server: Server, text: str) -> Any:
    answer = requests.post(f"{server.url}/invocations", data=text.encode(), headers=EXPLAIN, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.json()


def painted(tab: Tab) -> dict[str, float]:
    """Return the words that are coloured, each with how strongly, from 0 to 1."""
    found: dict[str, float] = tab.value(
        "Object.fromEntries([...document.querySelectorAll('#coloured .towards, #coloured .against')]"
        ".map((word) => [word.textContent, Number(word.style.getPropertyValue('--strength'))]))"
    )
    return found


# --- the route


@needs_nginx
def test_the_page_is_one_file_that_may_load_nothing_and_ask_its_own_server_only(server: Server) -> None:
    answer = requests.get(f"{server.url}/", timeout=10)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "connect-src 'self'; img-src blob: data:; base-uri 'none'; form-action 'none'" in policy
    assert "://" not in answer.text
    assert requests.head(f"{server.url}/", timeout=10).status_code == 200


@pytest.mark.usefixtures("own_logging")
def test_a_model_of_other_records_has_no_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "MODALITIES", ("image",))
    client = serving_helpers.client_of(None, ("no", "yes"), {}, {"SERVING_PAGE": "on"})
    refused = client.get("/")
    assert refused.status_code == 404
    assert serving_helpers.error_of(refused)[1] == "there is no page for a model of texts; POST to /invocations"


# --- texts


@needs_nginx
@needs_chromium
def test_a_text_is_answered_with_its_label_its_probabilities_and_its_words_in_colour(
    server: Server, of_texts: Tab
) -> None:
    text = "so long a text, naïvely 👍🏽 long"
    expected = asked(server, text)
    classify(of_texts, text)
    assert of_texts.text("#label") == expected["predicted_label"]
    rows = of_texts.value(
        "[...document.querySelectorAll('#likely tr')].map((row) => [...row.cells].map((cell) => cell.innerText))"
    )
    assert [row[0] for row in rows] == ["negative", "neutral, or so", "positive"]
    assert [float(row[-1]) for row in rows] == pytest.approx(expected["probabilities"], abs=1e-4)
    assert of_texts.text("#coloured") == text
    weights = {word["text"]: word["weight"] for word in expected["words"]}
    assert painted(of_texts) == pytest.approx(
        {word: weight / max(weights.values()) for word, weight in weights.items()},
        abs=1e-3,
    )
    assert of_texts.text("#strongest").splitlines()[0] == f"naïvely +{weights['naïvely']:.3f}"


@needs_nginx
@needs_chromium
def test_control_and_enter_classify_and_a_new_text_replaces_the_old_answer(of_texts: Tab) -> None:
    classify(of_texts, "a long text")
    before = of_texts.text("#likely")
    of_texts.write("#text", "")
    of_texts.call("Input.insertText", text="o")
    for kind in ("keyDown", "keyUp"):
        of_texts.call("Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter", modifiers=2)
    of_texts.wait_for("document.getElementById('coloured').textContent === 'o'")
    assert of_texts.text("#likely") != before


@needs_nginx
@needs_chromium
@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_the_request_as_curl_is_the_same_whatever_the_text_holds(
    server: Server, of_texts: Tab, tmp_path: Path, shell: str
) -> None:
    classify(of_texts, NASTY)
    command = of_texts.value("document.getElementById('curl').textContent")
    environ = {"PATH": os.environ["PATH"], "HOME": "/nowhere"}
    done = subprocess.run(
        [shell, "-c", f"{command} --silent"], cwd=tmp_path, env=environ, capture_output=True, check=True, timeout=60
    )
    assert done.stdout.decode() == requests.post(
        f"{server.url}/invocations", data=NASTY.encode(), headers=EXPLAIN, timeout=60
    ).text  # fmt: skip
    assert list(tmp_path.iterdir()) == []


@needs_nginx
@needs_chromium
def test_curl_gets_exactly_the_text_that_was_typed(of_texts: Tab) -> None:
    received: list[bytes] = []

    class Recorder(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    classify(of_texts, NASTY)
    command = of_texts.value("document.getElementById('curl').textContent")
    with HTTPServer(("127.0.0.1", 0), Recorder) as recorder:
        thread = threading.Thread(target=recorder.handle_request)
        thread.start()
        _, other = command.split("/invocations'", 1)
        there = f"curl 'http://127.0.0.1:{recorder.server_port}/invocations'{other}"
        subprocess.run(["sh", "-c", f"{there} --silent"], check=True, timeout=60)
        thread.join()
    assert received == [NASTY.encode()]


@needs_nginx
@needs_chromium
def test_an_error_is_the_servers_own_message(of_texts: Tab) -> None:
    classify(of_texts, "a text")
    classify(of_texts, "")
    assert of_texts.text("#error") == "400 invalid_body: the body is empty; send at least one record"
    assert of_texts.text("#answer") == ""
    classify(of_texts, "a text")
    assert of_texts.text("#error") == ""


@needs_nginx
@needs_chromium
def test_a_text_too_long_to_be_explained_still_has_its_label_and_the_reason(of_texts: Tab) -> None:
    text = "word " * 100
    classify(of_texts, text)
    assert of_texts.text("#label") == "negative"
    assert of_texts.text("#coloured") == text
    assert of_texts.text("#note").startswith("413 too_many_tokens: to explain the request takes more than 10000 tokens")
    assert ";explain" not in of_texts.text("#curl")


@needs_nginx
@needs_chromium
@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_wider_than_the_window(of_texts: Tab, width: int) -> None:
    of_texts.look(width)
    classify(of_texts, "unbreakable" * 40 + " " + NASTY)
    assert of_texts.value("document.documentElement.scrollWidth") <= width


@needs_nginx
@needs_chromium
def test_of_many_labels_the_ten_most_probable_are_shown_and_none_is_read_as_html(of_texts: Tab) -> None:
    labels = [f"<b>label {number}</b><script>" for number in range(12)]
    answer = {"labels": labels, "probabilities": [number / 66 for number in range(12)], "predicted_label": labels[11]}
    classify(of_texts, "a text")
    of_texts.value(f"showLabels({json.dumps(answer)})")
    assert of_texts.text("#label") == labels[11]
    assert of_texts.text("#likely").startswith(labels[11])
    assert of_texts.value("document.getElementById('likely').rows.length") == 10
    assert of_texts.text("#more") == "2 more labels"
    of_texts.click("summary")
    assert of_texts.text("#more").endswith("0.0000")
    of_texts.value(f"showLabels({json.dumps({**answer, 'predicted_label': None})})")
    assert of_texts.text("#label") == "None: the highest probability is not above its threshold"


# --- images


@needs_nginx
@needs_chromium
def test_an_image_is_answered_when_it_is_dropped_and_a_broken_one_with_the_servers_message(
    tab: Tab, tmp_path: Path
) -> None:
    image, broken = tmp_path / "it's $red.png", tmp_path / "broken.png"
    image.write_bytes(image_model_helpers.drawn("red"))
    broken.write_bytes(b"no image")
    with serving(image_model_helpers.model_folder()) as running:
        tab.open(f"{running.url}/")
        assert tab.text("main").splitlines()[-1] == "Drop an image here, or choose one"
        tab.drop("#drop", image)
        tab.wait_for("document.body.ariaBusy === 'false'")
        assert tab.text("#label") == "red"
        assert "Words" not in tab.text("main")
        command = tab.value("document.getElementById('curl').textContent")
        done = subprocess.run(
            ["sh", "-c", f"{command} --silent"], cwd=tmp_path, capture_output=True, check=True, timeout=60
        )
        assert '"predicted_label": "red"' in done.stdout.decode()
        tab.drop("#drop", broken)
        tab.wait_for("!document.getElementById('error').hidden")
        assert tab.text("#status") == "400 invalid_record:"
