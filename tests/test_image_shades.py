"""Images of few shades: those of 16 bits are read by the bits that their values take up, all others are warned of."""

import io
import json
import logging
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import drawn_images
from classifier import predictor
from classifier.backends import Computing
from classifier.backends.choice import FLOAT32, TENSORFLOW
from classifier.errors import RecordError
from classifier.modalities import MODALITIES
from classifier.pixels import ImageSource, PixelsError, decode, survey
from classifier.training import agreement, data
from jobs import Job, check_data
from labelled_images import PNG_BEGINS, chunk, encoded, noise

Values = NDArray[np.uint16]


def drawing(label: str, number: int) -> NDArray[np.float64]:
    """Return a drawn image in grey, 0 to 1."""
    return np.asarray(drawn_images.image(label, number).convert("L"), np.float64) / 255


def png_16(values: NDArray[np.floating] | NDArray[np.integer]) -> bytes:
    return encoded(Image.fromarray(np.asarray(values).astype(np.uint16)), "PNG")


def png_8(values: NDArray[np.floating] | NDArray[np.integer]) -> bytes:
    return encoded(Image.fromarray(np.asarray(values).astype(np.uint8)), "PNG")


def png_of_three_colours_in_16_bits(values: NDArray[np.floating]) -> bytes:
    height, width = values.shape
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    rows = np.repeat(values.astype(">u2")[..., None], 3, axis=2).reshape(height, -1)
    content = b"".join(b"\x00" + row.tobytes() for row in rows)
    return PNG_BEGINS + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(content)) + chunk(b"IEND", b"")


def with_a_hole(values: NDArray[np.floating]) -> bytes:
    """Return white where there is a drawing, and nothing around it."""
    content = io.BytesIO()
    layers = [np.full_like(values, 255)] * 3 + [values * 255]
    Image.fromarray(np.stack(layers, axis=-1).astype(np.uint8), "RGBA").save(content, "PNG")
    return content.getvalue()


