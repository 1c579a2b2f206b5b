"""The most confident mistakes with their texts or images, for the report of a job that asks for them."""

import base64
import io
from typing import Any, cast

import pandas as pd
from PIL import Image

from classifier import pixels
from classifier.pixels import ImageSource, PixelsError
from classifier.training.data import Split

MOST_SHOWN = 24
LONGEST_TEXT = 400  # characters
LONGER_SIDE = 160  # pixels of a thumbnail
QUALITY = 70  # of a JPEG


def worst(rows: Split, mistakes: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the first mistakes with a text or an image.

    Args:
        rows: The rows that were predicted.
        mistakes: What :func:`classifier.training.evaluate.misclassified` returned for them.

    Returns:
        For each mistake ``place``, ``label``, ``predicted_label`` and ``probability``, and either ``text``, the
        beginning of the text, or ``image``, a thumbnail as a data URI; neither for a record of another kind, or an
        image that can't be read any more.
    """
    shown = mistakes.head(MOST_SHOWN)
    return [
        {**fields, **_shown(rows.records[index])}
        for index, fields in zip(shown.index, cast("list[dict[str, Any]]", shown.to_dict("records")), strict=True)
    ]


def _shown(record: Any) -> dict[str, str]:
    if isinstance(record, str):
        return {"text": record if len(record) <= LONGEST_TEXT else f"{record[:LONGEST_TEXT]} ..."}
    if isinstance(record, ImageSource):
        try:
            return {"image": _thumbnail(record)}
        except (PixelsError, OSError):
            return {}
    return {}


def _thumbnail(source: ImageSource) -> str:
    height, width = source.height or 1, source.width or 1
    scale = LONGER_SIDE / max(height, width)
    image = Image.fromarray(pixels.decode(source, max(1, round(height * scale)), max(1, round(width * scale))))
    content = io.BytesIO()
    image.save(content, "JPEG", quality=QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(content.getvalue()).decode()}"
