"""Serving images, ours beside a peer: `python bench/images.py --help`. Results go to build/bench/images.jsonl.

The default encoder of images, its top layer trained on flowers5; its test images, one a request, as base64 in JSON.
"""

import argparse
import base64
import json
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import bare
import machine
from kit import DATA, WORK, Record, add, load_option_parser, of_setup, refusals
from load import first_answer, labels, level
from local_run import train
from servers import ENGINES, FLASK, OURS, Contender, contenders
from soak_report import say
from start import running

RESULTS = WORK / "images.jsonl"
FLOWERS = DATA.parent / "images" / "flowers5"
CONNECTIONS = (1, 8, 32)
WARM_CONNECTIONS = 8
REFUSED = ("openvino-bfloat16",)  # by training, as its smoke predictions differ by more than serving accepts


@dataclass(frozen=True)
class Trial:
    """What all servers are measured with.

    Attributes:
        model: The model folder.
        images: The test images, as base64.
        truth: Their labels.
        seconds: How long each load lasts.
        warm_seconds: How long the load before them lasts.
    """

    model: Path
    images: Sequence[str]
    truth: Sequence[str]
    seconds: float
    warm_seconds: float


def servers() -> Mapping[str, Contender]:
    """Return the servers of images by name: those of texts, sent images."""
    application = {"BENCH_APP": "flask_images:app"}
    peers = [
        replace(each, title=each.title.replace("transformers' pipeline, ", ""), environ={**each.environ, **application})
        for each in contenders().values()
        if each.name.startswith(FLASK)
    ]
    ours = [
        replace(each, content_type="application/json", body=lambda image: json.dumps({"b64": image}))
        for each in contenders().values()
        if each.name in (OURS, *(f"{OURS}-{engine}" for engine in ENGINES if engine not in REFUSED))
    ]
    peers = [replace(each, converted=False, body=lambda image: json.dumps({"inputs": image})) for each in peers]
    return {each.name: each for each in (*peers, *ours)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the rounds that are not done yet."""
    options = _options(arguments)
    paths = sorted(path for path in (FLOWERS / "test").rglob("*") if path.is_file())
    images = [base64.b64encode(path.read_bytes()).decode() for path in paths]
    model = options.model or trained(WORK / "flowers5")
    trial = Trial(model, images, [path.parent.name for path in paths], options.seconds, options.warm)
    setup = {**machine.setup(), "seconds": options.seconds}
    done = {(record["round"], record["who"]) for record in of_setup(RESULTS, setup)}
    for turn in range(1, options.rounds + 1):
        for who, contender in servers().items():
            if (turn, who) not in done and (not options.only or who.startswith(tuple(options.only))):
                add(RESULTS, {"setup": setup, "round": turn, "who": who, **measured(contender, trial)})
    return 0


def trained(base: Path) -> Path:
    """Return the folder of the model, trained once without hyperparameters."""
    model = base / "model"
    if not (model / "manifest.json").exists():
        say("images: trains the model, once")
        shutil.copytree(FLOWERS / "train", base / "input" / "data" / "training", dirs_exist_ok=True)
        train(base, base / "log")
    return model


def measured(contender: Contender, trial: Trial) -> Record:
    """Return a server's result, or why there is none."""
    record: Record = {}
    with refusals(record):
        record |= served(contender, trial)
    loads = record.get("levels", {})
    shown = [f"{name}: {load['requests_per_second']:.0f}/s p99 {load['p99_ms']:.0f} ms" for name, load in loads.items()]
    say(f"{contender.name}: {record.get('refused') or ', '.join(shown)}")
    return record


def served(contender: Contender, trial: Trial) -> Record:
    """Start a server, ask it, load it, and stop it."""
    bodies = WORK / f"bodies-images-{'peer' if contender.name.startswith(FLASK) else OURS}"
    bodies.parent.mkdir(parents=True, exist_ok=True)
    bodies.write_text("".join(contender.body(image) + "\n" for image in trial.images), encoding="utf-8")
    with running(contender, trial.model) as started:
        first_answer(started.server, contender, trial.images[0])
        answered = time.monotonic() - started.since
        asked = labels(started.server, contender, trial.images)
        level(started.server, contender, bodies, WARM_CONNECTIONS, trial.warm_seconds)
        loads = {str(count): level(started.server, contender, bodies, count, trial.seconds) for count in CONNECTIONS}
    return {
        "ready_seconds": started.ready_seconds,
        "answered_seconds": answered,
        "accuracy": bare.share_equal(asked, trial.truth),
        "levels": loads,
    }


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    names = "names, or their beginnings: ours,flask"
    return load_option_parser("Measure servers of images beside each other.", names, "flowers5").parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
