"""Bringing an encoder: from servers that speak as TensorFlow Hub and Hugging Face do, and from folders."""

import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from shutil import copytree
from threading import Thread
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import load_file, save_file

import tiny_bert
from jobs import ROOT, Job
from tiny_hub import LetterCounts

sys.path.insert(0, str(ROOT / "tools"))
import fetch_encoder

SCRIPT = ROOT / "local_test" / "fetch_encoder.sh"
LISTED = "tensorflow-tc-small-bert-bert-en-uncased-L-2-H-128-A-2"


@dataclass
class Web:
    """A server's content, and what it was asked for.

    Attributes:
        files: Content by path.
        saved_models: Folders by path, which are answered as archives when the compressed format is asked for.
        broken: Paths of which only the half is answered.
    """

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    saved_models: dict[str, Path] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)

    def put_repository(self, name: str, folder: Path, revision: str = "main") -> None:
        for path in folder.rglob("*"):
            if path.is_file():
                place = f"/{name}/resolve/{revision}/{path.relative_to(folder).as_posix()}"
                self.files[place] = path.read_bytes()

    def answer(self, target: str) -> bytes | None:
        url = urlsplit(target)
        self.asked.append(url.path)
        if url.path in self.saved_models and parse_qs(url.query).get("tf-hub-format") == ["compressed"]:
            content = io.BytesIO()
            with tarfile.open(fileobj=content, mode="w:gz") as archive:
                archive.add(self.saved_models[url.path], ".")
            return content.getvalue()
        return self.files.get(url.path)


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    """A server on this machine that stands for both hubs."""
    content = Web()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = content.answer(self.path)
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            half = urlsplit(self.path).path in content.broken
            self.wfile.write((body or b"")[: len(body or b"") // 2 if half else None])

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        content.address = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("HF_ENDPOINT", content.address)
        monkeypatch.setenv("TFHUB_ENDPOINT", content.address + "/")
        yield content
        server.shutdown()


@pytest.fixture(scope="module")
def letters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("letters")
    tf.saved_model.save(LetterCounts(), str(folder))
    return folder


def names(archive: Path) -> list[str]:
    with tarfile.open(archive) as content:
        return content.getnames()


def fetch(output: Path, *arguments: str) -> Path:
    assert fetch_encoder.main([*arguments, "--output", str(output)]) == 0
    assert [path.name for path in output.iterdir()] == ["model.tar.gz"]
    return output / "model.tar.gz"


def refused(output: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Fetch what can't be had; return what is said of it."""
    before = sorted(output.iterdir()) if output.exists() else []
    assert fetch_encoder.main([*arguments, "--output", str(output)]) == 1
    assert (sorted(output.iterdir()) if output.exists() else []) == before, "nothing is left"
    return capsys.readouterr().err


def trained(base: Path, archive: Path) -> str:
    """Train on what was fetched; return the name and the family of the encoder that the manifest has."""
    job = Job.create(base)
    job.channel("model", archive.read_bytes(), "model.tar.gz")
    job.train()
    encoder = json.loads((job.model / "manifest.json").read_text())["encoder"]
    return f"{encoder['name']} {encoder['family']}"


def test_a_repository_becomes_an_archive_that_a_job_trains_on(
    web: Web, tmp_path: Path, tiny_encoder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    web.put_repository("someone/Tiny-BERT", tiny_encoder)
    archive = fetch(tmp_path / "out", "someone/Tiny-BERT")
    assert names(archive) == [
        f"Tiny-BERT/{name}" for name in ("1_Pooling/config.json", "config.json", "model.safetensors", "vocab.txt")
    ]
    said = capsys.readouterr().out
    assert "Tiny-BERT: family bert, pooling mean, vectors of 32 values" in said
    assert f"sha256 {hashlib.sha256(archive.read_bytes()).hexdigest()}" in said
    assert trained(tmp_path / "ml", archive) == "Tiny-BERT bert"


@pytest.mark.parametrize("kind", ["distilbert", "electra"])
def test_a_job_trains_on_the_other_networks_of_the_family(web: Web, tmp_path: Path, kind: str) -> None:
    web.put_repository(f"someone/{kind}", tiny_bert.write(tmp_path / "given", pooling="cls", kind=kind))
    assert trained(tmp_path / "ml", fetch(tmp_path / "out", f"someone/{kind}")) == f"{kind} bert"


def test_a_revision_of_a_repository_is_taken_when_it_is_named(web: Web, tmp_path: Path, tiny_encoder: Path) -> None:
    web.put_repository("someone/tiny", tiny_encoder, "v1.0")
    assert "tiny/config.json" in names(fetch(tmp_path / "out", "https://huggingface.co/someone/tiny@v1.0"))


def test_weights_divided_among_files_are_brought_whole(web: Web, tmp_path: Path) -> None:
    folder = tiny_bert.write(tmp_path / "given")
    tensors = load_file(folder / "model.safetensors")
    places = {name: f"model-{1 + index % 2}.safetensors" for index, name in enumerate(tensors)}
    for file in set(places.values()):
        save_file({name: value for name, value in tensors.items() if places[name] == file}, folder / file)
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))
    web.put_repository("someone/tiny", folder)
    divided = ["tiny/model-1.safetensors", "tiny/model-2.safetensors", "tiny/model.safetensors.index.json"]
    for source in ("someone/tiny", str(folder)):
        archive = fetch(tmp_path / "out", source)
        assert [name.partition("/")[2] for name in names(archive) if "safetensors" in name] == [
            name.partition("/")[2] for name in divided
        ]
        archive.unlink()


def test_a_saved_model_is_brought_by_its_address(web: Web, tmp_path: Path, letters: Path) -> None:
    web.saved_models["/someone/letters/1"] = letters
    archive = fetch(tmp_path / "out", f"{web.address}/someone/letters/1")
    assert "letters/saved_model.pb" in names(archive)
    assert trained(tmp_path / "ml", archive) == "letters hub"
    (tmp_path / "out" / "model.tar.gz").unlink()
    assert "letters/saved_model.pb" in names(fetch(tmp_path / "out", "someone/letters/1"))


def test_a_listed_bert_of_tensorflow_hub_comes_with_its_preprocessor(
    web: Web, tmp_path: Path, shared: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    web.saved_models["/tensorflow/small_bert/bert_en_uncased_L-2_H-128_A-2/2"] = shared(
        "encoders/small_bert_L-2_H-128_A-2_2_RANDOM_WEIGHTS"
    )
    web.saved_models["/tensorflow/bert_en_uncased_preprocess/3"] = shared("encoders/bert_en_uncased_preprocess_3")
    archive = fetch(tmp_path / "out", LISTED)
    assert {name.partition("/")[0] for name in names(archive)} == {LISTED, "preprocessor"}
    assert "family hub, pooling own, vectors of 128 values, licence Apache-2.0" in capsys.readouterr().out
    assert trained(tmp_path / "ml", archive) == f"{LISTED} bert"


def test_a_bert_that_is_not_listed_needs_its_preprocessor_named(
    web: Web, tmp_path: Path, shared: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    web.saved_models["/someone/bert/1"] = shared("encoders/small_bert_L-2_H-128_A-2_2_RANDOM_WEIGHTS")
    web.saved_models["/someone/words/1"] = shared("encoders/bert_en_uncased_preprocess_3")
    assert "put its preprocessor on the model channel too" in refused(tmp_path / "out", capsys, "someone/bert/1")
    archive = fetch(tmp_path / "out", "someone/bert/1", "--preprocessor", f"{web.address}/someone/words/1")
    assert {name.partition("/")[0] for name in names(archive)} == {"bert", "preprocessor"}


def test_real_word_vectors_train_a_job(web: Web, tmp_path: Path, shared: Callable[[str], Path]) -> None:
    web.saved_models["/someone/vectors/1"] = shared("encoders/gnews_word2vec_top1000_dim300")
    assert trained(tmp_path / "ml", fetch(tmp_path / "out", "someone/vectors/1")) == "vectors hub"


def test_a_folder_gives_the_same_archive_every_time_without_what_is_not_read(tmp_path: Path) -> None:
    folder = tiny_bert.write(tmp_path / "my model")
    (folder / "pytorch_model.bin").write_bytes(b"x" * 1000)
    (folder / "README.md").write_text("x")
    first = fetch(tmp_path / "one", str(folder))
    os.utime(folder / "config.json", (1, 1))
    (folder / "vocab.txt").chmod(0o600)
    second = fetch(tmp_path / "two", str(folder))
    assert first.read_bytes() == second.read_bytes()
    assert "my-model/model.safetensors" in names(first)
    assert not [name for name in names(first) if name.endswith((".bin", ".md"))]


def test_the_pooling_beside_a_folder_0_transformer_is_taken_with_it(tmp_path: Path) -> None:
    tiny_bert.write(tmp_path / "given" / "0_Transformer", pooling="pooler")
    (tmp_path / "given" / "1_Pooling").mkdir()
    (tmp_path / "given" / "1_Pooling" / "config.json").write_text('{"pooling_mode_cls_token": true}')
    found = names(fetch(tmp_path / "out", str(tmp_path / "given")))
    assert [name for name in found if name.endswith("1_Pooling/config.json")]


def test_a_folder_of_saved_models_is_taken_as_it_is(tmp_path: Path, letters: Path) -> None:
    copytree(letters, tmp_path / "given" / "letters")
    assert "given/letters/saved_model.pb" in names(fetch(tmp_path / "out", str(tmp_path / "given")))


@pytest.mark.parametrize(
    ("encoder", "words"),
    [
        ("distilbert-base-uncasd", r"did you mean distilbert-base-uncased?"),
        ("no such thing", "no encoder that is listed in docs/encoders.md"),
        ("efficientnet-lite0", "efficientnet-lite0: is in the image; a job needs no model channel for it"),
        ("../elsewhere", "check the name"),
        ("ftp://example.org/x/1", "no encoder that is listed"),
        ("nobody/nothing", "nobody/nothing: no config.json (HTTP 404); check the name"),
        ("nobody/nothing/1", "not there (HTTP 404); check the handle and its version"),
        ("all-minilm-l12-v2", "sentence-transformers/all-MiniLM-L12-v2: no config.json (HTTP 404)"),
    ],
)
def test_what_is_not_there_is_said(
    web: Web, tmp_path: Path, capsys: pytest.CaptureFixture[str], encoder: str, words: str
) -> None:
    assert words in refused(tmp_path / "out", capsys, encoder), web


def test_without_a_connection_the_address_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    said = refused(tmp_path / "out", capsys, "google-bert/bert-base-uncased")
    assert "http://127.0.0.1:9/google-bert/bert-base-uncased/resolve/main/config.json: no connection (" in said
    assert "or give a folder" in said


def test_a_download_that_breaks_off_is_noticed(
    web: Web, tmp_path: Path, tiny_encoder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    web.put_repository("someone/tiny", tiny_encoder)
    web.broken.add("/someone/tiny/resolve/main/model.safetensors")
    assert "bytes came; try again" in refused(tmp_path / "out", capsys, "someone/tiny")


def test_another_network_is_refused_before_its_weights_are_downloaded(
    web: Web, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tiny_bert.write(tmp_path / "given")
    (folder / "config.json").write_text('{"model_type": "roberta"}')
    web.put_repository("someone/roberta", folder)
    assert "model_type 'roberta' is not supported" in refused(tmp_path / "out", capsys, "someone/roberta")
    assert web.asked == ["/someone/roberta/resolve/main/config.json"]


def test_a_tokenizer_of_another_kind_is_refused_before_the_weights_are_downloaded(
    web: Web, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tiny_bert.write(tmp_path / "given")
    (folder / "vocab.txt").unlink()
    web.put_repository("someone/tiny", folder)
    assert "there is no tokenizer.json of word pieces" in refused(tmp_path / "out", capsys, "someone/tiny")
    assert not [path for path in web.asked if "safetensors" in path]


def test_a_repository_of_pickles_gets_the_way_to_convert_them(
    web: Web, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tiny_bert.write(tmp_path / "given")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    web.put_repository("someone/old", folder)
    said = refused(tmp_path / "out", capsys, "someone/old")
    assert "has no model.safetensors" in said
    assert "weights_only=True" in said
    assert not [path for path in web.asked if path.endswith(".bin")]
    assert "weights_only=True" in refused(tmp_path / "out", capsys, str(folder))


@pytest.mark.parametrize("files", [{}, {"notes.txt": "x"}])
def test_a_folder_without_an_encoder_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], files: dict[str, str]
) -> None:
    (tmp_path / "given").mkdir()
    for name, content in files.items():
        (tmp_path / "given" / name).write_text(content)
    assert "given: no encoder that can be taken" in refused(tmp_path / "out", capsys, str(tmp_path / "given"))


def test_an_encoder_that_does_not_answer_with_numbers_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tiny_bert.write(tmp_path / "given")
    tensors = load_file(folder / "model.safetensors")
    tensors["encoder.layer.1.output.dense.bias"] = np.full([32], np.nan, np.float32)
    save_file(tensors, folder / "model.safetensors")
    assert "its answers are no finite vectors" in refused(tmp_path / "out", capsys, str(folder))


def test_files_that_are_another_encoder_than_the_listed_one_are_refused(
    web: Web, tmp_path: Path, tiny_encoder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    web.put_repository("google-bert/bert-base-uncased", tiny_encoder)
    said = refused(tmp_path / "out", capsys, "bert-base-uncased")
    assert "bert-base-uncased: its vectors have 32 values, not 768" in said


def test_an_archive_that_is_there_already_is_not_overwritten(
    tmp_path: Path, tiny_encoder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "model.tar.gz").write_text("mine")
    assert "is there already; move it away" in refused(tmp_path, capsys, str(tiny_encoder))
    assert (tmp_path / "model.tar.gz").read_text() == "mine"


def run(*arguments: str, cwd: Path, **environ: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [str(SCRIPT), *arguments], cwd=cwd, env={**os.environ, **environ}, capture_output=True, text=True, check=False
    )


def test_the_script_leaves_the_archive_where_it_is_called(tmp_path: Path, tiny_encoder: Path) -> None:
    if not (ROOT / ".venv" / "bin" / "python").exists():
        pytest.skip("needs the .venv that make setup makes")
    done = run(str(tiny_encoder), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "family bert" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["model.tar.gz"]


@pytest.mark.parametrize("arguments", [[], ["--help"], [""], ["a", "b", "c"]])
def test_the_script_says_how_it_is_used(tmp_path: Path, arguments: list[str]) -> None:
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert "Usage:" in done.stderr


def test_the_script_runs_in_an_image_as_the_user_who_called_it(tmp_path: Path, tiny_encoder: Path) -> None:
    (tmp_path / "docker").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    (tmp_path / "docker").chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    done = run(str(tiny_encoder), "text-classification:cpu", cwd=tmp_path, PATH=path, OUTPUT="out")
    words = done.stdout.splitlines()
    assert words[:4] == ["run", "--rm", "--user", f"{os.getuid()}:{os.getgid()}"]
    assert f"{tmp_path}/out:/output" in words
    assert f"{ROOT}/tools/fetch_encoder.py:/opt/fetch_encoder.py:ro" in words
    place = f"/input/{tiny_encoder.name}"
    assert f"{tiny_encoder}:{place}:ro" in words
    image = words.index("text-classification:cpu")
    assert words[image + 1 : image + 6] == ["python3", "/opt/fetch_encoder.py", place, "--output", "/output"]
