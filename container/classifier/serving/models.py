"""The models of a multi-model endpoint: loaded, used, listed and unloaded while other models answer.

One process holds them all. No lock that requests need is held while a model is loaded or computes.
"""

import itertools
import logging
import re
import stat
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from classifier.errors import RequestError, UserError
from classifier.predictor import Predictor
from classifier.serving import memory
from classifier.serving.limits import LOADS_AT_MOST
from classifier.serving.memory import ModelMemory

logger = logging.getLogger(__name__)

PAGE_MODELS = 100
NAME_CHARACTERS = 1024
# A request that was answered drops its reference to the model a moment later.
LET_GO_SECONDS = 2.0

_NOT_IN_NAMES = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_PAGE = re.compile("[0-9]{1,18}")
_POLL_SECONDS = 0.01
_REASON_CHARACTERS = 1000


@dataclass(frozen=True)
class Model:
    """A model as it is listed.

    Attributes:
        name: The platform's name for it, any string; it is not interpreted.
        url: The folder that it was loaded from, as the platform wrote it.
    """

    name: str
    url: str


@dataclass(eq=False)
class _Entry:
    """A loaded model, its number in the order of loading, and how many requests use it."""

    model: Model
    predictor: Predictor
    number: int
    users: int = 0


class Models:
    """The models that are loaded now.

    Args:
        folder: The folder that models may be loaded from; it need not exist yet.
        load: Loads a model from its folder.
        memory: The memory available for all models.
        observe: Called with the number of loaded models whenever it changes.
    """

    def __init__(
        self,
        folder: Path,
        load: Callable[[Path], Predictor],
        memory: ModelMemory,
        observe: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._folder = folder
        self._load = load
        self._memory = memory
        self._observe = observe
        self._numbers = itertools.count(1)
        self._turn = threading.Lock()  # to load; one at a time, so that each sees what the one before it took
        self._changed = threading.Condition()  # of these two, and of the entries' users
        self._loading: set[str] = set()
        self._loaded: dict[str, _Entry] = {}

    def add(self, name: str, url: str) -> Model:
        """Load a model, after those that are being loaded.

        Args:
            name: What to call it.
            url: The folder it is in.

        Raises:
            RequestError: 400, for a name or folder that is not allowed or a model that is not whole; 409, when there is
                one of the name or it is being loaded; 507, when there is not enough memory; 503, when too many wait.
        """
        _check_name(name)
        folder = self._inside(url)
        with self._reserved(name), self._turn:
            start, before = time.monotonic(), self._memory.resident()
            outcome = self._attempt(folder)
            if isinstance(outcome, RequestError):
                memory.give_back()
                logger.warning("model_refused", extra={"model": name, "reason": outcome.message})
                raise outcome
            for note in outcome.notes:
                logger.warning("model_note", extra={"model": name, "note": note})
            entry = _Entry(Model(name, url), outcome, next(self._numbers))
            with self._changed:
                self._loaded[name] = entry
                self._observe(len(self._loaded))
            taken = self._taken(name, start, self._memory.resident() - before)
            logger.info(
                "model_loaded", extra={**taken, "engine": outcome.backend_name, "reason": outcome.backend_reason}
            )
            return entry.model

    def remove(self, name: str) -> None:
        """Unload a model: new requests don't find it, those that use it end, and then its memory is freed.

        Raises:
            RequestError: 404, when it is not loaded, or not yet.
        """
        start = time.monotonic()
        predictor = self._unused(name)
        deadline = time.monotonic() + LET_GO_SECONDS
        while predictor() is not None and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        before = self._memory.resident()
        memory.give_back()
        if predictor() is not None:
            logger.warning("model_kept", extra={"model": name})
        logger.info("model_unloaded", extra=self._taken(name, start, before - self._memory.resident()))

    @contextmanager
    def using(self, name: str) -> Iterator[Predictor]:
        """Give a model and keep it loaded while the block runs.

        Raises:
            RequestError: 404, when it is not loaded.
        """
        with self._changed:
            entry = self._entry(name)
            entry.users += 1
        try:
            yield entry.predictor
        finally:
            with self._changed:
                entry.users -= 1
                self._changed.notify_all()

    def get(self, name: str) -> Model:
        """Return a model.

        Raises:
            RequestError: 404, when it is not loaded.
        """
        with self._changed:
            return self._entry(name).model

    def listing(self, page: str | None = None) -> tuple[list[Model], str | None]:
        """Return a page of models, in the order they were loaded, and the token of the next page, if there is one.

        A page begins after the last model of the previous one, so loading and unloading in between shifts no models.

        Args:
            page: The token of the page; None for the first.

        Raises:
            RequestError: 400, for an invalid token.
        """
        if page is not None and not _PAGE.fullmatch(page):
            raise _invalid("unknown page token; use the nextPageToken of an earlier response, or none")
        last = int(page or 0)
        with self._changed:
            rest = [(entry.number, entry.model) for entry in self._loaded.values() if entry.number > last]
        shown = rest[:PAGE_MODELS]
        return [model for _, model in shown], str(shown[-1][0]) if len(rest) > len(shown) else None

    def _inside(self, url: str) -> Path:
        """Return the folder of a URL, with links resolved."""
        try:
            path = Path(url).resolve()
        except (OSError, RuntimeError, ValueError):
            path = Path("/")
        if self._folder.resolve() not in path.parents:
            raise _invalid(f'"url" must be a folder inside {self._folder}')
        return path

    @contextmanager
    def _reserved(self, name: str) -> Iterator[None]:
        """Prevent other requests from loading a model with this name while the block runs."""
        with self._changed:
            if name in self._loading or name in self._loaded:
                raise RequestError(409, "model_already_loaded", "a model with this name is loaded or being loaded")
            if len(self._loading) >= LOADS_AT_MOST:
                raise RequestError(503, "server_busy", "too many models are being loaded", retry_after_seconds=2)
            self._loading.add(name)
        try:
            yield
        finally:
            with self._changed:
                self._loading.remove(name)

    def _attempt(self, folder: Path) -> Predictor | RequestError:
        """Load a model, or return why not; an error raised from here would keep half a model in its traceback."""
        try:
            return self._fitting(folder)
        except RequestError as error:
            return error
        except UserError as error:
            return RequestError(400, "invalid_model", " ".join(str(error).split())[:_REASON_CHARACTERS])
        except MemoryError:
            return memory.not_enough("there was not enough memory to load the model")

    def _fitting(self, folder: Path) -> Predictor:
        if not _is_folder(folder):
            raise UserError('"url" does not name an existing folder; load a model whose files are in place')
        self._memory.check(folder)
        return self._load(folder)

    def _unused(self, name: str) -> weakref.ref[Predictor]:
        """Remove a model from the loaded ones, wait until no request uses it, and drop the reference to it."""
        with self._changed:
            entry = self._entry(name)
            del self._loaded[name]
            self._observe(len(self._loaded))
            self._changed.wait_for(lambda: not entry.users)
        return weakref.ref(entry.predictor)

    def _entry(self, name: str) -> _Entry:
        if name not in self._loaded:
            raise RequestError(404, "model_not_found", "no model with this name is loaded")
        return self._loaded[name]

    def _taken(self, name: str, start: float, size: int) -> dict[str, str | float]:
        return {"model": name, "seconds": round(time.monotonic() - start, 1), "megabytes": round(size / (1 << 20))}


def _check_name(name: str) -> None:
    allowed = (
        0 < len(name) <= NAME_CHARACTERS
        and not _NOT_IN_NAMES.search(name)
        and not name.startswith("/")
        and not {".", ".."} & set(name.split("/"))
    )
    if not allowed:
        raise _invalid(
            f'"model_name" must have 1 to {NAME_CHARACTERS} characters and no control character; it must not begin '
            'with "/" or have "." or ".." between slashes'
        )


def _is_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except PermissionError:
        return True  # what loads it says that it may not be read
    except OSError:
        return False


def _invalid(problem: str) -> RequestError:
    return RequestError(400, "invalid_request", problem)
