"""A request, from its body to its response."""

import functools
import itertools
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from classifier import explanation
from classifier.artifact import Label
from classifier.backends import Encoded
from classifier.errors import RecordError, RequestError
from classifier.explanation import Span, Word
from classifier.predictor import Predictor
from classifier.serving import answers, compression, csv_texts, media_types, records
from classifier.serving.batcher import BackendError, Batcher
from classifier.serving.json_records import Identified, content_of
from classifier.serving.limits import Limits
from classifier.serving.metrics import Metrics
from classifier.serving.records import Record
from classifier.serving.requests import OF, STREAMED, Requests
from classifier.serving.settings import ServingSettings

# A larger answer is kept in a temporary file until it is sent.
ANSWER_BYTES_IN_MEMORY = 1 << 20
# Of a text of which the encoder reads the beginning only, so many characters cost less than a token to prepare.
CHARACTERS_A_TOKEN = 32


@dataclass(frozen=True)
class Invocation:
    """The parts of a request that its answer depends on.

    Attributes:
        body: A stream of the request's body.
        size: Its length in bytes.
        content_type: The Content-Type header; empty if there is none.
        accept: The Accept header; empty if there is none.
        is_abandoned: Returns whether the client has disconnected.
        content_encoding: The Content-Encoding header; empty if there is none.
    """

    body: IO[bytes]
    size: int
    content_type: str = ""
    accept: str = ""
    is_abandoned: Callable[[], bool] = lambda: False
    content_encoding: str = ""


@dataclass(frozen=True)
class Answer:
    """The response to a request that succeeded.

    Attributes:
        body: A stream of the predictions; the caller closes it.
        size: Its length in bytes.
        content_type: Its media type, without parameters.
    """

    body: IO[bytes]
    size: int
    content_type: str


@dataclass
class Usage:
    """What a request has used so far, for the log and the metrics."""

    records: int = 0
    bad_records: int = 0
    joined_records: int = 0  # CSV records over several lines
    tokens: int = 0
    explained_tokens: int = 0
    queued_seconds: float = 0.0
    computed_seconds: float = 0.0


@dataclass(frozen=True)
class Service:
    """What all requests of a process share.

    Attributes:
        settings: The server's settings.
        limits: How many requests are handled at the same time.
        batcher: Computes the predictions.
        metrics: The process's metrics.
        preparing: Held while records are decoded and encoded, which takes memory and a processor.
    """

    settings: ServingSettings
    limits: Limits
    batcher: Batcher
    metrics: Metrics
    preparing: threading.BoundedSemaphore

    @classmethod
    def of(cls, settings: ServingSettings) -> "Service":
        """Create it from the settings; this starts the batcher's threads."""
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
    """Answer a request.

    The headers and the size are checked before the body is read. JSON Lines and CSV are read and predicted in chunks
    of records. The answer is completed in a temporary file before it is sent, so that the status code is right.

    Args:
        invocation: The request.
        predictor: The model.
        service: What the process's requests share.
        usage: Updated with what the request uses, also if it fails.

    Raises:
        RequestError: 406, 415, 400 or 413, checked in this order; of the limits on tokens, while it is computed.

    Example:
        >>> import io
        >>> import numpy as np
        >>> from classifier.backends import Encoded
        >>> from classifier.predictor import Predictor
        >>> from classifier.serving.settings import ServingSettings
        >>> class Coin:  # a backend that finds both labels equally likely
        ...     def encode(self, records):
        ...         return [Encoded(record, tokens=1) for record in records]
        ...     def run_batch(self, batch):
        ...         return np.full((len(batch), 2), 0.5, np.float32)
        >>> predictor = Predictor(Coin(), labels=("brakes", "engine"))
        >>> service = Service.of(ServingSettings.from_environ({}))
        >>> body = b'["Pedal goes soft", "Stalls when cold"]'
        >>> request = Invocation(io.BytesIO(body), len(body), "application/json", "text/csv")
        >>> with invoke(request, predictor, service, Usage()).body as answer:
        ...     print(answer.read().decode())
        brakes,0.50000000
        brakes,0.50000000
    """
    settings = service.settings
    answer_type = media_types.choose_answer(invocation.accept, invocation.content_type, settings.default_accept)
    if answer_type.explain and predictor.modality.is_array:
        problem = (
            f"explain in Accept is for models of texts, and this one reads {predictor.modality.name}s; leave it out"
        )
        raise RequestError(406, "not_acceptable", problem)
    requests = _requests(predictor.modality.name, settings.allowed_hosts, tuple(predictor.labels))
    kind = media_types.request_type(invocation.content_type, must_name_one=settings.batch, requests=requests)
    compressed = compression.is_compressed(invocation.content_encoding)
    streamed = kind in STREAMED
    refuses = (settings.bad_records or ("answer" if streamed else "refuse")) == "refuse"
    look_ahead = csv_texts.LOOK_AHEAD if settings.csv_line_breaks else csv_texts.NO_LOOK_AHEAD
    bounds = records.Bounds(settings.max_whole_megabytes << 20, settings.max_records, settings.max_lines, look_ahead)
    size = 0 if streamed else records.checked_size(invocation.size, bounds, requests)
    if compressed:
        size = min(size * compression.MOST_GROWTH, bounds.whole_bytes)
    with service.limits.memory(size + requests.fetched_bytes.get(kind, 0)) as reading:
        with reading:
            complete = _Complete(invocation.body, invocation.size)
            stream = compression.Decompressed(complete, bounds.whole_bytes) if compressed else complete
            body = records.read(stream, kind, bounds, requests)
            chunks: Iterable[Sequence[Record]] = _without_errors(body.chunks, usage) if refuses else body.chunks
            if not streamed:
                chunks = list(chunks)  # an error in any record is found before the first one is computed
        locations = itertools.repeat("") if body.single else (f"record {number}: " for number in itertools.count())
        chunks = (_decoded(chunk, locations, requests, predictor, service) for chunk in _wanted(chunks, invocation))
        if refuses:
            chunks = _without_errors(chunks, usage)
        prepared: Iterable[_Prepared] = (
            _prepared(chunk, predictor, service, usage, explain=answer_type.explain) for chunk in chunks
        )
        if answer_type.explain and settings.max_explained_tokens:
            prepared = list(prepared)  # the cost of the request is known before anything is computed
        check = functools.partial(_check_wanted, invocation)
        answered = ((each.records, *_predicted(each, predictor, service, usage, check)) for each in prepared)
        layout = answers.Layout(answer_type, predictor.labels, settings.inference_output, predictor.thresholds)
        answer = _written(answers.pieces(layout, answered, single=body.single), answer_type.media_type)
        usage.joined_records = body.joined()
        return answer