def hot(values: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return an image of 12 bits with one faulty point."""
    values = values * 4095
    values[3, 5] = 60_000
    return values


# By what they are: how a drawing, 0 to 1, becomes a file; the bits that its values take up; whether it is warned of.
KINDS: Mapping[str, tuple[object, int, bool]] = {
    "8 bits": (lambda image: png_8(image * 255), 0, False),
    "a microscope's 12 bits in 16": (lambda image: png_16(image * 4095), 12, False),
    "a camera's 10 bits in 16": (lambda image: png_16(image * 1023), 10, False),
    "a depth camera's millimetres": (lambda image: png_16(400 + image * 7600), 13, False),
    "a depth camera's millimetres, with holes of the greatest value": (
        lambda image: png_16(np.where(image > 0.7, 65_535, image * 7600)), 13, False,
    ),
    "8 bits in 16": (lambda image: png_16(image * 255), 8, False),
    "all of 16 bits": (lambda image: png_16(image * 65_535), 16, False),
    "a mask in 16 bits": (lambda image: png_16(np.where(image > 0.5, 65_535, 0)), 0, False),
    "labels of a mask in 16 bits": (lambda image: png_16(np.round(image * 5)), 3, False),
    "12 bits with a faulty point": (lambda image: png_16(hot(image)), 16, True),
    "12 bits beside a great number": (lambda image: png_16(30_000 + image * 4095), 16, True),
    "12 bits in colours of 16": (lambda image: png_of_three_colours_in_16_bits(image * 4095), 0, True),
    "labels of a mask": (lambda image: png_8(np.round(image * 5)), 0, True),
    "a mask of 0 and 1": (lambda image: png_8(image > 0.5), 0, True),
    "all black": (lambda image: png_8(image * 0), 0, True),
    "white drawings on nothing, which is white": (with_a_hole, 0, True),
    "a mask of 0 and 255": (lambda image: png_8((image > 0.5) * 255), 0, False),
    "dark photographs": (lambda image: png_8(image * 60), 0, False),
}  # fmt: skip


def channel(folder: Path, kind: str, each: int = 6) -> Path:
    for label in drawn_images.LABELS:
        for number in range(each):
            path = folder / label / f"{label}_{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(KINDS[kind][0](drawing(label, number)))  # type: ignore[operator]
    return folder


def prepared(folder: Path) -> data.Data:
    read = data.read({"training": folder}, modality=MODALITIES["image"])
    return data.prepare(read, data.labels_of(read), 0.2, 1)


@pytest.mark.parametrize("kind", KINDS)
def test_values_take_up_so_many_bits_and_what_stays_nearly_one_shade_is_warned_of(
    kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _, bits, warned = KINDS[kind]
    caplog.set_level(logging.INFO)
    rows = prepared(channel(tmp_path, kind))
    assert rows.bits == bits
    assert {image.bits for image in rows.training.records} == {bits or 16}
    lines = [record.getMessage() for record in caplog.records if "nearly one shade" in record.getMessage()]
    assert bool(lines) == warned
    assert ("images of 16 bits: " in caplog.text) == bool(bits)


def test_images_of_12_bits_in_16_are_read_as_the_same_images_in_8(tmp_path: Path) -> None:
    wide, narrow = prepared(channel(tmp_path / "a", "a microscope's 12 bits in 16")), channel(tmp_path / "b", "8 bits")
    for image in wide.training.records:
        same = narrow / image.path.parent.name / image.path.name
        difference = decode(image, 40, 48).astype(int) - decode(same.read_bytes(), 40, 48)
        assert np.abs(difference).max() <= 1
        assert np.ptp(decode(image, 40, 48)) > 100
        assert np.ptp(decode(image.path.read_bytes(), 40, 48)) < 16  # as they were read before


def test_all_of_16_bits_are_read_as_they_were() -> None:
    values = np.arange(65_536).reshape(256, 256)
    expected = np.repeat((values >> 8).astype(np.uint8)[..., None], 3, axis=2)
    np.testing.assert_array_equal(decode(png_16(values), 256, 256), expected)


def test_what_no_bits_hold_is_white_and_no_order_is_lost() -> None:
    values = np.tile(np.array([0, 15, 16, 4095, 4096, 65_535], np.uint16), (6, 1))
    assert decode(png_16(values), 6, 6, bits=12)[0, :, 0].tolist() == [0, 0, 1, 255, 255, 255]


@pytest.mark.parametrize(
    ("values", "least", "greatest", "bits"),
    [
        (np.full((9, 9), 65_535), 65_535, 65_535, 0),
        (np.zeros((9, 9)), 0, 0, 0),
        (np.arange(81).reshape(9, 9), 0, 80, 7),
        (np.where(np.arange(10_000).reshape(100, 100) == 7, 60_000, 500), 500, 500, 16),
    ],
)
def test_the_values_of_an_image_of_16_bits_are_measured_but_for_faulty_points(
    values: Values, least: int, greatest: int, bits: int
) -> None:
    seen = survey(png_16(values)).values
    assert (seen.least, seen.greatest, seen.bits) == ((least,), (greatest,), bits)


WARNING = "images of nearly one shade: of 0 to 255, their values are "


@pytest.mark.parametrize(
    ("kind", "words", "factor"),
    [
        ("labels of a mask", "1 to 5, and a network can hardly tell them apart", 42),
        ("12 bits in colours of 16", "2 to 15, and a network", 16),
        ("a mask of 0 and 1", "0 to 1, and a network", 128),
        ("all black", "0 to 0, and a network can hardly tell them apart", None),
    ],
)
def test_the_warning_says_the_range_that_was_found_and_who_obeys_it_is_not_warned_again(
    kind: str, words: str, factor: int | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    prepared(channel(tmp_path / "a", kind))
    (line, *_) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert f"rows=training note='{WARNING}{words}" in line
    assert (f": multiply all values by {factor};" in line) == (factor is not None)
    if factor is None:
        assert ": stretch all values alike over 0 to 255;" in line
        return
    for path in sorted((tmp_path / "a").rglob("*.png")):
        values = np.asarray(drawing(path.parent.name, int(path.stem.rpartition("_")[2])))
        if kind == "12 bits in colours of 16":
            path.write_bytes(png_of_three_colours_in_16_bits(np.floor(values * 4095) * factor))
        else:
            path.write_bytes(png_8(np.asarray(Image.open(path)).astype(int) * factor))
    caplog.clear()
    prepared(tmp_path / "a")
    assert "nearly one shade" not in caplog.text


def test_a_few_images_of_another_kind_hide_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = channel(tmp_path, "labels of a mask", each=20)
    (folder / "dots" / "dots_0.png").write_bytes(encoded(noise(1), "PNG"))
    prepared(folder)
    assert "nearly one shade" in caplog.text


def test_the_bits_are_those_of_all_channels_together(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    training = channel(tmp_path / "training", "a microscope's 12 bits in 16")
    test = channel(tmp_path / "test", "all of 16 bits")
    read = data.read({"training": training, "test": test}, modality=MODALITIES["image"])
    rows = data.prepare(read, data.labels_of(read), 0.2, 1)
    assert rows.bits == 16
    assert "rows=training note='images of nearly one shade" in caplog.text
    assert "rows=test note='images of nearly one shade" not in caplog.text


class TwoHosts:
    """Stands for a cluster whose other host has the same labels, and images of 14 bits."""

    alone = False
    hosts = ("a", "b")

    def all_gather(self, content: bytes) -> list[bytes]:
        return [content, json.dumps({**json.loads(content), "bits": 14}).encode()]


def test_hosts_with_images_of_their_own_read_them_by_the_same_bits(tmp_path: Path) -> None:
    folder = channel(tmp_path, "a microscope's 12 bits in 16")
    here = data.read({"training": folder}, modality=MODALITIES["image"], sharded={"training"})
    hosts: Any = TwoHosts()
    tables, labels = agreement.agree(hosts, here, ())
    assert (here.bits, tables.bits) == (12, 14)
    assert {image.bits for image in data.prepare(tables, labels, 0.2, 1).training.records} == {14}


# Of one shade all over: the label, the shade, and whether that is a mistake.
PLAIN: Mapping[str, tuple[Mapping[str, tuple[int, int, int]], bool]] = {
    "black images under two labels": ({"disc": (0, 0, 0), "dots": (0, 0, 0)}, True),
    "white images under two labels": ({"disc": (255, 255, 255), "stripes": (255, 255, 255)}, True),
    "empty pages, which are a label": ({"empty": (255, 255, 255)}, False),
    "cards of a colour each": ({"red": (200, 0, 0), "blue": (0, 0, 200)}, False),
}


@pytest.mark.parametrize("name", PLAIN)
def test_images_of_one_shade_under_several_labels_are_warned_of(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plain, wrong = PLAIN[name]
    folder = channel(tmp_path, "8 bits")
    for label, colour in plain.items():
        for number in range(3):
            (folder / label).mkdir(exist_ok=True)
            (folder / label / f"plain{number}.png").write_bytes(
                encoded(Image.new("RGB", (30 + number, 30 + len(label)), colour), "PNG")
            )
    prepared(folder)
    words = "images that are of one shade all over, and have several labels: "
    assert (words in caplog.text) == wrong
    assert "nearly one shade" not in caplog.text


def test_the_command_says_the_same_as_a_job(tmp_path: Path) -> None:
    ended = check_data("check", channel(tmp_path / "a", "labels of a mask"))
    assert ended.returncode == 0
    assert f"warning: rows=training note='{WARNING}1 to 5, and" in ended.stdout
    ended = check_data("check", channel(tmp_path / "b", "a microscope's 12 bits in 16"))
    assert "values take up 12 bits, of which 4,095 is white" in ended.stdout
    assert "nearly one shade" not in ended.stdout


# --- training and serving -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def microscope(tmp_path_factory: pytest.TempPathFactory) -> Job:
    """A job on images of 12 bits in 16, trained from nothing."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    trained = Job(tmp_path_factory.mktemp("microscope"))
    channel(trained.base / "input" / "data" / "training", "a microscope's 12 bits in 16", each=24)
    trained.configure(hyperparameters={"epochs": "12", "batch_size": "8", "model_id": "cnn"})
    trained.train()
    root.handlers[:] = handlers
    root.setLevel(level)
    return trained


def test_a_model_of_12_bits_learns_and_answers_requests_as_it_did_in_training(microscope: Job) -> None:
    assert microscope.manifest["encoder"]["bits"] == 12
    assert microscope.manifest["metrics"]["val_accuracy"] > 0.6  # chance is a third
    kinds = ("a microscope's 12 bits in 16", "8 bits")
    asked = {
        kind: [KINDS[kind][0](drawing(label, number)) for label in drawn_images.LABELS for number in range(90, 94)]  # type: ignore[operator]
        for kind in kinds
    }
    for engine in (TENSORFLOW, FLOAT32):
        served = predictor.load(microscope.model, Computing(engine))
        wide, narrow = (served.predict([served.decode(record) for record in asked[kind]]) for kind in kinds)
        np.testing.assert_allclose(wide, narrow, atol=0.02)
        np.testing.assert_array_equal(wide, served.predict(asked[kinds[0]]))
    golden = sorted((microscope.base / "input" / "data" / "training" / "disc").iterdir())[:4]
    sources = [ImageSource(path, "", bits=12) for path in golden]
    np.testing.assert_array_equal(served.predict(sources), served.predict([path.read_bytes() for path in golden]))


def test_a_request_whose_values_are_of_another_scale_is_refused_and_not_answered_at_random(microscope: Job) -> None:
    served = predictor.load(microscope.model)
    bright = png_16(20_000 + drawing("disc", 1) * 40_000)
    with pytest.raises(RecordError, match="most values are over 4,095, and the images of the training data"):
        served.decode(bright)
    with pytest.raises(PixelsError, match="used 12 of 16 bits; save it with the same range of values"):
        served.predict([bright])
    some = drawing("disc", 1) * 4000
    some[:20] = 4300  # a little more than any that was trained on
    assert served.decode(png_16(some)).max() == 255


@pytest.mark.usefixtures("own_logging")
def test_a_model_that_is_trained_further_reads_by_the_bits_it_learned_with(
    microscope: Job, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    again = Job(tmp_path)
    channel(tmp_path / "input" / "data" / "training", "a camera's 10 bits in 16")
    (tmp_path / "input" / "data" / "model").symlink_to(microscope.model)
    again.configure(hyperparameters={"epochs": "1"})
    again.train()
    assert again.manifest["encoder"]["bits"] == 12
    assert "read darker than before" not in caplog.text
