"""Phases of the soak that take the server to its limits: processes killed, long load, and a full queue."""

import contextlib
import itertools
import json
import random
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import psutil

from soak_report import (
    MEGABYTE,
    PING_EVERY_SECONDS,
    PING_SECONDS,
    Row,
    Sizes,
    counts,
    level,
    percentile,
    problems,
    repeating,
    say,
    slowest,
    works,
)
from soak_requests import IMAGE, INVOCATIONS, LINES, TEXT, records
from soak_server import ENDS_WITHIN_SECONDS, READY_WITHIN_SECONDS, Answer, Server, Start, ask, port_is_free, wait_until

BACK_WITHIN_SECONDS = 5
LOAD_GROWTH = 0.02
SAMPLE_SECONDS = 5
# The texts that others ask at the same time may change how an answer's numbers are rounded.
TOLERANCE = 0.01
STOP_SECONDS = 30  # then the platform kills
TURNED_AWAY_SECONDS = 1.0  # one that waits longer for nothing had been accepted


# --- kills


def kills(start: Start, _: Sizes) -> Row:
    """Kill -9 each kind of process: it is replaced, or all ends with an error and leaves the port."""
    outcomes = {}
    for index, name in itertools.product((1, 0), ("gunicorn", "nginx")):
        victim = f"{name}'s {'worker' if index else 'master'}"
        with start() as server:
            outcomes[victim] = _kill(server, name, index)
        say(f"kills: {victim}: {', '.join(outcomes[victim])}")
    result = "; ".join(f"{victim}: {seen}" for victim, (seen, _) in outcomes.items())
    found = [f"{victim}: {problem}" for victim, (_, problem) in outcomes.items() if problem]
    return Row("kill -9", f"{len(outcomes)} processes", result, found)


def _kill(server: Server, name: str, index: int) -> tuple[str, str]:
    """Kill a process; return what came of it, and what is wrong with that."""
    before, family = server.named(name), server.family()
    if len(before) <= index:
        return "not there", "there is no such process"
    killed = time.monotonic()
    before[index].kill()
    outcome = wait_until(lambda: _ended(server) or bool({*server.named(name)} - {*before}), BACK_WITHIN_SECONDS)
    if outcome is None:
        return "nothing", f"neither back nor all ended within {BACK_WITHIN_SECONDS} s"
    return _after_end(server, family, killed) if _ended(server) else _after_return(server, killed)


def _ended(server: Server) -> bool:
    return server.wait(0) is not None


def _after_return(server: Server, killed: float) -> tuple[str, str]:
    back = time.monotonic() - killed
    if wait_until(lambda: works(server), READY_WITHIN_SECONDS) is None:
        return f"back after {back:.1f} s", "it does not answer again"
    return f"back after {back:.1f} s, answers after {time.monotonic() - killed:.1f} s", ""


def _after_end(server: Server, family: Sequence[psutil.Process], killed: float) -> tuple[str, str]:
    status, seconds = server.wait(0), time.monotonic() - killed
    gone = wait_until(lambda: not any(map(_runs, family)), BACK_WITHIN_SECONDS)
    found = {
        "it ended as if all were well": status == 0,
        "processes are left": gone is None,
        "the port is not free": not port_is_free(server.port),
    }
    return f"all ended with status {status} after {seconds:.1f} s", ", ".join(problems(found))


