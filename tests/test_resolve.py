"""Finding the encoder a job asks for."""

import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from shutil import copytree

import pytest

from classifier.encoders.resolve import EncoderFiles, in_image, opened, recognised
from classifier.errors import UserError


def find(tmp_path: Path, channel: Path | None, model_id: str = "default") -> EncoderFiles:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    if channel is None:
        return in_image(model_id, tmp_path / "pretrained")
    return recognised(opened(channel, scratch), "model channel")


def pack(path: Path, folder: Path, prefix: str = ".") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        archive.add(folder, prefix)
    return path.parent


def add(archive: tarfile.TarFile, name: str, **attributes: object) -> None:
    member = tarfile.TarInfo(name)
    for attribute, value in attributes.items():
        setattr(member, attribute, value)
    archive.addfile(member, io.BytesIO(b""))


def test_without_a_channel_the_encoder_in_the_image_is_taken(tmp_path: Path, tiny_encoder: Path) -> None:
    copytree(tiny_encoder, tmp_path / "pretrained" / "default")
    assert find(tmp_path, None) == EncoderFiles("default", "bert", tmp_path / "pretrained" / "default")


def test_an_empty_or_missing_channel_is_no_reason_to_take_another_encoder(tmp_path: Path, tiny_encoder: Path) -> None:
    copytree(tiny_encoder, tmp_path / "pretrained" / "default")
    with pytest.raises(UserError, match=r"channel model: .* has no files"):
        find(tmp_path, tmp_path / "missing")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "_SUCCESS").write_text("")
    with pytest.raises(UserError, match=r"channel model: .* has no files"):
        opened(tmp_path / "model", tmp_path / "scratch")


@pytest.mark.parametrize("model_id", ["bert-huge", "../default", ""])
def test_an_unknown_model_id_is_refused_with_those_there_are(tmp_path: Path, tiny_encoder: Path, model_id: str) -> None:
    copytree(tiny_encoder, tmp_path / "pretrained" / "default")
    words = r"there is no such encoder.*; the image holds default, docs/encoders\.md lists others"
    with pytest.raises(UserError, match=words):
        find(tmp_path, None, model_id)


@pytest.mark.parametrize(
    ("model_id", "nearest"),
    [
        ("distilbert-base-uncase", "distilbert-base-uncased"),
        ("defualt", "default"),
        ("nnlm-en-dim-50", "nnlm-en-dim50"),
    ],
)
def test_an_id_that_is_nearly_right_gets_the_right_one(
    tmp_path: Path, tiny_encoder: Path, model_id: str, nearest: str
) -> None:
    copytree(tiny_encoder, tmp_path / "pretrained" / "default")
    with pytest.raises(UserError, match=f"did you mean '{nearest}'\\?"):
        find(tmp_path, None, model_id)


@pytest.mark.parametrize(
    ("model_id", "shown"),
    [
        ("tensorflow-tc-bert-en-uncased-L-12-H-768-A-12-2", "tensorflow-tc-bert-en-uncased-L-12-H-768-A-12-2"),
        ("BAAI/bge-small-en-v1.5", "bge-small-en-v1.5"),
    ],
)
def test_a_listed_encoder_whose_files_are_not_there_gets_the_command_that_brings_them(
    tmp_path: Path, tiny_encoder: Path, model_id: str, shown: str
) -> None:
    copytree(tiny_encoder, tmp_path / "pretrained" / "default")
    with pytest.raises(UserError) as caught:
        find(tmp_path, None, model_id)
    assert str(caught.value) == (
        f"hyperparameter model_id={model_id!r}: its files are not in the image, and nothing is downloaded in a job; on "
        f"a connected machine run `local_test/fetch_encoder.sh {shown}`, upload the model.tar.gz it leaves, and give "
        "its S3 address as the channel `model`"
    )


def test_an_id_that_is_listed_and_in_the_image_is_taken_from_there(tmp_path: Path, tiny_encoder: Path) -> None:
    copytree(tiny_encoder, tmp_path / "pretrained" / "all-minilm-l6-v2")
    assert find(tmp_path, None, "all-minilm-l6-v2").folder == tmp_path / "pretrained" / "all-minilm-l6-v2"


