"""Register a model with the SageMaker Python SDK 3 by the lines of a page: registry.py PAGE IMAGE ARTIFACT CARD."""
# mypy: disable-error-code="import-not-found"

import json
import re
import sys
from pathlib import Path

from sagemaker.core.shapes.model_card_shapes import ModelCardContent


def main() -> None:
    page, image, artifact, card = sys.argv[1:]
    ModelCardContent.model_validate(json.loads(Path(card).read_text(encoding="utf-8")), extra="forbid")
    blocks = re.findall(r"```python\n(.*?)```", Path(page).read_text(encoding="utf-8"), re.DOTALL)
    (lines,) = (block for block in blocks if "create_model_package_from_containers" in block)
    exec(compile(lines, page, "exec"), {"image": image, "artifact": artifact})  # noqa: S102  the page's own lines


if __name__ == "__main__":
    main()