@functools.lru_cache(maxsize=64)
def _requests(modality: str, allowed_hosts: frozenset[str], labels: tuple[Label, ...]) -> Requests:
    """Return how requests to a model are read; cached, because all requests to it are read alike."""
    return replace(OF[modality](allowed_hosts), labels=frozenset(map(str, labels)))


class _Complete:
    """A body that raises an error if its connection ends before the announced size."""

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
    """Yield the chunks, and stop when the client has disconnected."""
    for chunk in chunks:
        _check_wanted(invocation)
        yield chunk


def _check_wanted(invocation: Invocation) -> None:
    if invocation.is_abandoned():
        raise RequestError(400, "client_gone", "the client closed the connection before it was answered")


def _without_errors(chunks: Iterable[Sequence[Record]], usage: Usage) -> Iterator[Sequence[Record]]:
    """Yield the chunks, and raise the first error among their records."""
    for chunk in chunks:
        errors = [record for record in map(content_of, chunk) if isinstance(record, RequestError)]
        usage.bad_records += len(errors)
        for error in errors:
            raise error
        yield chunk


def _decoded(
    chunk: Sequence[Record], locations: Iterator[str], requests: Requests, predictor: Predictor, service: Service
) -> Sequence[Record]:
    """Return a chunk's records decoded for the model; a record that can't be decoded becomes an error that names it."""
    fetched = [_tried(requests.fetch, record) for record in chunk]
    with service.preparing:
        return [_tried(predictor.decode, *pair) for pair in zip(fetched, locations, strict=False)]


def _tried(step: Callable[[Any], Any], record: Record, location: str = "") -> Record:
    """Return a step's result for a record, or its error: a new one, whose frames don't hold the record."""
    if isinstance(record, Identified):
        return replace(record, content=_tried(step, record.content, location))
    if isinstance(record, RequestError):
        return record
    try:
        return step(record)
    except RecordError as error:
        return RequestError(400, "invalid_record", f"{location}can't be read: {error}")
    except RequestError as error:
        return RequestError(error.status, error.code, f"{location}{error.message}")
    except Exception as error:  # noqa: BLE001  it may hold a record
        raise BackendError(error) from None


@dataclass(frozen=True)
class _Prepared:
    """A chunk before it is computed.

    Attributes:
        records: Its records.
        inputs: Those that are good.
        encoded: The same, encoded.
        spans: The words of each of them; None if they aren't to be explained.
    """

    records: Sequence[Record]
    inputs: Sequence[Any]
    encoded: Sequence[Encoded]
    spans: Sequence[Sequence[Span]] | None


