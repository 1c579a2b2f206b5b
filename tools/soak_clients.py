"""Phases of the soak whose clients misbehave: odd requests, slow ones, and connections that break off."""

import contextlib
import itertools
import random
import re
import secrets
import socket
import struct
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection

from soak_report import (
    MEGABYTE,
    PING_EVERY_SECONDS,
    PING_SECONDS,
    Row,
    Sizes,
    counts,
    percentile,
    problems,
    repeating,
    say,
    slowest,
    works,
)
from soak_requests import INVOCATIONS, TEXT, Request, odd_request, records
from soak_server import Answer, Server, Start, ask, wait_until

FUZZ_THREADS = 4  # fewer than any server lets wait
FUZZ_GROWTH = 0.15  # at rest it goes up and down by a tenth: what threads free is in pieces
SAMPLE_SECONDS = 0.25
KEPT_SAMPLES = 40  # ten seconds: in some of them no request of several MB is being answered
NO_SUCH_HTTP = (501, 505)  # what broken HTTP may be answered besides 4xx
BYTES_SECONDS = 1.0  # broken HTTP that is not answered by then may wait for more
SLOW_RATIO = 3
RESET_THREADS = 8
CALM_SECONDS = 5
CALM_WITHIN_SECONDS = 30
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close at once, with RST
_STATUS = re.compile(rb"HTTP/1\.\d (\d{3})")


# --- fuzz


def fuzz(start: Start, sizes: Sizes) -> Row:
    """Send requests that are odd in every way: no process dies, grows, answers 5xx or tells what was in them.

    It grows where the least memory that it has while it answers grows: large requests take tens of MB meanwhile.
    """
    marker = f"soak{secrets.token_hex(8)}"
    with start() as server:
        with repeating(server.memory, SAMPLE_SECONDS) as before:
            _odd_answers(server, sizes.fuzz_requests, sizes.seed + 1, marker)
        kept = min(before[-KEPT_SAMPLES:])
        say(f"fuzz: warm, at {kept / MEGABYTE:.0f} MB")
        workers = server.workers()
        with repeating(server.memory, SAMPLE_SECONDS) as after:
            seen = _odd_answers(server, sizes.fuzz_requests, sizes.seed, marker)
        growth = min(after[-KEPT_SAMPLES:]) / kept - 1
        found = {f"{fault}: {count}": True for fault, count in Counter(fault for _, fault in seen if fault).items()} | {
            "nothing was answered with 200": not any(status == 200 for status, _ in seen),
            "a worker was replaced": server.workers() != workers,
            f"memory grew by more than {FUZZ_GROWTH:.0%}": growth > FUZZ_GROWTH,
            "the log holds texts": marker in server.log(),
            "it no longer answers": not works(server),
        }
    statuses = counts(status or "closed" for status, _ in seen)
    return Row("odd requests", f"{len(seen):,} requests", f"{statuses}; memory {growth:+.1%}", problems(found))


