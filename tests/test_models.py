"""Models come and go in one process, while others answer, and leave nothing behind."""

import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from classifier import predictor
from classifier.backends import Encoded
from classifier.errors import RequestError, UserError
from classifier.predictor import Predictor
from classifier.serving import memory, models
from classifier.serving.limits import LOADS_AT_MOST
from classifier.serving.memory import ModelMemory
from classifier.serving.models import Model, Models
from serving_helpers import SERVE, model_folder, probabilities, wait_until

MEGABYTE = 1 << 20


class Backend:
    """Answers how long a text is."""

    def encode(self, texts: Sequence[str]) -> list[Encoded]:
        return [Encoded(text, len(text)) for text in texts]

    def run_batch(self, batch: Sequence[Encoded]) -> NDArray[np.float32]:
        return np.array([[text.tokens, 0] for text in batch], np.float32)


@dataclass
class Shelf:
    """Folders with models that load as told: at once, when they may, or not."""

    folder: Path
    resident: int = 0
    needed: int = MEGABYTE
    may_load: dict[str, threading.Event] = field(default_factory=dict)
    errors: dict[str, Exception] = field(default_factory=dict)
    began: list[str] = field(default_factory=list)
    kept: list[weakref.ref[Backend]] = field(default_factory=list)

    def __post_init__(self) -> None:
        fits = ModelMemory(100 * MEGABYTE, lambda: self.resident, lambda _: self.needed)
        self.models = Models(self.folder, self._load, fits)
        self.pool = ThreadPoolExecutor(40)

    def url(self, name: str) -> str:
        folder = self.folder / name / "model"
        folder.mkdir(parents=True, exist_ok=True)
        return str(folder)

    def add(self, *names: str) -> None:
        for name in names:
            self.models.add(name, self.url(name))

    def adding(self, name: str) -> "Future[Model]":
        """Begin to load a model that waits until it may go on."""
        self.may_load[name] = threading.Event()
        return self.pool.submit(self.models.add, name, self.url(name))

    def names(self) -> list[str]:
        return [model.name for model in self.models.listing()[0]]

    def _load(self, folder: Path) -> Predictor:
        name = folder.parent.name
        backend = Backend()
        self.kept.append(weakref.ref(backend))
        self.began.append(name)
        if name in self.may_load:
            assert self.may_load[name].wait(20)
        if name in self.errors:
            raise self.errors[name]
        return Predictor(backend, ("a", "b"))


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    shelf = Shelf(tmp_path / "models")
    yield shelf
    for event in shelf.may_load.values():
        event.set()
    shelf.pool.shutdown()


@contextmanager
def refused(status: int, code: str, *words: str) -> Iterator[None]:
    with pytest.raises(RequestError) as raised:
        yield
    assert (raised.value.status, raised.value.code) == (status, code)
    assert "\n" not in raised.value.message
    for word in words:
        assert word in raised.value.message


def refusal(future: "Future[Model]") -> tuple[int, str]:
    error = future.exception(20)
    assert isinstance(error, RequestError)
    return error.status, error.code


def test_at_the_start_there_are_no_models_and_their_folder_may_not_be_there_M02_M04(shelf: Shelf) -> None:
    assert not shelf.folder.exists()
    assert shelf.models.listing() == ([], None)


def test_a_model_is_loaded_found_asked_and_unloaded_M03_M04_M05_M06_M07(shelf: Shelf) -> None:
    shelf.add("one", "two")
    assert shelf.names() == ["one", "two"]
    assert shelf.models.get("one") == Model("one", shelf.url("one"))
    with shelf.models.using("two") as model:
        assert model.predict(["abc"]).tolist() == [[3, 0]]
    del model
    shelf.models.remove("two")
    assert shelf.names() == ["one"]
    assert [kept() is not None for kept in shelf.kept] == [True, False]


def test_a_model_that_is_not_loaded_is_404_M05_M06_M07(shelf: Shelf) -> None:
    def use(name: str) -> None:
        with shelf.models.using(name):
            pass

    shelf.add("one")
    uses: tuple[Callable[[str], object], ...] = (shelf.models.get, shelf.models.remove, use)
    for name in ("two", "", "..", "one/", "x" * 2000):
        for act in uses:
            with refused(404, "model_not_found"):
                act(name)


def test_a_model_that_is_there_or_on_its_way_is_409_M03(shelf: Shelf) -> None:
    first = shelf.adding("one")
    wait_until(lambda: shelf.began == ["one"])
    with refused(409, "model_already_loaded"):
        shelf.add("one")
    shelf.may_load["one"].set()
    first.result(20)
    with refused(409, "model_already_loaded"):
        shelf.add("one")
    assert shelf.began == ["one"]


