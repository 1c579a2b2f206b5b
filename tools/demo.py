"""Train on bundled data, serve the model, ask it three questions: on warranty claims or, with `images`, on drawings."""

import json
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local_run import ROOT, ask, image, serving, train

LOCAL_TEST = ROOT / "local_test"
BAR = 30  # characters


@dataclass(frozen=True)
class Demonstration:
    """What is shown.

    Attributes:
        folder: The folder of the job, a miniature of /opt/ml.
        questions: The records that the model is asked about, by how they are shown.
    """

    folder: Path
    questions: Mapping[str, Any]


def _texts() -> Demonstration:
    questions = (
        "Pedal sinks to the floor, fluid all over the inside of the left rear wheel.",
        "Flames came out from under the bonnet while parked, fire brigade put them out.",
        "Dash goes dark and the radio resets whenever the wipers come on, loose earth behind the glovebox.",
    )
    return Demonstration(LOCAL_TEST / "test_dir", {text: text for text in questions})


def _images() -> Demonstration:
    folder = LOCAL_TEST / "test_dir_images"
    files = [min(label.iterdir()) for label in sorted((folder / "input" / "data" / "test").iterdir())]
    return Demonstration(folder, {str(path.relative_to(ROOT)): image(path) for path in files})


def main() -> int:
    """Run the demonstration."""
    shown = _images() if sys.argv[1:] == ["images"] else _texts()
    folder = ROOT / "build" / f"demo{shown.folder.name.removeprefix('test_dir').replace('_', '-')}"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(shown.folder / "input", folder / "input")
    say(f"Training on {(shown.folder / 'input' / 'data' / 'training').relative_to(ROOT)}")
    train(folder)
    say("Serving the model, and asking")
    with serving(folder) as address:
        for question, answer in zip(shown.questions, ask(address, list(shown.questions.values())), strict=True):
            say(question)
            for label, probability in zip(answer["labels"], answer["probabilities"], strict=True):
                mark = "<-" if label == answer["predicted_label"] else ""
                say(f"  {label:<16} {probability:.3f} {'#' * round(BAR * probability):<{BAR}} {mark}")
    best = json.loads((folder / "model" / "manifest.json").read_text(encoding="utf-8"))["metrics"]
    say(f"Accuracy on the fifth of the rows that was held out: {best['val_accuracy']:.3f}")
    job = folder.relative_to(ROOT)
    say(
        f"The model is in {job / 'model'}. To try it in a browser: make serve JOB={job}, and open http://localhost:8080/"
    )
    return 0


def say(text: str) -> None:
    """Write a line for the person who watches."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
