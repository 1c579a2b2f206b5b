"""Channels of images as people and other programs lay them out: read, refused with a cure, or warned of."""

import io
import json
import logging
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from PIL import Image

import drawn_images
from classifier import modalities
from classifier.errors import UserError
from classifier.modalities import MODALITIES, image_channel
from classifier.modalities.image_lists import Names
from classifier.tabular.rows import BadDataError, ReadResult
from classifier.training import data
from jobs import ROOT, check_data
from labelled_images import encoded, noise

Files = Mapping[str, bytes | str]
FLOWERS = ("rose", "tulip")


def png(number: int) -> bytes:
    return encoded(noise(number, 12), "PNG")


def jpeg(number: int) -> bytes:
    return encoded(noise(number, 12), "JPEG")


def images(*folders: str, each: int = 6, suffix: str = ".png") -> dict[str, bytes | str]:
    """Return so many images in each folder, no two alike."""
    return {
        f"{folder}/{index}{suffix}": png(1000 * number + index)
        for number, folder in enumerate(folders)
        for index in range(each)
    }


def written(folder: Path, files: Files) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def zipped(name: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(name, png(1))
    return content.getvalue()


def numpy_array() -> bytes:
    content = io.BytesIO()
    np.save(content, np.zeros((2, 28, 28), np.uint8))
    return content.getvalue()


def refusals(channel: Path) -> list[str]:
    """Return what a job says of a channel to train on, up to its labels; nothing where it would train."""
    try:
        kind, _ = modalities.choose("auto", {"training": channel})
        data.labels_of(data.read({"training": channel}, modality=kind))
    except BadDataError as error:
        return [str(problem) for problem in error.found]
    except UserError as error:
        return list(error.problems)
    return []


def warnings(channel: Path, caplog: pytest.LogCaptureFixture, *, ratio: float = 0.2) -> list[str]:
    """Return what a job that trains on a channel warns of before it does."""
    caplog.clear()
    caplog.set_level(logging.INFO)
    kind, _ = modalities.choose("auto", {"training": channel})
    assert kind is MODALITIES["image"]
    read = data.read({"training": channel}, modality=kind)
    data.prepare(read, data.labels_of(read), ratio, 1)
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def ground_truth(key: str, label: str) -> str:
    """Return a line of an augmented manifest, as a labelling job writes it."""
    metadata = {"class-name": label, "confidence": 0.9, "type": "groundtruth/image-classification"}
    return json.dumps({"source-ref": f"s3://bucket/{key}", "kind": 0, "kind-metadata": metadata}) + "\n"


# --- what is read ---------------------------------------------------------------------------------------------------

READ: Mapping[str, tuple[Files, int]] = {
    "names without an ending": (
        {f"{label}/{n:04}": png(n + 50 * len(label)) for label in FLOWERS for n in range(6)},
        12,
    ),
    "some names without an ending, beside others that have one": (
        {**images("disc", "dots", each=14), **{f"disc/{n:08x}": jpeg(n) for n in range(6)}, "dots/a": jpeg(9)},
        35,
    ),
    "the endings .jpe and .jfif, in either case": (
        {"disc/a.jpe": jpeg(1), "disc/b.JFIF": jpeg(2), "dots/c.jfif": jpeg(3), "dots/d.JPE": jpeg(4)},
        4,
    ),
    "every kind of image without an ending": (
        {
            f"{label}/{kind}": encoded(noise(9 + len(label)).convert(mode), kind)
            for label in ("disc", "rings")
            for kind, mode in (("JPEG", "L"), ("PNG", "RGB"), ("BMP", "RGB"), ("GIF", "P"))
        },
        8,
    ),
    "an ending that is another's": (
        {
            "disc/a.jpg": png(1),
            "disc/b.webp": jpeg(2),
            "dots/c.tif": png(3),
            "dots/d.dat": png(4),
            "dots/e.png_": png(5),
        },
        5,
    ),
    "names that end in a number, or in a copy's mark": (
        {"disc/scan.1": png(1), "disc/scan.2": png(2), "dots/a.png~": png(3), "dots/b.jpg (1)": jpeg(4)},
        4,
    ),
    "the endings that are usual": (images("disc", "dots", suffix=".PNG"), 12),
    "vehicles, of which one is a train": (images("bus", "plane", "train"), 18),
    "lists beside the labels that begin as a BMP or a GIF does": (
        {**images("disc", "dots"), "README": "BMW, GIF87 and others\n"},
        12,
    ),
    "what is valid and what is invalid": (images("valid", "invalid"), 12),
    "with masks and without": (images("mask", "no_mask"), 12),
    "labels whose names hold words for parts of the data": (
        images("test_tube", "train_station", "dev_board", "no_label", "label", "fold", "attested", each=4),
        28,
    ),
    "labels as large collections call them": (
        images("n01440764", "n01443537", "001.Black_footed_Albatross", "class_0", "Class 1", "set_top_box", each=4),
        24,
    ),
    "labels that are numbers": (images("0", "1", "2"), 18),
    "a folder to train on below each label": (images("disc/train", "dots/train"), 12),
    "a label's cameras, each a folder": (images("disc/cam1", "disc/cam2", "dots/cam1", "dots/cam2"), 24),
    "a channel to test with, whose labels' folders have one called so": (images("disc/test", "dots/test"), 12),
}


@pytest.mark.parametrize("name", READ)
def test_read_as_images_by_what_they_are(name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    files, count = READ[name]
    channel = written(tmp_path, files)
    assert refusals(channel) == []
    said = [line for line in warnings(channel, caplog) if "few rows" not in line and "no row is held out" not in line]
    assert said == []
    assert len(image_channel.find(channel, "training", ReadResult())) == count


def table(separator: str = ",", name: str = "{}.png", header: str = "") -> str:
    """Return a table of six images, of two labels by turns."""
    return header + "".join(f"{name.format(n)}{separator}{FLOWERS[n % 2]}\n" for n in range(6))


LISTED: Mapping[str, Files] = {
    "a table of paths and labels": {**images("photos"), "labels.csv": table(name="photos/{}.png")},
    "a table with a header, of names alone": {**images("photos"), "labels.csv": table(header="file_name,label\n")},
    "a table of names without their endings": {**images("train"), "labels.csv": table(name="{}", header="id,breed\n")},
    "a table with the label first": {
        **images("a"), "a.csv": "".join(f"{FLOWERS[n % 2]};./a/{n}.png\n" for n in range(6))
    },
    "a table of tabs, in the folder of its images": {**images("photos"), "photos/labels.tsv": table("\t")},
    "a table with a byte order mark, of paths on another machine": {
        **images("a"), "labels.csv": "\ufeff" + table(name="C:\\data\\a\\{}.png", header="path,label\r\n")
    },
    "folders and names with spaces": {
        **{f"my photos/{n}.png": png(n) for n in range(6)},
        "labels.csv": "".join(f"{FLOWERS[n % 2]},my photos/{n}.png\n" for n in range(6)),
    },
    "images in no folder": {**{f"{n}.png": png(n) for n in range(6)}, "labels.csv": table()},
    "an augmented manifest of SageMaker Ground Truth": {
        **images("raw"),
        "manifests/output/output.manifest": "".join(ground_truth(f"x/raw/{n}.png", FLOWERS[n % 2]) for n in range(6)),
    },
    "an augmented manifest whose attribute is the label": {
        **images("raw"),
        "train.jsonl": "".join(
            f'{{"source-ref": "s3://b/raw/{n}.png", "label": "{FLOWERS[n % 2]}"}}\n' for n in range(6)
        ),
    },
}  # fmt: skip


@pytest.mark.parametrize("name", LISTED)
def test_a_list_gives_images_of_the_channel_their_labels(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    channel = written(tmp_path, LISTED[name])
    assert refusals(channel) == []
    assert not [line for line in warnings(channel, caplog, ratio=0.34) if "left out" in line]
    found = image_channel.find(channel, "training", ReadResult())
    assert {source.path.stem: source.label for source in found} == {str(n): FLOWERS[n % 2] for n in range(6)}


def test_labels_that_are_names_of_images_too_are_labels(tmp_path: Path) -> None:
    listed = "label,image\n" + "".join(f"{n % 2},{n}.png\n" for n in range(6))
    channel = written(tmp_path, {**images("a"), "a.csv": listed})
    assert refusals(channel) == []
    found = image_channel.find(channel, "training", ReadResult())
    assert {source.path.stem: source.label for source in found} == {str(n): str(n % 2) for n in range(6)}


def test_a_name_is_that_of_the_image_at_the_top_though_another_folder_has_one_of_that_name() -> None:
    names = Names([PurePosixPath("1.png"), PurePosixPath("old/1.png"), PurePosixPath("old/2.png")])
    assert [names.find(name) for name in ("1.png", "old/1.png", "2.png", "2")] == [
        PurePosixPath(name) for name in ("1.png", "old/1.png", "old/2.png", "old/2.png")
    ]


def test_a_list_names_images_whose_names_have_spaces_and_brackets(tmp_path: Path) -> None:
    files = {f"photos/my photo ({n}).png": png(n) for n in range(6)}
    lines = "".join(f"{FLOWERS[n % 2]},my photo ({n}).png\n" for n in range(6))
    channel = written(tmp_path, {**files, "labels.csv": lines})
    assert modalities.choose("auto", {"training": channel})[0] is MODALITIES["image"]
    found = image_channel.find(channel, "training", ReadResult())
    assert [source.label for source in sorted(found, key=lambda source: source.path)] == [*FLOWERS, *FLOWERS, *FLOWERS]


def test_a_list_of_im2rec_gives_the_numbers_of_classes_as_labels(tmp_path: Path) -> None:
    channel = written(tmp_path, {**images("all"), "train.lst": IM2REC})
    kind, _ = modalities.choose("auto", {"training": channel})
    read = data.read({"training": channel}, modality=kind)
    assert data.labels_of(read) == ("0", "1")
    assert list(read.training["file"])[:2] == ["training/all/0.png", "training/all/1.png"]


def test_images_that_a_list_does_not_name_are_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    channel = written(tmp_path, {**images("photos", each=8), "labels.csv": table()})
    (line,) = [line for line in warnings(channel, caplog) if "left out" in line]
    assert "left out: photos/6.png (" in line
    assert "photos/7.png (" in line
    assert line.rstrip("'").endswith(": labels.csv names no label of it")


HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(99)


def test_images_that_are_not_read_beside_a_list_are_a_warning_with_a_cure(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = {**images("photos"), "photos/6.heic": HEIC, "7.svg": "<svg/>", "8.cr2": "x", "labels.csv": table()}
    channel = written(tmp_path / "training", files)
    (channel / "more").symlink_to(written(tmp_path / "elsewhere", images("a")), target_is_directory=True)
    (channel / "9.heic").symlink_to(tmp_path / "nowhere")
    lines = [line for line in warnings(channel, caplog, ratio=0.34) if "left out" in line]
    for words in (
        "left out: photos/6.heic (123 bytes): a HEIC image, as phones take them; save it as JPEG",
        "left out: 7.svg (6 bytes): an SVG drawing; save it as JPEG",
        "left out: 8.cr2 (1 bytes): a .cr2 file is not read; save it as one of .jpg",
        "left out: 9.heic (0 bytes): a .heic file is not read",
        "left out: more (0 bytes): a link to a folder, which is not followed; put the folder itself here",
    ):
        assert sum(words in line for line in lines) == 1
    assert len(lines) == 5


def test_the_images_of_a_validation_channel_may_be_listed_as_those_to_train_on(tmp_path: Path) -> None:
    training = written(tmp_path / "training", LISTED["a table of paths and labels"])
    validation = written(tmp_path / "validation", images(*FLOWERS, each=2))
    read = data.read({"training": training, "validation": validation}, modality=MODALITIES["image"])
    assert data.labels_of(read) == FLOWERS


# --- what is refused ------------------------------------------------------------------------------------------------

FOLDER = "put each image in a folder that has the name of its label"
COCO = '{"info": {"year": 2017}, "licenses": [], "images": [{"id": 1, "file_name": "0.png"}], "annotations": []}'
VOC = "<annotation>\n\t<folder>x</folder>\n</annotation>\n"
IM2REC = "".join(f"{n}\t{n % 2}.000000\tall/{n}.png\n" for n in range(6))
GROUND_TRUTH = '{"source-ref": "s3://b/0.png", "kind": 0, "kind-metadata": {"class-name": "cat"}}\n'
LEAD = "the S3 address must lead to"

REFUSED: Mapping[str, tuple[Files, Sequence[str]]] = {
    "one folder too high": (
        images("flowers/rose", "flowers/tulip"),
        [f"a classifier needs two labels or more; if the labels are rose, tulip, {LEAD} flowers/"],
    ),
    "two folders too high": (
        images("data/flowers/rose", "data/flowers/tulip"),
        [f"training: its only folder, data, is no label; if the labels are rose, tulip, {LEAD} data/flowers/"],
    ),
    "a folder of all images, in folders of their labels": (
        images("images/rose", "images/tulip"),
        [f"its only folder, images, is no label; if the labels are rose, tulip, {LEAD} images/"],
    ),
    "a folder too high, over those to train on and to test with": (
        images(*(f"flowers/{part}/{label}" for part in ("train", "test") for label in FLOWERS)),
        ["folders are test, train: give flowers/test/ as the channel 'test', flowers/train/ as the channel 'training'"],
    ),
    "folders to train on and to validate with": (
        images(*(f"{part}/{label}" for part in ("train", "val") for label in FLOWERS)),
        ["train, val, which are no labels; its S3 address must lead to the folder that the labels' folders are in"],
    ),
    "folders to train on and to test with, by longer names": (
        images(*(f"{part}/{label}" for part in ("training_set", "test_set") for label in FLOWERS)),
        ["give test_set/ as the channel 'test', training_set/ as the channel 'training'"],
    ),
    "only the folder to train on": (
        images("train/rose", "train/tulip"),
        [f"its only folder, train, is no label; if the labels are rose, tulip, {LEAD} train/"],
    ),
    "a folder to test with beside the labels": (
        images("disc", "squares", "test"),
        ["training/test: by its name a folder of images to test on, beside the labels' folders; give them as the ch"],
    ),
    "a folder to validate with beside the labels, by another name": (
        images("disc", "squares", "Validation"),
        ["training/Validation: by its name a folder of images to validate on, beside the labels' folders"],
    ),
    "folders to develop and to test with beside the labels, by rarer names": (
        images("disc", "squares", "development", "held_out"),
        [
            "training/development: by its name a folder of images to validate on, beside the labels' folders",
            "training/held_out: by its name a folder of images to test on, beside the labels' folders",
        ],
    ),
    "a folder to test with, with the labels in it again": (
        images("disc", "squares", "test/disc", "test/squares"),
        ["training/test: the labels' folders are in it again, as disc; give it as the channel 'test', or take it out"],
    ),
    "a folder of all images beside the labels'": (
        images("disc", "squares", "images/disc", "images/squares"),
        ["training/images: the labels' folders are in it again, as disc; take it out"],
    ),
    "images without a label beside the labels": (
        images("disc", "squares", "unlabeled"),
        ["training/unlabeled: images without a label beside the labels' folders; take them out"],
    ),
    "parts of the data in each label's folder": (
        images(*(f"{label}/{part}" for part in ("train", "test") for label in FLOWERS)),
        [
            "training/rose/test: images to test on, in a label's folder; give them as the channel 'test', in test/ro",
            "training/tulip/test: images to test on, in a label's folder; give them as the channel 'test', in test/t",
        ],
    ),
    "images, and masks of what is in them": (
        images("images", "masks"),
        [f"training: its folders are called images, masks, which are no labels; {FOLDER}, and {LEAD} the folder"],
    ),
    "one folder too deep": (
        {f"{n}.png": png(n) for n in range(6)},
        [f"training: all its images (6) are in no label's folder; {FOLDER}. If all are of one label, its S3 addr"],
    ),
    "labels in the images' names": (
        {f"all/{label}.{n}.jpg": jpeg(n) for label in FLOWERS for n in range(3)},
        [f"all images are in one folder, all; {FOLDER} (the names begin with rose, tulip: are these the labels?), and"],
    ),
    "labels in the names of images that are in no folder": (
        {f"{label}_{n}.jpg": jpeg(n) for label in FLOWERS for n in range(3)},
        [f"training: all its images (6) are in no label's folder; {FOLDER} (the names begin with rose, tulip: are"],
    ),
    "names that a camera gave": (
        {f"all/IMG_{n}.jpg": jpeg(n) for n in range(6)},
        [f"two labels or more; all images are in one folder, all; {FOLDER}, and let"],
    ),
    "a table of more columns than the image and its label": (
        {**images("photos"), "labels.csv": "image,label,split\n" + "".join(f"{n}.png,cat,train\n" for n in range(6))},
        ["training/labels.csv: 3 columns in the first row; keep two, the image and its label"],
    ),
    "a table whose lines name images that are not there, or labels that are none": (
        {**images("photos"), "labels.csv": "0.png,a\n1.png,b\n2.png,\n9.png,a\n3.png,a,b\n4.png,b\n5.png,a\n"},
        [
            "training/labels.csv:3: the label is empty; write one",
            "training/labels.csv:4: the image that it names is not in the channel; put it there, or take the line out",
            "training/labels.csv:5: 3 columns; write two, the image and its label",
        ],
    ),
    "a table without suffixes whose first row names an image that is not there": (
        {**images("photos"), "labels.csv": "lost,rose\n" + table(name="{}")},
        ["training/labels.csv:1: the image that it names is not in the channel; put it there, or take the line out"],
    ),
    "a table that names images in formats that are not read": (
        {
            **images("photos"),
            "photos/6.heic": HEIC,
            "photos/7.cr2": "x",
            "photos/8.zip": zipped("8.png"),
            "photos/9": "x",
            "labels.csv": table() + "6.heic,rose\nphotos/7.cr2,tulip\n8.zip,rose\n9,tulip\n",
        },
        [
            "training/labels.csv:7: the file that it names is not read: a HEIC image, as phones take them; save",
            "training/labels.csv:8: the file that it names is not read: a .cr2 file is not read; save it as one of",
            "training/labels.csv:9: the file that it names is not read: an archive; unpack it",
            "training/labels.csv:10: the file that it names is not read: not an image; save it as one of .jpg",
        ],
    ),
    "two lists of labels": (
        {**images("all"), "train.lst": IM2REC, "val.lst": IM2REC},
        ["training/train.lst: several lists of labels (train.lst, val.lst); keep one, and give images to validate"],
    ),
    "a table of labels in JSON Lines, beside the images": (
        {
            **{f"{n}.jpg": jpeg(n) for n in range(4)},
            "metadata.jsonl": "".join(f'{{"file_name": "{n}.jpg", "label": "cat"}}\n' for n in range(4)),
        },
        [f"training/metadata.jsonl: a table that says which label each image has; {FOLDER}"],
    ),
    "COCO": (
        {**images("train2017", "val2017"), "annotations/instances_train2017.json": COCO},
        [f"training/annotations/instances_train2017.json: annotations in COCO's layout; {FOLDER}"],
    ),
    "COCO beside the images": (
        {**images("train", "valid"), "train/_annotations.coco.json": COCO, "README.txt": "x"},
        [f"training/train/_annotations.coco.json: annotations in COCO's layout; {FOLDER}"],
    ),
    "Pascal VOC": (
        {
            **images("JPEGImages", "SegmentationClass"),
            **{f"Annotations/{n}.xml": VOC for n in range(6)},
            "ImageSets/Main/train.txt": "0\n1\n2\n3\n4\n5\n",
        },
        [f"training/Annotations/0.xml: an image's annotation in Pascal VOC's layout; {FOLDER}"],
    ),
    "YOLO": (
        {**images("images/train"), "labels/train/0.txt": "0 0.5 0.5 0.2 0.2\n", "data.yaml": "nc: 1\nnames: [a]\n"},
        [f"training/labels/train/0.txt: an image's annotation in YOLO's layout; {FOLDER}"],
    ),
    "LabelMe": (
        {**images("images"), "images/0.json": '{"version": "5.0", "shapes": [], "imagePath": "0.png"}'},
        [f"training/images/0.json: annotations of LabelMe or VIA; {FOLDER}"],
    ),
    "a list of images for im2rec, without them": (
        {"train.lst": IM2REC},
        [f"training/train.lst: a list of images and labels for im2rec (.lst); {FOLDER}"],
    ),
    "a list of im2rec with several labels, or parts of one": (
        {**images("all"), "train.lst": "0\t1\tall/0.png\n1\t1\t2\tall/1.png\n2\t0.5\tall/2.png\n3\t0\tall/3.png\n"},
        [
            "training/train.lst:2: 2 labels; write a number, one label and the image, with tabs between them",
            "training/train.lst:3: the label is not a whole number; write the number of its class",
        ],
    ),
    "RecordIO": (
        {"train.rec": b"\n#\xd7\xce" + bytes(100), "train.idx": "0\t0\n"},
        ["training/train.rec: a RecordIO file, of im2rec or of SageMaker's built-in algorithms; save its images"],
    ),
    "TFRecords": (
        {"train-00000-of-00001": (200).to_bytes(8, "little") + b"abcd\n\xc6\x01" + bytes(300)},
        ["training/train-00000-of-00001: a TFRecord file; save its images as files"],
    ),
    "MNIST's own files": (
        {"train-images-idx3-ubyte": b"\x00\x00\x08\x03\x00\x00\xea\x60" + bytes(500)},
        ["training/train-images-idx3-ubyte: images in one file, as MNIST's (IDX); save its images as files"],
    ),
    "what Ground Truth writes of images": (
        {"output.manifest": GROUND_TRUTH},
        ["training/output.manifest: an augmented manifest of images, as SageMaker Ground Truth writes it; what it"],
    ),
    "what Ground Truth writes of images that are elsewhere": (
        {**images("raw"), "output.manifest": ground_truth("raw/0.png", "cat") + ground_truth("other/1.png", "dog")},
        ["training/output.manifest:2: the image in S3 that it names is not in the channel, and nothing is downloaded"],
    ),
    "what Ground Truth writes of boxes, several labels or none": (
        {
            **images("raw"),
            "output.manifest": ground_truth("raw/0.png", "cat")
            + '{"source-ref": "s3://b/raw/1.png", "boxes": {"annotations": []}}\n'
            + '{"source-ref": "s3://b/raw/2.png", "a": 1, "b": 2}\n'
            + '{"source-ref": "s3://b/raw/3.png", "kind": 0, "kind-metadata": {"failure-reason": "x"}}\n'
            + "{]\n"
            + ground_truth("raw/0.png", "dog"),
        },
        [
            "training/output.manifest:2: no single label of the whole image; give it one, as class-name in the metad",
            "training/output.manifest:3: 2 attributes; keep one, the image's label",
            "training/output.manifest:4: the image was not labelled (failure-reason); take the line out",
            "training/output.manifest:5: not a JSON object with source-ref; write one per line",
            "training/output.manifest:6: the image has another label in line 1; keep one of the lines",
        ],
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_what_it_is_and_what_to_do(name: str, tmp_path: Path) -> None:
    files, expected = REFUSED[name]
    found = refusals(written(tmp_path, files))
    assert len(found) == len(expected)
    for line, words in zip(found, expected, strict=True):
        assert words in line


@pytest.mark.parametrize(
    ("files", "what"),
    [
        ({"flowers.zip": zipped("rose/1.png")}, "training/flowers.zip: an archive; unpack it, and upload the folders"),
        ({"x_train.npy": numpy_array()}, "training/x_train.npy: an array of NumPy; save its images as files"),
        ({"data_batch_1": b"\x80\x02}q\x01" + bytes(40)}, "training/data_batch_1: a pickle of Python; save its images"),
        ({"a.parquet": b"PAR1" + bytes(40)}, "training/a.parquet: a Parquet file; save its images as files"),
    ],
)
def test_a_channel_of_images_in_one_file_is_refused_by_the_file(files: Files, what: str, tmp_path: Path) -> None:
    with pytest.raises(BadDataError) as error:
        data.read({"training": written(tmp_path, files)}, modality=MODALITIES["image"])
    first, second = map(str, error.value.found)
    assert first.startswith("channel training: no image in it; its S3 address must lead to")
    assert second.startswith(what)


OBEYED: Mapping[str, tuple[str, str]] = {
    "one folder too high": ("flowers", ""),
    "two folders too high": ("data/flowers", ""),
    "a folder of all images, in folders of their labels": ("images", ""),
    "a folder too high, over those to train on and to test with": ("flowers/train", "flowers/test"),
    "folders to train on and to validate with": ("train", ""),
    "folders to train on and to test with, by longer names": ("training_set", "test_set"),
    "only the folder to train on": ("train", ""),
}


@pytest.mark.parametrize("name", OBEYED)
def test_who_does_what_the_message_says_can_train(name: str, tmp_path: Path) -> None:
    channel = written(tmp_path, REFUSED[name][0])
    training, test = OBEYED[name]
    assert refusals(channel / training) == []
    channels = {"training": channel / training, **({"test": channel / test} if test else {})}
    assert data.labels_of(data.read(channels, modality=MODALITIES["image"])) == FLOWERS


def test_a_label_that_is_called_as_a_part_of_the_data_is_read_under_the_name_that_the_message_gives(
    tmp_path: Path,
) -> None:
    channel = written(tmp_path, images("disc", "squares", "test"))
    (line,) = refusals(channel)
    name = line.rpartition(", as ")[2]
    (channel / "test").rename(channel / name)
    assert refusals(channel) == []


def test_a_part_of_the_data_may_have_one_label_that_has_the_name_of_another_part(tmp_path: Path) -> None:
    training = written(tmp_path / "training", images("bus", "train"))
    test = written(tmp_path / "test", images("train", each=2))
    assert data.read({"training": training, "test": test}, modality=MODALITIES["image"]).test is not None
    read = data.read({"training": test}, sharded={"training"}, modality=MODALITIES["image"])
    assert data.labels_of(read, fewest=1) == ("train",)


def test_the_folder_to_test_with_may_be_moved_out(tmp_path: Path) -> None:
    channel = written(tmp_path / "training", images("disc", "squares", "test/disc"))
    assert refusals(channel) != []
    shutil.move(channel / "test", tmp_path / "test")
    read = data.read({"training": channel, "test": tmp_path / "test"}, modality=MODALITIES["image"])
    assert data.labels_of(read) == ("disc", "squares")


# --- what is warned of ----------------------------------------------------------------------------------------------

LABELLED = images(*FLOWERS, each=12)
WARNED: Mapping[str, tuple[Files, str]] = {
    "an archive beside the labels' folders": (
        {"flowers.zip": zipped("rose/1.png")}, "bytes): an archive; unpack it, and upload the folders of images",
    ),
    "annotations beside the images": (
        {"rose/1.xml": VOC}, f"left out: rose/1.xml ({len(VOC)} bytes): an image's annotation in Pascal VOC's layout",
    ),
    "a table of labels, where the folders are labels too": (
        {"labels.txt": "".join(f"rose/{n}.png rose\n" for n in range(12))},
        "left out: labels.txt (194 bytes): not an image",
    ),
    "a list of labels": ({"classes.txt": "rose\ntulip\n"}, "left out: classes.txt (11 bytes): not an image"),
    "what Ground Truth writes": (
        {"output.manifest": GROUND_TRUTH},
        f"left out: output.manifest ({len(GROUND_TRUTH)} bytes): an augmented manifest",
    ),
    "a video": (
        {"rose/clip.mp4": b"\x00\x00\x00\x1cftypisom" + bytes(20)},
        "left out: rose/clip.mp4 (32 bytes): a video; export stills of it",
    ),
    "a Git LFS pointer without an ending": (
        {"rose/x": "version https://git-lfs.github.com/spec/v1\n"}, "left out: rose/x (43 bytes): a Git LFS pointer",
    ),
    "a web page": ({"rose/page": "<!doctype html>"}, "left out: rose/page (15 bytes): a web page, not an image"),
    "an image whose name begins with a dot": (
        {"rose/.new.png": png(77)}, "): files whose names begin with a dot are skipped; rename them",
    ),
    "a label's folder whose name begins with a dot": (
        {".daisy/1.png": png(77)}, "): files whose names begin with a dot are skipped; rename them",
    ),
    "an archive that is called as a source is": (
        {"source.zip": zipped("rose/1.png")}, "bytes): an archive; unpack it, and upload the folders of images",
    ),
    "an empty file among images without an ending": (
        {"rose/0001": png(55), "rose/0002": b""}, "left out: rose/0002 (0 bytes): the file is empty",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WARNED)
def test_warned_of_with_name_bytes_and_reason(name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    files, words = WARNED[name]
    channel = written(tmp_path, {**LABELLED, **files})
    assert refusals(channel) == []
    (line,) = [line for line in warnings(channel, caplog) if "left out" in line]
    assert words in line
    assert "rows=training note=" in line


DOCUMENTATION = Path(__file__).parents[1] / "docs" / "image-classification.md"


@pytest.mark.parametrize(
    ("name", "table", "folder"),
    [
        ("a table of more columns than the image and its label", "labels.csv", "photos"),
        ("what Ground Truth writes of images that are elsewhere", "output.manifest", "raw"),
    ],
)
def test_the_documentations_script_makes_folders_of_labels_of_a_list_of_them(
    name: str, table: str, folder: str, tmp_path: Path
) -> None:
    (code,) = re.findall(r"```python\n(import csv .*?)```", DOCUMENTATION.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "sort.py").write_text(code, encoding="utf-8")
    given = written(tmp_path / "given", REFUSED[name][0])
    text = (given / table).read_text(encoding="utf-8")
    some = text.splitlines(keepends=True)[-1]
    other = some.replace("cat", "dog").replace("/0.png", "/1.png")
    (given / table).write_text(text + other, encoding="utf-8")
    arguments = [tmp_path / "sort.py", given / table, given / folder, tmp_path / "channel"]
    command = [sys.executable, *map(str, arguments)]
    assert subprocess.run(command, check=False, capture_output=True).stderr == b""
    assert refusals(tmp_path / "channel") == []
    assert {path.name for path in (tmp_path / "channel").iterdir()} == {"cat", "dog"}


def test_of_many_files_that_are_left_out_some_are_named_by_each_reason(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = {**LABELLED, **{f"rose/{n}.xml": VOC for n in range(12)}, "rose/a.zip": zipped("a"), "notes.txt": "x"}
    lines = [line for line in warnings(written(tmp_path, files), caplog) if "left out" in line]
    assert len(lines) == 3
    (annotations,) = [line for line in lines if "Pascal" in line]
    assert annotations.count(".xml (") == 5
    assert "... and 7 more: an image's annotation" in annotations


def test_many_labels_of_few_images_may_be_one_folder_too_deep(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    channel = written(tmp_path, images(*(f"item{n:03}" for n in range(12)), each=2))
    (line,) = [line for line in warnings(channel, caplog) if "one folder higher" in line]
    assert "12 labels, and 24 images: if the folders at the channel's top are things" in line
    more = written(tmp_path, images(*(f"item{n:03}" for n in range(12)), each=4))
    assert not any("one folder higher" in line for line in warnings(more, caplog))


SILENT = (
    "README.md", "readme.txt", "LICENSE", "LICENSE.txt", "rose/Licence.md", "CITATION.cff", "NOTICE", "x.manifest",
    ".DS_Store", "rose/._1.png", "rose/Thumbs.db", "rose/@eaDir/1.png/SYNOPHOTO_THUMB_M.jpg", "$RECYCLE.BIN/x.png",
    "System Volume Information/x", "lost+found/x", "__pycache__/a.pyc", ".thumbnails/1.png", ".git/objects/1",
    "rose_$folder$", "_SUCCESS", "Picasa.ini",
)  # fmt: skip


def test_what_platforms_leave_behind_and_what_is_about_the_data_is_passed_over_in_silence(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    content = {name: png(3) if name.endswith((".png", ".jpg")) else b"x" for name in SILENT}
    content["rose/._1.png"] = b"\x00\x05\x16\x07" + bytes(40)
    assert warnings(written(tmp_path, {**LABELLED, **content, "marker": b""}), caplog) == []
    assert len(image_channel.find(tmp_path, "training", ReadResult())) == len(LABELLED)


def test_real_photographs_are_read_without_a_warning(
    shared: Callable[[str], Path], caplog: pytest.LogCaptureFixture
) -> None:
    for part, count in (("train", 250), ("test", 100)):
        channel = shared("data/images/flowers5") / part
        assert refusals(channel) == []
        assert warnings(channel, caplog) == []
        assert len(image_channel.find(channel, "training", ReadResult())) == count


def test_the_bundled_drawings_are_read_without_a_warning_and_are_those_that_the_program_draws(
    caplog: pytest.LogCaptureFixture,
) -> None:
    for part, numbers in (("training", range(40)), ("test", range(100, 120))):
        channel = ROOT / "local_test" / "test_dir_images" / "input" / "data" / part
        assert refusals(channel) == []
        assert warnings(channel, caplog) == []
        found = {path.relative_to(channel).as_posix(): path for path in channel.rglob("*.png")}
        drawn = {f"{label}/{label}_{n}.png": (label, n) for label in drawn_images.LABELS for n in numbers}
        assert set(found) == set(drawn)
        for name, (label, number) in drawn.items():
            np.testing.assert_array_equal(Image.open(found[name]), drawn_images.image(label, number))


@pytest.mark.parametrize("content", ["BMW are fast,1\nMini is not,0\n", "GIF8 is a format,1\nPNG is another,0\n"])
def test_a_text_that_begins_as_an_image_does_is_no_image(content: str, tmp_path: Path) -> None:
    for name in ("data.csv", "data.txt", "pos/1", "pos/2.txt"):
        assert not image_channel.is_image(written(tmp_path, {name: content}) / name)
    assert modalities.choose("auto", {"training": tmp_path})[0] is MODALITIES["text"]


@pytest.mark.parametrize(
    "name", ["names without an ending", "a folder to test with beside the labels", "COCO", "RecordIO"]
)
def test_the_command_says_the_same_as_a_job(name: str, tmp_path: Path) -> None:
    files = READ[name][0] if name in READ else REFUSED[name][0]
    channel = written(tmp_path / "training", files)
    found = refusals(channel)
    ended = check_data("check", channel)
    assert ended.returncode == bool(found)
    assert ended.stdout.splitlines()[-1] == f"problems: {len(found)}"
    for line in found:
        assert line.replace("training/", f"{channel}/", 1) in ended.stdout