def test_nothing_waits_for_a_model_that_is_being_loaded_but_the_next_load_M10(shelf: Shelf) -> None:
    shelf.add("there", "leaves")
    first, second = shelf.adding("first"), shelf.adding("second")
    wait_until(lambda: len(shelf.began) == 3)
    assert shelf.names() == ["there", "leaves"]
    with shelf.models.using("there") as model:
        assert model.predict(["abc"]).tolist() == [[3, 0]]
    shelf.models.remove("leaves")
    (waits,) = {"first", "second"} - set(shelf.began)
    for name in ("first", "second"):
        with refused(404, "model_not_found"):
            shelf.models.get(name)
    assert waits not in shelf.began
    for name in ("first", "second"):
        shelf.may_load[name].set()
    assert {first.result(20).name, second.result(20).name} == {"first", "second"}
    assert set(shelf.names()) == {"there", "first", "second"}


def test_a_model_is_not_there_to_unload_until_it_is_loaded_M06(shelf: Shelf) -> None:
    loading = shelf.adding("one")
    wait_until(lambda: shelf.began == ["one"])
    with refused(404, "model_not_found"):
        shelf.models.remove("one")
    shelf.may_load["one"].set()
    loading.result(20)
    shelf.models.remove("one")
    assert shelf.names() == []


def test_unloading_lets_running_requests_end_and_no_new_one_begin_M06(shelf: Shelf) -> None:
    shelf.add("one")
    with shelf.models.using("one") as model, shelf.models.using("one"):
        removal = shelf.pool.submit(shelf.models.remove, "one")
        wait_until(lambda: shelf.names() == [])
        with refused(404, "model_not_found"), shelf.models.using("one"):
            pass
        with refused(404, "model_not_found"):
            shelf.models.remove("one")
        assert not removal.done()
        assert model.predict(["abc"]).tolist() == [[3, 0]]
    assert not removal.done()  # whoever asked still holds it
    del model
    removal.result(20)
    assert shelf.kept[0]() is None


def test_a_model_may_come_back_while_its_last_requests_end_M06(shelf: Shelf) -> None:
    shelf.add("one")
    with shelf.models.using("one"):
        removal = shelf.pool.submit(shelf.models.remove, "one")
        wait_until(lambda: shelf.names() == [])
        shelf.add("one")
        assert shelf.names() == ["one"]
        assert not removal.done()
    removal.result(20)
    assert shelf.names() == ["one"]


def test_a_request_that_fails_lets_go_of_its_model_M06(shelf: Shelf) -> None:
    shelf.add("one")
    with pytest.raises(ZeroDivisionError), shelf.models.using("one"):
        raise ZeroDivisionError
    shelf.models.remove("one")
    assert shelf.names() == []


