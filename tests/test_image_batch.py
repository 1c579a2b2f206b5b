"""``batch`` reads rows of text, and says so of a model of images."""

from pathlib import Path

import pytest

from batch_helpers import run, visible
from image_model_helpers import model_folder


@pytest.mark.usefixtures("own_logging")
def test_batch_refuses_a_model_of_images_and_says_what_to_use_instead(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source, output = tmp_path / "claims.csv", tmp_path / "results"
    source.write_text("text\nfine\n", encoding="utf-8")
    assert run(model_folder(), source, output) == 1
    assert "the model classifies images, and batch reads rows of text" in "".join(capfd.readouterr())
    assert not output.exists() or visible(output) == []