def _runs(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


# --- load


@dataclass(frozen=True)
class Asked:
    """What became of a record that was asked.

    Attributes:
        status: Of the answer; 0 where none came whole.
        right: Whether the probabilities are the record's own.
        began: When it was asked, by the monotonic clock.
        seconds: How long it took.
    """

    status: int
    right: bool
    began: float
    seconds: float


def load(start: Start, sizes: Sizes) -> Row:
    """Ask texts on all connections without a pause, and stop the server in the middle of it."""
    bodies = [text.encode() for text in sizes.texts]
    return _load("load", start, bodies, TEXT, sizes.load_connections, sizes.load_minutes)


def images(start: Start, sizes: Sizes) -> Row:
    """Do the same with images, each a file."""
    return _load("load of images", start, sizes.images, IMAGE, sizes.load_connections, sizes.image_minutes)


def _load(
    what: str, start: Start, bodies: Sequence[bytes], headers: Mapping[str, str], connections: int, minutes: float
) -> Row:
    stopping = threading.Event()
    with start() as server, ThreadPoolExecutor(connections) as pool:
        expected = {body: _probabilities(server, body, headers) for body in bodies}
        say(f"{what}: {connections} connections for {minutes:g} minutes")
        clients = [pool.submit(_client, server, expected, headers, seed, stopping) for seed in range(connections)]
        try:
            watched, found = _watch(server, minutes * 60)
        finally:  # else the clients would ask for ever
            say(f"{what}: stopping")
            stopped = time.monotonic()
            stopping.set()
            status, seconds = _stop(server)
        asked = [one for client in clients for one in client.result()]
    served = [one for one in asked if one.began + one.seconds < stopped]
    rest = [one for one in asked if one.began + one.seconds >= stopped]
    found |= _judge_served(served) | _judge_stop(rest, stopped, status, seconds)
    result = (
        f"{len(served):,} answers, about {len(served) / (minutes * 60):.0f}/s here, "
        f"median {percentile(served, 0.5):.3f} s, p99 {percentile(served, 0.99):.3f} s; {watched}; SIGTERM: "
        f"{counts(one.status or 'turned away' for one in rest)}, ended with {status} after {seconds:.1f} s"
    )
    amount = f"{connections} connections, {minutes:g} minutes"
    return Row(f"{what}, then SIGTERM", amount, result, problems(found))


def _probabilities(server: Server, body: bytes, headers: Mapping[str, str]) -> list[float]:
    with contextlib.closing(server.connection(60)) as connection:
        return _read(ask(connection, "POST", INVOCATIONS, body, headers))


def _read(answer: Answer) -> list[float]:
    return list(json.loads(answer.body)["probabilities"]) if answer.status == 200 else []


def _client(
    server: Server,
    expected: Mapping[bytes, Sequence[float]],
    headers: Mapping[str, str],
    seed: int,
    stopping: threading.Event,
) -> list[Asked]:
    """Ask on one connection until it is turned away by a server that was told to stop."""
    chance = random.Random(seed)  # noqa: S311
    bodies, asked = list(expected), []
    with contextlib.closing(server.connection()) as connection:
        while True:
            body = chance.choice(bodies)
            answer = ask(connection, "POST", INVOCATIONS, body, headers)
            right = _alike(_read(answer), expected[body])
            asked.append(Asked(answer.status, right, answer.began, answer.seconds))
            if answer.status != 200 and stopping.wait(0.1):
                return asked


def _alike(some: Sequence[float], others: Sequence[float]) -> bool:
    pairs = zip(some, others, strict=False)
    return len(some) == len(others) > 0 and all(abs(one - other) < TOLERANCE for one, other in pairs)


def _watch(server: Server, seconds: float) -> tuple[str, dict[str, bool]]:
    """Look on while others ask: what the memory and the pings did, and what is wrong with that."""
    first = min(60.0, seconds / 4)
    every = min(SAMPLE_SECONDS, seconds / 20)
    with repeating(server.memory, every) as memory, repeating(server.ping, PING_EVERY_SECONDS) as pings:
        time.sleep(first)
        before = level(memory)
        say(f"memory: {before / MEGABYTE:.0f} MB after {first:.0f} s")
        time.sleep(seconds - first)
    growth = level(memory) / before - 1 if before else 0.0
    found = {
        f"memory grew by more than {LOAD_GROWTH:.0%}": growth > LOAD_GROWTH,
        f"a ping took more than {PING_SECONDS:.0f} s": slowest(pings) > PING_SECONDS,
    }
    seen = f"memory {before / MEGABYTE:.0f} MB after {first:.0f} s, then {growth:+.1%}"
    return f"{seen}; slowest ping {slowest(pings):.2f} s", found


def _stop(server: Server) -> tuple[int | None, float]:
    """Send SIGTERM; return the exit status, None where it does not end, and how long that took."""
    started = time.monotonic()
    with contextlib.suppress(psutil.NoSuchProcess):
        server.root.terminate()
    status = server.wait(ENDS_WITHIN_SECONDS)
    seconds = time.monotonic() - started
    with contextlib.suppress(psutil.NoSuchProcess):
        server.root.kill()
    return status, seconds


def _judge_served(served: Sequence[Asked]) -> dict[str, bool]:
    failed = [one.status or "closed" for one in served if one.status != 200]
    return {
        "nothing was answered": not served,
        f"failed under load: {counts(failed)}": bool(failed),
        "an answer was another record's": any(one.status == 200 and not one.right for one in served),
    }


def _judge_stop(rest: Sequence[Asked], stopped: float, status: int | None, seconds: float) -> dict[str, bool]:
    """Say what is wrong with a stop; a connection that is between two requests may be closed."""
    in_flight = [one for one in rest if one.began < stopped or one.seconds > TURNED_AWAY_SECONDS]
    lost = [one.status or "closed" for one in in_flight if one.status != 200]
    return {
        "nothing was in flight at the stop": not in_flight,
        f"lost at the stop: {counts(lost)}": bool(lost),
        "an error after the stop": any(one.status not in (0, 200) for one in rest),
        f"ended with {status}": status != 0,
        f"took more than {STOP_SECONDS} s to end": seconds > STOP_SECONDS,
    }


# --- busy


def busy(start: Start, sizes: Sizes) -> Row:
    """Send more long requests at once than may wait: each is answered or refused, and pings are answered meanwhile."""
    body = records(sizes.texts, sizes.busy_records)
    together = threading.Barrier(sizes.busy_connections)

    def post(_: int) -> Answer:
        with contextlib.closing(server.connection()) as connection:
            together.wait()
            return ask(connection, "POST", INVOCATIONS, body, LINES)

    with start() as server:
        say(f"busy: {sizes.busy_connections} requests of {sizes.busy_records} texts")
        with repeating(server.ping, PING_EVERY_SECONDS) as pings, ThreadPoolExecutor(sizes.busy_connections) as pool:
            answers = list(pool.map(post, range(sizes.busy_connections)))
        healthy = works(server)
    whole = [answer for answer in answers if answer.status == 200]
    refused = [answer for answer in answers if answer.status == 503]
    found = {
        "neither answered nor refused": len(whole) + len(refused) < len(answers),
        "nothing was answered": not whole,
        "the queue was never full": not refused,
        "an answer lacks records": any(answer.body.count(b"\n") + 1 != sizes.busy_records for answer in whole),
        "a refusal is not server_busy with Retry-After": not all(map(_is_busy, refused)),
        f"a ping took more than {PING_SECONDS:.0f} s": slowest(pings) > PING_SECONDS,
        "it no longer answers": not healthy,
    }
    result = (
        f"{counts(answer.status or 'closed' for answer in answers)}; slowest answer {percentile(whole, 1):.1f} s, "
        f"slowest ping of {len(pings)} {slowest(pings):.2f} s"
    )
    amount = f"{len(answers)} requests of {sizes.busy_records} texts at once"
    return Row("full queue", amount, result, problems(found))


def _is_busy(answer: Answer) -> bool:
    return "retry-after" in answer.headers and b'"server_busy"' in answer.body