def _odd_answers(server: Server, count: int, seed: int, marker: str) -> list[tuple[int, str]]:
    """Return the status of each answer, 0 for none, and what is wrong with it."""

    def ask_many(thread: int) -> list[tuple[int, str]]:
        chance = random.Random(seed * FUZZ_THREADS + thread)  # noqa: S311
        with contextlib.closing(server.connection(60)) as connection:
            return [_odd_answer(server, connection, chance, marker) for _ in range(count // FUZZ_THREADS)]

    with ThreadPoolExecutor(FUZZ_THREADS) as pool:
        return [pair for pairs in pool.map(ask_many, range(FUZZ_THREADS)) for pair in pairs]


def _odd_answer(server: Server, connection: HTTPConnection, chance: random.Random, marker: str) -> tuple[int, str]:
    request = odd_request(chance, marker)
    if request.raw:
        answer = _answer_to_bytes(server, request.body)
    else:
        answer = ask(connection, "POST", INVOCATIONS, request.body, request.headers)
    fault = _fault(request, answer, marker)
    if fault:
        say(f"fuzz: {fault} for {len(request.body)} bytes, {request.body[:60]!r}, {dict(request.headers)}")
    return answer.status, fault


def _answer_to_bytes(server: Server, content: bytes) -> Answer:
    """Send bytes and return what begins to come back soon; it may be nothing."""
    with contextlib.suppress(OSError), server.socket(BYTES_SECONDS) as connection:
        connection.sendall(content)
        received = connection.recv(65536)
        return Answer(_status(received), received)
    return Answer(0)


def _status(received: bytes) -> int:
    status = _STATUS.match(received)
    return int(status[1]) if status else 0


def _fault(request: Request, answer: Answer, marker: str) -> str:
    """Say what is wrong with an answer; nothing where it is as it should be."""
    found = {
        "no answer": answer.status == 0 and not request.raw,
        f"status {answer.status}": answer.status >= 500 and not (request.raw and answer.status in NO_SUCH_HTTP),
        "a refusal that tells the text": answer.status != 200 and marker.encode() in answer.body,
    }
    return next(iter(problems(found)), "")


# --- slow clients


def slow(start: Start, sizes: Sizes) -> Row:
    """Ask beside clients that send a byte a second, half of them their headers and half their bodies."""
    with start() as server:
        _one_after_another(server, sizes.texts, sizes.slow_seconds / 4)
        alone = _one_after_another(server, sizes.texts, sizes.slow_seconds)
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(server.socket()) for _ in range(sizes.slow_connections)]
            for number, client in enumerate(clients):
                client.sendall(_SLOW_STARTS[number % 2])
            say(f"slow: {len(clients)} slow clients are connected")
            with repeating(lambda: _drip(clients), 1.0), repeating(server.ping, PING_EVERY_SECONDS) as pings:
                beside = _one_after_another(server, sizes.texts, sizes.slow_seconds)
            ended = [_finish(client, number) for number, client in enumerate(clients)]
    ratios = [percentile(beside, share) / percentile(alone, share) for share in (0.5, 0.99)]
    found = {
        "a normal request failed": any(answer.status != 200 for answer in (*alone, *beside)),
        f"the median took more than {SLOW_RATIO} times as long": ratios[0] > SLOW_RATIO,
        f"a ping took more than {PING_SECONDS:.0f} s": slowest(pings) > PING_SECONDS,
        "a slow client was not answered in the end": any(status != 200 for status in ended),
    }
    result = (
        f"others' median x {ratios[0]:.2f}, p99 x {ratios[1]:.2f} ({len(alone):,} alone, {len(beside):,} beside); "
        f"slowest ping {slowest(pings):.2f} s; slow ones in the end {counts(ended)}"
    )
    return Row("slow clients", f"{len(clients)} connections, {sizes.slow_seconds:.0f} s", result, problems(found))


def _one_after_another(server: Server, texts: Sequence[str], seconds: float) -> list[Answer]:
    answers = []
    deadline = time.monotonic() + seconds
    with contextlib.closing(server.connection(60)) as connection:
        for text in itertools.cycle(texts):
            answers.append(ask(connection, "POST", INVOCATIONS, text.encode(), TEXT))
            if time.monotonic() > deadline:
                return answers
    return answers


_SLOW_BYTES = 4096
_SLOW_STARTS = (
    b"GET /ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\nSlow: ",
    b"POST /invocations HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % _SLOW_BYTES,
)


def _drip(clients: Sequence[socket.socket]) -> None:
    for client in clients:
        with contextlib.suppress(OSError):  # one that was cut off is found out in the end
            client.sendall(b"x")


def _finish(client: socket.socket, number: int) -> int:
    """Send at once what a slow client still owes; return the answer's status, 0 for none."""
    rest = (b"\r\n\r\n", b"x" * _SLOW_BYTES)[number % 2]  # what is too much of a body is not read
    with contextlib.suppress(OSError):
        client.sendall(rest)
        return _status(client.recv(65536))
    return 0


# --- reset connections


def resets(start: Start, sizes: Sizes) -> Row:
    """Break off connections with RST at every point of a request; the server keeps nothing of them.

    Between nginx and gunicorn, it may keep one connection for each client at a time, open at both ends.
    """
    steps = list(_reset_steps(sizes).items())
    with start() as server:
        _reset_many(server, steps, len(steps) * RESET_THREADS)
        with repeating(server.descriptors, SAMPLE_SECONDS) as calming:  # some abandoned requests are still computed
            time.sleep(CALM_SECONDS)
        workers, before = server.workers(), min(calming)
        say(f"resets: {before} descriptors before")
        _reset_many(server, steps, sizes.resets)
        calm = wait_until(lambda: server.descriptors() <= before + 2 * RESET_THREADS, CALM_WITHIN_SECONDS)
        after = server.descriptors()
        found = {
            "descriptors were left open": calm is None,
            "a worker was replaced": server.workers() != workers,
            "it no longer answers": not works(server),
        }
    result = f"{before} open files and sockets before, {after} after"
    return Row("reset connections", f"{sizes.resets:,} connections", result, problems(found))


def _reset_steps(sizes: Sizes) -> Mapping[str, bytes]:
    """What is sent before the reset, by how far the request came."""
    post = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: application/jsonlines\r\n"
    whole = records(sizes.texts, 5)
    return {
        "nothing": b"",
        "headers": post,
        "body": post + b"Content-Length: 100000\r\n\r\n" + b"x" * 1000,
        "request": post + b"Content-Length: %d\r\n\r\n%s" % (len(whole), whole),
        "answer": post + b"Content-Length: %d\r\n\r\n%s" % (len(whole), whole),
    }


def _reset_many(server: Server, steps: Sequence[tuple[str, bytes]], count: int) -> None:
    def reset(number: int) -> None:
        name, sent = steps[number % len(steps)]
        with contextlib.suppress(OSError), server.socket(60) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            connection.sendall(sent)
            if name == "answer":
                connection.recv(20)

    with ThreadPoolExecutor(RESET_THREADS) as pool:
        list(pool.map(reset, range(count)))
