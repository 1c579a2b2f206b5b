"""Texts in one file each, in one folder per label: the layout of Keras's ``text_dataset_from_directory``."""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path, PurePath

from classifier.environment import shown
from classifier.tabular import files, left_out, sniffing, splits
from classifier.tabular.files import Source
from classifier.tabular.rows import ReadResult, Row, as_label, folder_problem

TEXT = ".txt"
# So many files, and so many bytes of them, say what all are.
FILES_LOOKED_AT = 200
BYTES_LOOKED_AT = 2 << 20
# So many lines of the only file of a label may be as many texts.
LINES_OF_MANY = 5
LEADS = "its S3 address must lead to the folder that the labels' folders are in"


def find(folder: Path, channel: str, paths: Sequence[Path], result: ReadResult, *, sharded: bool) -> list[Source]:
    """Find the texts, if that is how a channel is laid out.

    Args:
        folder: The channel's folder.
        channel: Its name.
        paths: Its files, of which none is a table beyond doubt.
        result: Gets a note of the layout, and a problem for each folder that is no label.
        sharded: Whether each host gets a part of the channel's files.
    """
    inside = [path for path in paths if path.parent != folder and is_text(path)]
    some = inside[:: max(1, len(inside) // FILES_LOOKED_AT)]
    if not some or not _are_texts(some):
        return []
    relatives = {path: path.relative_to(folder) for path in inside}
    labels = {relative.parts[0] for relative in relatives.values()}
    if len(labels) == 1 and any(path.parent == folder and _is_table(path) for path in paths):
        return []
    _check_labels(labels, channel, result)
    if len(labels) == 1 and not sharded:
        _check_depth(labels, relatives.values(), channel, result)
    elif len(labels) > 1:
        _check_below(relatives.values(), channel, result)
    words = (
        f"{channel}: each file is a text, whose label is the folder it is in: {len(inside)} in {len(labels)} folders"
    )
    result.general_notes.append(words)
    return [
        Source(path, f"{channel}/{shown(relative.as_posix())}", label=relative.parts[0])
        for path, relative in relatives.items()
    ]


def is_text(path: Path) -> bool:
    """Return whether a file in a label's folder may be a text, by its name: ``.txt``, or no ending at all."""
    name = PurePath(path.name.lower().removesuffix(files.GZIP))
    return name.suffix == TEXT or (not name.suffix and not left_out.is_notice(name))


def read(source: Source, result: ReadResult) -> None:
    """Add a file's text, or what is wrong with it."""
    if not files.is_text(source, result, also=sniffing.TEXTS):
        return
    with files.reading(source, result), files.open_text(source) as file:
        result.rows.append(Row(source.name, 0, as_label(source.label), file.read().rstrip("\r\n")))


def one_file_each(rows: Sequence[Row]) -> Iterator[str]:
    """Warn of labels that have a single file each, of many lines: they may be a text per line.

    Args:
        rows: All rows of a channel.
    """
    texts = [row for row in rows if not row.line]
    alone = len({row.label for row in texts}) == len(texts) > 1
    if alone and all(sum(map(bool, map(str.strip, row.record.splitlines()))) >= LINES_OF_MANY for row in texts):
        yield (
            f"{texts[0].file}: the only file of its label, as of every other, and each has {LINES_OF_MANY} lines or "
            "more; a file is one text: if each line is one, write a table of labels and texts"
        )


def _are_texts(paths: Sequence[Path]) -> bool:
    """Return whether files are a text each, rather than tables or no text at all."""
    count = max(sniffing.HEAD_BYTES, BYTES_LOOKED_AT // len(paths))
    heads = [files.unpacked_head(path, count) for path in paths]
    binary = sum(_is_binary(head[: sniffing.HEAD_BYTES]) for head in heads)
    return binary <= len(heads) / 2 and not sniffing.are_tables(heads, count)


def _is_table(path: Path) -> bool:
    return files.may_be_table(path) and left_out.holds_rows(path)


def _is_binary(head: bytes) -> bool:
    kind = sniffing.foreign_format(head)
    return bool(kind) and kind not in sniffing.TEXTS


def _check_labels(labels: Collection[str], channel: str, result: ReadResult) -> None:
    """Name folders that are no labels."""
    roles = {label: splits.splits_in(label) for label in sorted(labels)}
    parts = all(roles.values()) and len(set.union(*roles.values())) > 1
    if parts or all(map(splits.split_of, labels)):
        words = f"its folders are called {', '.join(roles)}, which are no labels; give each a channel of its own"
        result.problem(f"channel {channel}", 0, words)
        return
    for label in sorted(labels):
        wrong = _wrong(label)
        if wrong:
            result.problem(f"{channel}/{shown(label)}", 0, wrong)


def _wrong(label: str) -> str:
    if role := splits.split_of(label):
        return f"beside the labels' folders; give it the channel {role}, or, if it is a label, another name"
    if splits.words_in(label)[:1] and splits.words_in(label)[0] in splits.UNLABELLED:
        return "texts without a label, by the folder's name; take it out, or, if it is a label, give it another name"
    return folder_problem(label)


def _check_depth(labels: Collection[str], names: Collection[PurePath], channel: str, result: ReadResult) -> None:
    """Return where the labels may be, if all texts are in one folder that has folders."""
    below = {name.parts[1] for name in names if len(name.parts) > 2}
    if len(below) > 1 and all(len(name.parts) > 2 for name in names):
        (label,) = labels
        named = ", ".join(map(shown, sorted(below)[:5]))
        words = f"all texts are in this folder, whose own folders ({named}) may be the labels; {LEADS}"
        result.problem(f"{channel}/{shown(label)}", 0, words)


def _check_below(names: Collection[PurePath], channel: str, result: ReadResult) -> None:
    """Doubt labels whose folders all have the same folders in them, which may be the labels, or parts of the data."""
    below: dict[str, set[str]] = {}
    for name in names:
        below.setdefault(name.parts[0], set()).add(name.parts[1] if len(name.parts) > 2 else "")
    inside = set.union(*below.values())
    if "" in inside or len(inside) < 2 or any(folders != inside for folders in below.values()):
        return
    named = ", ".join(map(shown, sorted(inside)[:5]))
    if splits.TRAINING in (parts := set.union(*map(splits.splits_in, inside))) and len(parts) > 1:
        words = (
            f"its labels' folders have folders for several purposes in them ({named}); give each a channel of its own"
        )
        result.problem(f"channel {channel}", 0, words)
        return
    result.general_warnings.append(
        f"{channel}: the folders at its top are taken for the labels, and have the same folders in them ({named}); if "
        "these are the labels, put them at the top"
    )