@pytest.mark.parametrize("name", ["pytorch_model.bin", "tf_model.h5", "model.safetensors.index.json"])
def test_a_checkpoint_in_a_form_that_is_not_read_is_still_known_for_one(tmp_path: Path, name: str) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    (tmp_path / "model" / name).write_text("{}")
    assert find(tmp_path, tmp_path / "model").family == "bert"


@pytest.mark.parametrize("prefix", [".", "my-encoder"])
@pytest.mark.parametrize("name", ["model.tar.gz", "anything.tar.gz", "x.tgz"])
def test_an_archive_on_the_channel_is_unpacked_elsewhere_T80(
    tmp_path: Path, tiny_encoder: Path, name: str, prefix: str
) -> None:
    channel = pack(tmp_path / "model" / name, tiny_encoder, prefix)
    found = find(tmp_path, channel)
    assert found.family == "bert"
    assert found.folder.is_relative_to(tmp_path / "scratch")
    assert [path.name for path in channel.iterdir()] == [name]


def test_loose_files_on_the_channel_are_read_in_place_T80(tmp_path: Path, tiny_encoder: Path) -> None:
    assert find(tmp_path, tiny_encoder).folder == tiny_encoder


def test_an_archive_with_files_beside_it_is_refused_T80(tmp_path: Path, tiny_encoder: Path) -> None:
    channel = pack(tmp_path / "model" / "model.tar.gz", tiny_encoder)
    (channel / "vocab.txt").write_text("x")
    with pytest.raises(UserError, match=r"give one \.tar\.gz or loose files"):
        find(tmp_path, channel)


@pytest.mark.parametrize(
    ("name", "attributes"),
    [
        ("../outside.txt", {}),
        ("/absolute.txt", {}),
        ("a/../../b", {}),
        ("link", {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}),
        ("hard", {"type": tarfile.LNKTYPE, "linkname": "config.json"}),
        ("pipe", {"type": tarfile.FIFOTYPE}),
        ("device", {"type": tarfile.CHRTYPE}),
    ],
)
def test_an_archive_that_leads_outside_is_refused(tmp_path: Path, name: str, attributes: dict[str, object]) -> None:
    (tmp_path / "model").mkdir()
    with tarfile.open(tmp_path / "model" / "model.tar.gz", "w:gz") as archive:
        add(archive, name, **attributes)
    with pytest.raises(UserError, match="a link, a device or leads outside"):
        find(tmp_path, tmp_path / "model")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "scratch"]


def test_markers_and_sub_folders_beside_an_archive_are_borne_T27_T80(tmp_path: Path, tiny_encoder: Path) -> None:
    pack(tmp_path / "model" / "2026" / "model.tar.gz", tiny_encoder)
    (tmp_path / "model" / "_SUCCESS").write_text("")
    (tmp_path / "model" / "empty").mkdir()
    assert find(tmp_path, tmp_path / "model").family == "bert"


def cut_short(whole: bytes) -> bytes:
    return whole[: len(whole) // 2]


def one_bit_wrong(whole: bytes) -> bytes:
    middle = len(whole) // 2
    return whole[:middle] + bytes([whole[middle] ^ 4]) + whole[middle + 1 :]


def checksum_wrong(whole: bytes) -> bytes:
    return whole[:-8] + bytes(4) + whole[-4:]


@pytest.mark.parametrize("damage", [cut_short, one_bit_wrong, checksum_wrong])
def test_a_damaged_archive_is_refused(tmp_path: Path, tiny_encoder: Path, damage: Callable[[bytes], bytes]) -> None:
    channel = pack(tmp_path / "model" / "model.tar.gz", tiny_encoder)
    (channel / "model.tar.gz").write_bytes(damage((channel / "model.tar.gz").read_bytes()))
    with pytest.raises(UserError, match=r"model\.tar\.gz can't be unpacked"):
        find(tmp_path, channel)


def test_files_that_are_no_encoder_are_listed(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "notes.txt").write_text("x")
    with pytest.raises(UserError, match=r"no encoder among its files \(notes\.txt\)"):
        find(tmp_path, tmp_path / "model")