def test_a_model_that_someone_keeps_is_told_in_the_log_and_holds_nobody_up(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(models, "LET_GO_SECONDS", 0.1)
    shelf.add("one")
    with shelf.models.using("one") as model:
        pass
    shelf.models.remove("one")
    assert "model_kept" in caplog.messages
    assert model.predict(["abc"]).tolist() == [[3, 0]]


def test_a_model_that_does_not_fit_is_507_with_what_it_needs_and_what_is_left_M03(shelf: Shelf) -> None:
    shelf.resident, shelf.needed = 60 * MEGABYTE, 50 * MEGABYTE
    with refused(507, "not_enough_memory", "about 50 MB", "40 MB are free", "unload"):
        shelf.add("one")
    shelf.resident = 200 * MEGABYTE
    with refused(507, "not_enough_memory", " 0 MB are free"):
        shelf.add("one")
    assert shelf.began == []
    assert shelf.names() == []
    shelf.resident = 50 * MEGABYTE
    shelf.add("one")
    assert shelf.names() == ["one"]


def test_memory_that_can_be_given_back_is_no_reason_to_refuse_M03(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.resident, shelf.needed = 90 * MEGABYTE, 50 * MEGABYTE
    monkeypatch.setattr(memory, "give_back", lambda: setattr(shelf, "resident", 10 * MEGABYTE))
    shelf.add("one")
    assert shelf.names() == ["one"]


@pytest.mark.parametrize(
    ("error", "status", "code", "words"),
    [
        (MemoryError(), 507, "not_enough_memory", "unload"),
        (UserError(["no manifest;\n deploy", "it whole"]), 400, "invalid_model", "no manifest; deploy it whole"),
        (UserError("x" * 9000), 400, "invalid_model", "x" * 1000),
    ],
)
def test_a_model_that_does_not_load_is_refused_in_words_and_leaves_nothing_M03(
    shelf: Shelf, error: Exception, status: int, code: str, words: str
) -> None:
    shelf.errors["one"] = error
    with refused(status, code, words):
        shelf.add("one")
    error.__traceback__ = None
    assert [kept() for kept in shelf.kept] == [None]
    assert shelf.names() == []
    del shelf.errors["one"]
    shelf.add("one")
    assert shelf.names() == ["one"]


def test_a_fault_of_ours_is_raised_as_it_is_and_the_model_may_be_tried_again(shelf: Shelf) -> None:
    shelf.errors["one"] = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        shelf.add("one")
    del shelf.errors["one"]
    shelf.add("one")
    assert shelf.names() == ["one"]


def test_loads_that_wait_leave_threads_for_others_M10(shelf: Shelf) -> None:
    loading = [shelf.adding(f"model {number}") for number in range(LOADS_AT_MOST)]
    wait_until(lambda: len(shelf.models._loading) == LOADS_AT_MOST)
    with refused(503, "server_busy"):
        shelf.add("one more")
    for event in shelf.may_load.values():
        event.set()
    for each in loading:
        each.result(20)
    shelf.add("one more")
    assert len(shelf.names()) == LOADS_AT_MOST + 1


@pytest.mark.parametrize(
    "name", ["a", "a/b.tar.gz", "a//b", "größe 価格.tar.gz", "...", "..a/b..", " ", "a\\..\\b", "%2e%2e", "x" * 1024]
)
def test_a_name_is_any_text_and_no_path_M09(shelf: Shelf, name: str) -> None:
    shelf.models.add(name, shelf.url("one"))
    assert shelf.models.get(name) == Model(name, shelf.url("one"))
    shelf.models.remove(name)


@pytest.mark.parametrize(
    "name", ["", "x" * 1025, "..", "../a", "a/../b", "a/..", "/a", "a\nb", "a\x00", "\x7f", "\x85", "\ud800"]
)
def test_a_name_that_tries_to_be_more_is_400_M09(shelf: Shelf, name: str) -> None:
    with refused(400, "invalid_request", "model_name"):
        shelf.models.add(name, shelf.url("one"))
    assert shelf.began == []


@pytest.mark.parametrize(
    "url",
    [
        "", "/", "/etc", "model", "{}", "{}/", "{}/.", "{}/one/../..", "{}/../other", "{}-other", "{}/out",
        "{}/out/model", "{}/one\x00", "{}/\ud800", "file://{}/one/model", "{}/loop",
    ],
)  # fmt: skip
def test_a_folder_outside_the_models_folder_is_400_M09(shelf: Shelf, url: str) -> None:
    shelf.url("one")
    other = shelf.folder.parent / "other"
    (other / "model").mkdir(parents=True)
    (shelf.folder / "out").symlink_to(other)
    (shelf.folder / "loop").symlink_to(shelf.folder / "loop")
    with refused(400, "invalid_request", "url"):
        shelf.models.add("one", url.format(shelf.folder))
    assert shelf.began == []


@pytest.mark.parametrize("url", ["{}/two/model", "{}/one/file", "{}/" + "x" * 300, "{}/" + "x/" * 3000])
def test_a_folder_that_is_not_there_is_400_M03(shelf: Shelf, url: str) -> None:
    shelf.url("one")
    (shelf.folder / "one" / "file").write_text("x")
    with refused(400, "invalid_model", "does not name an existing folder"):
        shelf.models.add("one", url.format(shelf.folder))
    assert shelf.began == []


def test_the_models_folder_may_be_a_link_M02(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "models").symlink_to(tmp_path / "real")
    shelf = Shelf(tmp_path / "models")
    shelf.add("one")
    assert shelf.models.get("one").url == f"{tmp_path}/models/one/model"


def test_pages_have_each_model_once_though_others_come_and_go_M04(shelf: Shelf) -> None:
    shelf.add(*map(str, range(205)))
    first, page = shelf.models.listing()
    for name in ("3", "99", "100", "150"):
        shelf.models.remove(name)
    shelf.add("late", "3")
    second, next_page = shelf.models.listing(page)
    third, last = shelf.models.listing(next_page)
    assert [len(models) for models in (first, second, third)] == [100, 100, 5]
    assert last is None
    assert [model.name for model in first] == [str(number) for number in range(100)]
    rest = [str(number) for number in range(101, 205) if number != 150] + ["late", "3"]
    assert [model.name for model in second + third] == rest


@pytest.mark.parametrize("count", [99, 100])
def test_a_page_that_holds_all_names_no_other_M04(shelf: Shelf, count: int) -> None:
    shelf.add(*map(str, range(count)))
    listed, page = shelf.models.listing()
    assert (len(listed), page) == (count, None)


@pytest.mark.parametrize("page", ["", "x", "-1", "1.0", "١", " 1", "1\n", "9" * 5000])
def test_a_page_that_there_is_none_of_is_400_M04(shelf: Shelf, page: str) -> None:
    with refused(400, "invalid_request", "nextPageToken"):
        shelf.models.listing(page)


def test_the_log_names_the_model_and_what_it_took_M03_M06(shelf: Shelf, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    shelf.errors["two"] = UserError("half of it")
    shelf.add("one")
    with pytest.raises(RequestError):
        shelf.add("two")
    shelf.models.remove("one")
    assert caplog.messages == ["model_loaded", "model_refused", "model_unloaded"]
    loaded, refused_, unloaded = (vars(record) for record in caplog.records)
    for record in (loaded, unloaded):
        assert (record["model"], record["megabytes"]) == ("one", 0)
        assert 0 <= record["seconds"] < 20
    assert (refused_["model"], refused_["reason"]) == ("two", "half of it")


def test_a_real_model_is_loaded_from_a_folder_that_can_only_be_read_M02_M03() -> None:
    folder = model_folder()
    files = sorted(folder.rglob("*"))
    held = Models(folder.parent, predictor.load, ModelMemory(1 << 50))
    held.add("one", str(folder))
    with held.using("one") as model:
        np.testing.assert_allclose(model.predict(["abc"])[0], probabilities("abc"), rtol=1e-6)
    assert sorted(folder.rglob("*")) == files


def test_half_a_model_is_400_and_one_too_large_507_before_it_is_loaded_M03(tmp_path: Path) -> None:
    def load(_: Path) -> Predictor:
        raise AssertionError

    (tmp_path / "models" / "one").mkdir(parents=True)
    with refused(400, "invalid_model", "no model"):
        Models(tmp_path / "models", load, ModelMemory(1 << 50)).add("one", str(tmp_path / "models" / "one"))
    with refused(507, "not_enough_memory", "0 MB are free"):
        Models(model_folder().parent, load, ModelMemory(1)).add("one", str(model_folder()))


def measured(program: str, *arguments: object) -> list[float]:
    """Run a program that has ``held``, models in the folder that is its first argument, and return what it prints."""
    start = """
import gc, os, sys
from pathlib import Path
from classifier.serving import memory
os.environ.update(memory.VARIABLES)
import tensorflow as tf
from classifier import predictor
from classifier.backends import saved_model
from classifier.serving.memory import ModelMemory, estimated_bytes, resident_bytes
from classifier.serving.models import Models
folder = Path(sys.argv[1])
held = Models(folder.parent, predictor.load, ModelMemory(1 << 50))
gc.freeze()
"""
    done = subprocess.run(
        [sys.executable, "-c", start + program, *map(str, arguments)],
        check=False,
        env={"PYTHONPATH": str(SERVE.parent), "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [float(word) for word in done.stdout.split()]


def test_the_memory_of_a_model_is_given_back_before_unloading_returns_M06(tmp_path: Path) -> None:
    program = """
class Weights(tf.Module):
    def __init__(self):
        self.weights = [tf.Variable(tf.ones([1024, 1024])) for _ in range(64)]
    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def __call__(self, texts):
        return tf.fill([tf.size(texts), 2], 0.5 * tf.add_n([weights[0, 0] for weights in self.weights]) / 64)

model = Weights()
tf.saved_model.save(model, str(folder), signatures=model.__call__)
del model
held.add("first", str(folder))
held.remove("first")
before = resident_bytes()
held.add("one", str(folder))
with held.using("one") as predictor:
    predictor.predict(["x"])
del predictor
loaded = resident_bytes()
held.remove("one")
print(before, loaded, resident_bytes(), estimated_bytes(folder))
"""
    before, loaded, after, estimated = (size / MEGABYTE for size in measured(program, tmp_path / "models" / "one"))
    assert loaded - before > 256
    assert estimated > loaded - before
    assert after - before < 20


def test_two_hundred_models_that_come_and_go_leave_no_memory_taken_M11() -> None:
    program = """
for cycle in range(200):
    held.add("one", str(folder))
    with held.using("one") as model:
        model.predict(["abc", "It works."])
    del model
    held.remove("one")
    if cycle in (20, 110, 199):
        print(resident_bytes())
"""
    first, middle, last = (size / MEGABYTE for size in measured(program, model_folder()))
    assert middle - first < 10
    assert last - middle < 5
