"""One request, from its body to its answer."""

import functools
import itertools
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from classifier.artifact import Label
from classifier.backends import Encoded
from classifier.errors import RecordError, RequestError
from classifier.predictor import Predictor
from classifier.serving import answers, compression, media_types, records
from classifier.serving.batcher import BackendError, Batcher
from classifier.serving.json_records import Identified, content_of
from classifier.serving.limits import Limits
from classifier.serving.metrics import Metrics
from classifier.serving.records import Record
from classifier.serving.requests import OF, STREAMED, Requests
from classifier.serving.settings import ServingSettings

# Of an answer, what is kept in memory; more of it is a file, which is removed when it is sent.
ANSWER_BYTES_IN_MEMORY = 1 << 20


@dataclass(frozen=True)
class Invocation:
    """The parts of a request that its answer depends on.

    Attributes:
        body: The records.
        size: Bytes in it.
        content_type: The Content-Type header, empty where there is none.
        accept: The Accept header, empty where there is none.
        is_abandoned: Says whether nobody waits for the answer any more.
        content_encoding: The Content-Encoding header, empty where there is none.
    """

    body: IO[bytes]
    size: int
    content_type: str = ""
    accept: str = ""
    is_abandoned: Callable[[], bool] = lambda: False
    content_encoding: str = ""


@dataclass(frozen=True)
class Answer:
    """What goes back.

    Attributes:
        body: The predictions; whoever sends them closes it.
        size: Bytes in it.
        content_type: Their media type, without parameters.
    """

    body: IO[bytes]
    size: int
    content_type: str


@dataclass
class Usage:
    """What a request took, so far."""

    records: int = 0
    bad_records: int = 0
    tokens: int = 0
    queued_seconds: float = 0.0
    computed_seconds: float = 0.0


@dataclass(frozen=True)
class Service:
    """What all requests of a process share.

    Attributes:
        settings: What ``serve`` was told.
        limits: What is taken on at once.
        batcher: What computes.
        metrics: What is counted.
        preparing: Held while records are made ready, which takes memory and a processor.
    """

    settings: ServingSettings
    limits: Limits
    batcher: Batcher
    metrics: Metrics
    preparing: threading.BoundedSemaphore

    @classmethod
    def of(cls, settings: ServingSettings) -> "Service":
        """Make it as the settings say, the threads that compute among it."""
        metrics = Metrics(shared=settings.workers > 1)
        batcher = Batcher(settings.predictions_at_once, settings.batch_tokens, metrics.batch)
        return cls(
            settings,
            Limits(settings.capacity, settings.body_bytes, metrics.depth),
            batcher,
            metrics,
            threading.BoundedSemaphore(settings.predictions_at_once),
        )


def invoke(invocation: Invocation, predictor: Predictor, service: Service, usage: Usage) -> Answer:
    """Answer a request. What its headers and its size say is refused before its body is read.

    JSON Lines and CSV are read, computed and answered some records at a time. The answer waits in a file until it is
    whole, so that its status is true.

    Raises:
        RequestError: 406, 415, 400 or 413, checked in this order.
    """
    settings = service.settings
    answer_type = media_types.choose_answer(invocation.accept, invocation.content_type, settings.default_accept)
    requests = replace(OF[predictor.modality.name](settings.allowed_hosts), labels=_names(predictor.labels))
    kind = media_types.request_type(invocation.content_type, must_name_one=settings.batch, requests=requests)
    compressed = compression.is_compressed(invocation.content_encoding)
    streamed = kind in STREAMED
    refuses = (settings.bad_records or ("answer" if streamed else "refuse")) == "refuse"
    bounds = records.Bounds(settings.max_whole_megabytes << 20, settings.max_records, settings.max_lines)
    size = 0 if streamed else records.checked_size(invocation.size, bounds, requests)
    if compressed:
        size = min(size * compression.MOST_GROWTH, bounds.whole_bytes)
    with service.limits.memory(size + requests.fetched_bytes.get(kind, 0)) as reading:
        with reading:
            complete = _Complete(invocation.body, invocation.size)
            stream = compression.Decompressed(complete, bounds.whole_bytes) if compressed else complete
            body = records.read(stream, kind, bounds, requests)
            chunks: Iterable[Sequence[Record]] = body.chunks if streamed else list(body.chunks)
            if refuses:
                chunks = _none_bad(chunks, usage)
        places = itertools.repeat("") if body.single else (f"record {number}: " for number in itertools.count())
        chunks = (_checked(chunk, places, requests, predictor, service) for chunk in _wanted(chunks, invocation))
        if refuses:
            chunks = _none_bad(chunks, usage)
        answered = ((chunk, _predicted(chunk, predictor, service, usage)) for chunk in chunks)
        layout = answers.Layout(answer_type, predictor.labels, settings.inference_output)
        return _written(answers.pieces(layout, answered, single=body.single), answer_type.media_type)


