"""Write into docs/docker-image.md what fills an image: `python tools/image_table.py text-classification:cpu`."""

import json
import re
import subprocess
import sys
import tomllib
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from make_docs import ROOT, replaced

PAGE = ROOT / "docs" / "docker-image.md"
CONTENTS = ROOT / "tools" / "image_contents.py"
MEGABYTE = 10**6  # as Docker counts
SMALLEST_ROW = 5 * MEGABYTE
LAYERS = "in two layers"
WHO = {
    "default encoders": "training, where a job brings no encoder",
    "this project": "both programs",
    "Debian": "the base image, and what nginx and Python link to",
    "Debian's Python": "both programs",
    "nginx": "serving",
    "other files of /opt/venv": "commands of the packages",
    LAYERS: "files that a later layer of the image writes again",
    "tensorflow-cpu": "training, and serving of SavedModels",
    "tensorflow": "training, and serving of SavedModels",
    "tensorflow-text": "the tokenizer inside exported models, TensorFlow Hub's preprocessors",
    "tf-keras": "training",
    "tensorflow-hub": "encoders of TensorFlow Hub",
    "openvino": "serving on processors",
    "tokenizers": "serving on processors",
    "numpy": "both programs",
    "pandas": "training: reads the data",
    "pillow": "images, in both programs",
    "scipy": "training: solves top layers",
    "h5py": "training: reads weights in the formats of Keras",
    "setuptools": "tensorflow-hub, which imports pkg_resources",
}


def main() -> int:
    """Look into the image, and write the page."""
    (image,) = sys.argv[1:]
    contents = look_into(image)
    size = int(output("docker", "image", "inspect", "--format", "{{.Size}}", image))
    sizes = {**contents["sizes"], LAYERS: size - sum(contents["sizes"].values())}
    numbers = (
        f"**{size / 1e9:.2f} GB** as `docker images` counts it,"
        f" {compressed(image) / 1e9:.2f} GB compressed (`docker save | gzip -1 | wc -c`)."
    )
    filled = filled_table(sizes, chains(contents["requires"], direct()))
    tables = {"image": f"{numbers}\n\n{filled}", "removed": removed_table(contents["removed"])}
    PAGE.write_text(replaced(PAGE, tables), encoding="utf-8")
    return 0


def look_into(image: str) -> dict[str, Any]:
    """Return what image_contents.py prints in a container of the image."""
    found: dict[str, Any] = json.loads(
        output("docker", "run", "--rm", "--interactive", image, "python3", "-", stdin=CONTENTS)
    )
    return found


def output(*command: str, stdin: Path | None = None) -> str:
    """Return what a command prints."""
    given = stdin.read_text(encoding="utf-8") if stdin else None
    return subprocess.run(command, input=given, stdout=subprocess.PIPE, text=True, check=True).stdout


def compressed(image: str) -> int:
    """Return about how many bytes go over the network."""
    return int(output("bash", "-o", "pipefail", "-c", 'docker save "$1" | gzip -1 | wc -c', "bash", image))


def direct() -> set[str]:
    """Return the packages that this project itself asks for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    lines = [*project["dependencies"], *extras["cpu"], *extras["gpu"]]
    return {re.split(r"[^\w.-]", line)[0] for line in lines}


def chains(requires: Mapping[str, Sequence[str]], first: Collection[str]) -> dict[str, list[str]]:
    """Return, for each package, the shortest way to it: the package asked for, what that asks for, and so on."""
    ways = {name: [name] for name in sorted(first) if name in requires}
    waiting = list(ways)
    for name in waiting:
        for other in requires[name]:
            if other not in ways:
                ways[other] = [*ways[name], other]
                waiting.append(other)
    return ways


def filled_table(sizes: Mapping[str, int], ways: Mapping[str, Sequence[str]]) -> str:
    """Return the components by size, the small ones as one."""
    large = {name: size for name, size in sizes.items() if size >= SMALLEST_ROW}
    small = [size for name, size in sizes.items() if name not in large]
    lines = ["| what | MB | who needs it |", "|---|---:|---|"]
    for name, size in sorted(large.items(), key=lambda item: -item[1]):
        lines.append(f"| {name.replace('==', ' ')} | {size / MEGABYTE:.0f} | {who(name, ways)} |")
    lines.append(f"| {len(small)} others, each below {SMALLEST_ROW // MEGABYTE} MB | {sum(small) / MEGABYTE:.0f} | |")
    lines.append(f"| **together** | **{sum(sizes.values()) / MEGABYTE:.0f}** | |")
    return "\n".join(lines)


def who(name: str, ways: Mapping[str, Sequence[str]]) -> str:
    """Return who needs a component: in words, or the packages on the way to it."""
    package = name.partition("==")[0]
    return WHO.get(package) or " → ".join(ways.get(package, ())[:-1]) or "nobody asked for it"


def removed_table(removed: Sequence[Mapping[str, Any]]) -> str:
    """Return what was taken out, together what has one reason."""
    reasons: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for line in removed:
        reasons[line["why"]].append(line)
    lines = ["| what | MB | why nobody misses it |", "|---|---:|---|"]
    for why, same in sorted(reasons.items(), key=lambda item: -sum(line["size"] for line in item[1])):
        names = ", ".join(f"`{line['what']}`" for line in same)
        lines.append(f"| {names} | {sum(line['size'] for line in same) / MEGABYTE:.0f} | {why} |")
    lines.append(f"| **together** | **{sum(line['size'] for line in removed) / MEGABYTE:.0f}** | |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