def _prepared(
    chunk: Sequence[Record], predictor: Predictor, service: Service, usage: Usage, *, explain: bool
) -> _Prepared:
    """Encode a chunk's good records, and update the usage.

    Raises:
        RequestError: The request is larger than one may be.
    """
    inputs = [record for record in map(content_of, chunk) if not isinstance(record, RequestError)]
    with service.preparing:
        encoded = _encoded(predictor, inputs)
    usage.records += len(chunk)
    usage.bad_records += len(chunk) - len(inputs)
    usage.tokens += sum(each.tokens for each in encoded)
    most = service.settings.max_tokens
    if most and usage.tokens > most:
        problem = f"the request exceeds {most} tokens (SERVING_MAX_TOKENS); send fewer or shorter records"
        raise RequestError(413, "too_many_tokens", problem)
    return _Prepared(chunk, inputs, encoded, _spans(inputs, encoded, predictor, service, usage) if explain else None)


def _predicted(
    prepared: _Prepared, predictor: Predictor, service: Service, usage: Usage, check_wanted: Callable[[], None]
) -> tuple[NDArray[np.float32], list[list[Word]]]:
    """Return the probabilities of a chunk's good records, float32[good records, labels], and update the usage.

    The words that made their labels come with them, if they are to be explained; otherwise an empty list.
    """
    encoded = prepared.encoded
    probabilities = _computed(encoded, predictor, service, usage)
    service.metrics.answered(encoded)
    if not service.settings.multi_model:  # drift is one model's
        service.metrics.predicted(predictor.labels, probabilities, encoded)

    def predict(texts: Sequence[str]) -> NDArray[np.float32]:
        check_wanted()
        size = max(1, records.CHUNK_BYTES // (len(texts[0]) + 1))  # other requests prepare their records in between
        parts = []
        for first in range(0, len(texts), size):
            with service.preparing:
                variants = _encoded(predictor, texts[first : first + size])
            parts.append(_computed(variants, predictor, service, usage))
        return np.concatenate(parts)

    if prepared.spans is None:
        return probabilities, []
    explained = zip(prepared.inputs, prepared.spans, probabilities, strict=True)
    return probabilities, [explanation.explain(*of_text, predict) for of_text in explained]


def _spans(
    texts: Sequence[str], encoded: Sequence[Encoded], predictor: Predictor, service: Service, usage: Usage
) -> list[list[Span]]:
    """Return the words of texts, and refuse a request whose texts have more of them than may be explained."""

    def encode(text: str) -> bytes:
        with service.preparing:
            return bytes(_encoded(predictor, [text])[0].content)

    spans = [explanation.spans(text, encode) for text in texts]
    usage.explained_tokens += sum(
        max(each.tokens, len(text) // CHARACTERS_A_TOKEN) * len(words)
        for text, each, words in zip(texts, encoded, spans, strict=True)
    )
    most = service.settings.max_explained_tokens
    if most and usage.explained_tokens > most:
        problem = (
            f"to explain the request takes more than {most} tokens, those of each record times its words "
            "(SERVING_MAX_EXPLAINED_TOKENS); send fewer or shorter records, or leave explain out of Accept"
        )
        raise RequestError(413, "too_many_tokens", problem)
    return spans


def _computed(encoded: Sequence[Encoded], predictor: Predictor, service: Service, usage: Usage) -> NDArray[np.float32]:
    """Return the probabilities of encoded records, float32[records, labels], and update the usage."""
    probabilities, timing = service.batcher.predict(predictor, encoded)
    usage.queued_seconds += timing.queued_seconds
    usage.computed_seconds += timing.computed_seconds
    service.metrics.queued(timing.queued_seconds)
    return probabilities


def _encoded(predictor: Predictor, inputs: Sequence[Any]) -> list[Encoded]:
    try:
        return predictor.encode(inputs)
    except Exception as error:  # noqa: BLE001  it may hold a record
        raise BackendError(error) from None


def _written(pieces: Iterator[bytes], media_type: str) -> Answer:
    file = tempfile.SpooledTemporaryFile(ANSWER_BYTES_IN_MEMORY)  # noqa: SIM115  closed by the caller
    try:
        for piece in pieces:  # writelines would keep all of them in memory first
            file.write(piece)
    except BaseException:
        file.close()
        raise
    size = file.tell()
    file.seek(0)
    return Answer(file, size, media_type)
