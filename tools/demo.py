"""Train on the bundled warranty claims, serve the model, and ask it three questions."""

import json
import shutil
import sys
from pathlib import Path

from local_run import ROOT, ask, serving, train

FOLDER = ROOT / "build" / "demo"
QUESTIONS = (
    "Pedal sinks to the floor, fluid all over the inside of the left rear wheel.",
    "Flames came out from under the bonnet while parked, fire brigade put them out.",
    "Dash goes dark and the radio resets whenever the wipers come on, loose earth behind the glovebox.",
)
BAR = 30  # characters


def main() -> int:
    """Run the demonstration."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    shutil.copytree(ROOT / "local_test" / "test_dir" / "input", FOLDER / "input")
    say("Training on local_test/test_dir/input/data/training/data.csv")
    train(FOLDER)
    say("Serving the model, and asking")
    with serving(FOLDER) as address:
        for question, answer in zip(QUESTIONS, ask(address, QUESTIONS), strict=True):
            say(question)
            for label, probability in zip(answer["labels"], answer["probabilities"], strict=True):
                mark = "<-" if label == answer["predicted_label"] else ""
                say(f"  {label:<16} {probability:.3f} {'#' * round(BAR * probability):<{BAR}} {mark}")
    best = json.loads((FOLDER / "model" / "manifest.json").read_text(encoding="utf-8"))["metrics"]
    say(f"Accuracy on the fifth of the rows that was held out: {best['val_accuracy']:.3f}")
    say(f"The model is in {(FOLDER / 'model').relative_to(Path.cwd())}; make serve JOB=build/demo serves it.")
    return 0


def say(text: str) -> None:
    """Write a line for the person who watches."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
