"""What is asked of a server: its labels one by one, and then as much as it bears from so many connections."""

import subprocess
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import machine
from kit import ROOT, Record, last_json
from servers import Contender
from soak_server import Server, ask, wait_until

INVOCATIONS = "/invocations"
SCRIPT = ROOT / "bench" / "wrk.lua"
LONGEST_ANSWER = "60s"
FIRST_ANSWER_SECONDS = 120


def first_answer(server: Server, contender: Contender, text: str) -> None:
    """Wait for the first answer; a server may say that it is well before it can give one.

    Raises:
        ValueError: There is none in time.
    """
    headers = {"Content-Type": contender.content_type}
    body = contender.body(text).encode()

    def answered() -> bool:
        with closing(server.connection(FIRST_ANSWER_SECONDS)) as connection:
            return ask(connection, "POST", INVOCATIONS, body, headers).status == 200

    if wait_until(answered, FIRST_ANSWER_SECONDS) is None:
        raise ValueError("it answers no request")


def labels(server: Server, contender: Contender, texts: Sequence[str]) -> list[str]:
    """Ask one text after the other, on one connection, and return the labels.

    Raises:
        ValueError: An answer is none.
    """
    headers = {"Content-Type": contender.content_type, "Accept": contender.accept}
    found = []
    with closing(server.connection()) as connection:
        for text in texts:
            answer = ask(connection, "POST", INVOCATIONS, contender.body(text).encode(), headers)
            if answer.status != 200:
                raise ValueError(f"answered {answer.status}")
            found.append(contender.label(answer.body))
    return found


def level(server: Server, contender: Contender, bodies: Path, connections: int, seconds: float) -> Record:
    """Load a server from so many connections, each of which asks when it was answered, and return what came of it.

    ``refused`` counts answers with a status of 400 or more, ``broken`` what was not answered at all.
    """
    before = machine.cpu_seconds(server.family())
    found = wrk(server.port, bodies, contender.content_type, connections, seconds)
    family = server.family()
    used = machine.cpu_seconds(family) - before
    return {
        **found,
        "requests_per_second": found["requests"] / found["seconds"],
        "cpu_seconds_per_1000": 1000 * used / max(found["requests"], 1),
        "memory_bytes": machine.memory(family),
    }


def wrk(port: int, bodies: Path, content_type: str, connections: int, seconds: float) -> Record:
    """Run wrk, and return what it counted.

    Raises:
        CalledProcessError: It did not run.
    """
    command = ["wrk", "--threads", "1", "--connections", str(connections), "--duration", f"{seconds:g}s"]
    command += ["--timeout", LONGEST_ANSWER, "--script", str(SCRIPT), f"http://127.0.0.1:{port}"]
    command += ["--", str(bodies), content_type]
    return last_json(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
