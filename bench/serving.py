"""Serving, ours beside peers: `python bench/serving.py --help`. Results go to build/bench/serving.jsonl.

One fine-tuned classifier, the test texts of SST-2, one server after the other in each round, and beside them loops
over the same model without HTTP, and `batch`. A run that was broken off goes on where it was.
"""

import argparse
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import bare
import batch_rows
import machine
from kit import (
    PEER_PROGRAMS,
    PEERS,
    WORK,
    Record,
    Rows,
    add,
    last_json,
    load_option_parser,
    of_setup,
    refusals,
    sst2,
    write,
)
from load import first_answer, labels, level
from local_run import train
from servers import OURS, Contender, contenders
from soak_report import say
from start import running
from targets import BATCH

RESULTS = WORK / "serving.jsonl"
CONNECTIONS = (1, 8, 32)
WARM_CONNECTIONS = 8
TEXTS_ASKED_ONE_BY_ONE = 300
_ENGINE = re.compile(r"engine_chosen.*?\"engine\": \"([\w-]+)")


@dataclass(frozen=True)
class Trial:
    """What all servers are measured with.

    Attributes:
        model: The model folder.
        converted: The same for `transformers`.
        rows: The test rows.
        reference: The labels that PyTorch answers in float32, without a server.
        seconds: How long each load lasts.
        warm_seconds: How long the load before them lasts.
    """

    model: Path
    converted: Path
    rows: Rows
    reference: Sequence[str]
    seconds: float
    warm_seconds: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the rounds that are not done yet."""
    options = _options(arguments)
    trial = prepare(options)
    setup = {**machine.setup(), "seconds": options.seconds}
    done = {(record["round"], record["who"]): record for record in of_setup(RESULTS, setup)}
    for turn in range(1, options.rounds + 1):
        engine = done.get((turn, OURS), {}).get("engine")
        for who, measure in turns(trial, options.only):
            if (turn, who) in done or (engine and who == f"{OURS}-{engine}"):
                continue
            record = {"setup": setup, "round": turn, "who": who, **measured(who, measure)}
            engine = record.get("engine", engine)
            add(RESULTS, record)
    return 0


def prepare(options: argparse.Namespace) -> Trial:
    """Train the model where there is none, convert it for the peers, and write what is sent."""
    model = options.model or trained(WORK / "sst2")
    rows = sst2("test")
    WORK.mkdir(parents=True, exist_ok=True)
    texts, converted = WORK / "texts.json", WORK / "converted"
    texts.write_text(json.dumps(rows.texts), encoding="utf-8")
    reference = WORK / "labels.json"
    command = [str(PEERS), str(PEER_PROGRAMS / "convert.py"), str(model), str(converted), str(texts), str(reference)]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    for contender in contenders().values():
        lines = "".join(contender.body(text) + "\n" for text in rows.texts)
        (WORK / contender.bodies).write_text(lines, encoding="utf-8")
    found = json.loads(reference.read_text(encoding="utf-8"))
    return Trial(model, converted, rows, found, options.seconds, options.warm)


def trained(base: Path) -> Path:
    """Return the folder of the model, trained once with three epochs, without n-grams, which peers can't compute."""
    model = base / "model"
    if not (model / "manifest.json").exists():
        say("serving: trains the model, once")
        write(base / "input" / "data" / "training" / "data.csv", sst2("train"))
        settings = base / "input" / "config" / "hyperparameters.json"
        settings.parent.mkdir(parents=True, exist_ok=True)
        settings.write_text(json.dumps({"epochs": "3", "ngram_features": "False"}), encoding="utf-8")
        train(base, base / "log")
    return model


def turns(trial: Trial, only: Sequence[str]) -> Iterator[tuple[str, Callable[[], Record]]]:
    """Yield what takes a turn in each round, and how it is measured; of a name's beginning in ``only``."""
    all_turns: dict[str, Callable[[], Record]] = {
        name: lambda contender=contender: served(contender, trial)  # type: ignore[misc]
        for name, contender in contenders().items()
    }
    all_turns |= {f"{bare.NAME}{loop}": lambda loop=loop: looped(loop, trial) for loop in bare.LOOPS}  # type: ignore[misc]
    all_turns[BATCH] = lambda: batch_rows.predicted(trial.model, trial.rows.texts, trial.reference)
    for name, measure in all_turns.items():
        if not only or any(name.startswith(each) for each in only):
            yield name, measure


def measured(who: str, measure: Callable[[], Record]) -> Record:
    """Return a turn's result, or why there is none."""
    record: Record = {}
    with refusals(record):
        record |= measure()
    loads = record.get("levels", {})
    shown = [f"{name}: {load['requests_per_second']:.0f}/s p99 {load['p99_ms']:.0f} ms" for name, load in loads.items()]
    say(f"{who}: {record.get('refused') or ', '.join(shown) or record.get('texts_per_second')}")
    return record


def served(contender: Contender, trial: Trial) -> Record:
    """Start a server, ask it, load it, and stop it."""
    bodies = WORK / contender.bodies
    with running(contender, trial.converted if contender.converted else trial.model) as started:
        server = started.server
        first_answer(server, contender, trial.rows.texts[0])
        answered = time.monotonic() - started.since
        engine = _ENGINE.findall(server.log())
        asked = labels(server, contender, trial.rows.texts[:TEXTS_ASKED_ONE_BY_ONE])
        level(server, contender, bodies, WARM_CONNECTIONS, trial.warm_seconds)
        loads = {str(count): level(server, contender, bodies, count, trial.seconds) for count in CONNECTIONS}
    return {
        "ready_seconds": started.ready_seconds,
        "answered_seconds": answered,
        "labels_equal": bare.share_equal(asked, trial.reference),
        "accuracy": bare.share_equal(asked, [str(label) for label in trial.rows.labels]),
        "levels": loads,
        **({"engine": engine[-1]} if engine and contender.name == OURS else {}),
    }


def looped(loop: str, trial: Trial) -> Record:
    """Run a loop without HTTP, in the environment that has its engine."""
    python = PEERS if loop in bare.PEER_LOOPS else Path(sys.executable)
    command = [str(python), bare.__file__, loop, str(trial.model), str(trial.converted)]
    command += [str(WORK / "texts.json"), str(WORK / "labels.json")]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise ValueError(done.stderr.strip())
    return last_json(done.stdout)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    names = "names, or their beginnings: ours,flask,bare,batch"
    return load_option_parser("Measure servers beside each other.", names, "SST-2").parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