@functools.lru_cache(maxsize=64)
def _names(labels: tuple[Label, ...]) -> frozenset[str]:
    return frozenset(map(str, labels))


class _Complete:
    """A body that says so when its connection broke before all of it came."""

    def __init__(self, stream: IO[bytes], size: int) -> None:
        self._stream = stream
        self._left = size

    def read(self, size: int, /) -> bytes:
        piece = self._stream.read(size)
        self._left -= len(piece)
        if size and not piece and self._left > 0:
            raise RequestError(400, "incomplete_body", "the connection ended before the body did; send it again")
        return piece


def _wanted(chunks: Iterable[Sequence[Record]], invocation: Invocation) -> Iterator[Sequence[Record]]:
    """Go on as long as somebody waits for the answer."""
    for chunk in chunks:
        if invocation.is_abandoned():
            raise RequestError(400, "client_gone", "the client closed the connection before it was answered")
        yield chunk


def _none_bad(chunks: Iterable[Sequence[Record]], usage: Usage) -> Iterable[Sequence[Record]]:
    """Refuse a request for its first bad record: at once where the records are all there, else when it comes."""
    checked = (_good(chunk, usage) for chunk in chunks)
    return list(checked) if isinstance(chunks, list) else checked


def _good(chunk: Sequence[Record], usage: Usage) -> Sequence[Record]:
    bad = [record for record in map(content_of, chunk) if isinstance(record, RequestError)]
    usage.bad_records += len(bad)
    for record in bad:
        raise record
    return chunk


def _checked(
    chunk: Sequence[Record], places: Iterator[str], requests: Requests, predictor: Predictor, service: Service
) -> Sequence[Record]:
    """Return a chunk's records as the model takes them; what can't be taken becomes an error, which names its place."""
    fetched = [_tried(requests.fetch, record) for record in chunk]
    with service.preparing:
        return [_tried(predictor.decode, *pair) for pair in zip(fetched, places, strict=False)]


def _tried(step: Callable[[Any], Any], record: Record, place: str = "") -> Record:
    """Take a record a step further, or return its error: a new one, which holds no frame with what it was."""
    if isinstance(record, Identified):
        return replace(record, content=_tried(step, record.content, place))
    if isinstance(record, RequestError):
        return record
    try:
        return step(record)
    except RecordError as error:
        return RequestError(400, "invalid_record", f"{place}not read: {error}")
    except RequestError as error:
        return RequestError(error.status, error.code, f"{place}{error.message}")
    except Exception as error:  # noqa: BLE001  it may hold a record
        raise BackendError(error) from None


def _predicted(chunk: Sequence[Record], predictor: Predictor, service: Service, usage: Usage) -> NDArray[np.float32]:
    """Return the probabilities of a chunk's texts, float32[texts, labels], and note what they took."""
    texts = [record for record in map(content_of, chunk) if not isinstance(record, RequestError)]
    with service.preparing:
        encoded = _prepared(predictor, texts)
    usage.records += len(chunk)
    usage.bad_records += len(chunk) - len(texts)
    usage.tokens += sum(text.tokens for text in encoded)
    most = service.settings.max_tokens
    if most and usage.tokens > most:
        raise RequestError(413, "too_many_tokens", f"more than {most} tokens, which SERVING_MAX_TOKENS sets; send less")
    probabilities, timing = service.batcher.predict(predictor, encoded)
    usage.queued_seconds += timing.queued_seconds
    usage.computed_seconds += timing.computed_seconds
    service.metrics.queued(timing.queued_seconds)
    service.metrics.answered(encoded)
    if not service.settings.multi_model:  # drift is one model's
        service.metrics.predicted(predictor.labels, probabilities, encoded)
    return probabilities


def _prepared(predictor: Predictor, texts: Sequence[Any]) -> list[Encoded]:
    try:
        return predictor.encode(texts)
    except Exception as error:  # noqa: BLE001  it may hold a text
        raise BackendError(error) from None


def _written(pieces: Iterator[bytes], media_type: str) -> Answer:
    file = tempfile.SpooledTemporaryFile(ANSWER_BYTES_IN_MEMORY)  # noqa: SIM115  closed by whoever sends it
    try:
        for piece in pieces:  # writelines would keep all of them in memory first
            file.write(piece)
    except BaseException:
        file.close()
        raise
    size = file.tell()
    file.seek(0)
    return Answer(file, size, media_type)
