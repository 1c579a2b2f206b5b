"""The servers that are compared: how each is started, what it is sent, and what in its answer is the label."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kit import PEER_PROGRAMS, PEERS, TOOLKIT
from soak_server import SERVE

OURS = "ours"
FLASK = "flask"
ENGINES = ("tensorflow", "openvino-float32", "openvino-bfloat16")


@dataclass(frozen=True)
class Contender:
    """A server.

    Attributes:
        name: What it is called in results and options.
        title: What it is called in tables.
        command: What starts it; takes SAGEMAKER_BASE_DIR and SAGEMAKER_BIND_TO_PORT.
        environ: What else it is told.
        converted: Whether it serves the model as `transformers` loads it, and not the model folder.
        content_type: Of a request.
        accept: Of a request whose label is wanted.
        body: A text to a request's body, which is one line.
        label: An answer to the label in it.
    """

    name: str
    title: str
    command: tuple[str, ...]
    environ: Mapping[str, str] = field(default_factory=dict)
    converted: bool = False
    content_type: str = "application/x-text"
    accept: str = "application/json;verbose"
    body: Callable[[str], str] = lambda text: " ".join(text.split())
    label: Callable[[bytes], str] = lambda answer: str(json.loads(answer)["predicted_label"])

    @property
    def bodies(self) -> str:
        """The name of the file that holds its requests' bodies."""
        return f"bodies-{'json' if self.converted else 'text'}"


def _peer(name: str, title: str, python: Path, program: str, **environ: str) -> Contender:
    return Contender(
        name,
        title,
        (str(python), str(PEER_PROGRAMS / program)),
        environ,
        converted=True,
        content_type="application/json",
        accept="application/json",
        body=lambda text: json.dumps({"inputs": " ".join(text.split())}),
        label=lambda answer: str(json.loads(answer)[0]["label"]),
    )


def _ours(name: str, title: str, engine: str) -> Contender:
    return Contender(name, title, SERVE, {"SERVING_ENGINE": engine})


def contenders() -> dict[str, Contender]:
    """Return the servers by name, in the order they take turns."""
    servers = [
        _peer(FLASK, "Flask, transformers' pipeline, PyTorch", PEERS, "flask_server.py"),
        _peer("flask-1-thread", "Flask, a thread a worker", PEERS, "flask_server.py", OMP_NUM_THREADS="1"),
        _peer("toolkit", "AWS's Hugging Face toolkit", TOOLKIT, "toolkit_server.py"),
        _ours(OURS, "ours", "auto"),
        *(_ours(f"{OURS}-{engine}", f"ours, {engine}", engine) for engine in ENGINES),
    ]
    return {server.name: server for server in servers}
