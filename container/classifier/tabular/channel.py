"""Selects the files of a channel that are read, and reports the others."""

import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePath

from classifier.environment import is_hidden, shown
from classifier.errors import at_most
from classifier.tabular import files, layouts, left_out, splits, text_folders
from classifier.tabular.files import DATA_FILE, GZIP, MANIFEST, PERHAPS_TABLES, TABLES, Source
from classifier.tabular.rows import ReadResult
from classifier.tabular.text_folders import TEXT

MANY_TEXTS = 10
MOST_NAMED = 20
MOST_NOTED = 5
MOST_REFUSED = 5
ALONE = f"beside a {DATA_FILE} at the top no other file is read; give {DATA_FILE} another name, and all tables are read"
COPY = "a compressed copy of the file beside it, by its name; give one of them another name if they differ"
PERHAPS = "a .json or .txt is read only where there is no other table; let its name end in .jsonl, .csv or .tsv"
PERHAPS_PACKED = (
    "a .json.gz or .txt.gz is read only where there is no other table; let its name end in .jsonl.gz, .csv.gz or "
    ".tsv.gz"
)
OF_MANIFESTS = "a .manifest is read only where there is no other table; let its name end in .jsonl"
EMPTY = "the file is empty; write one row per line: a label, a comma, and a text"
EMPTY_BESIDE_OTHERS = f"{EMPTY}; or take it out, if the other files are to be read"
HIDDEN = "names that begin with a dot or an underscore are treated as temporary or system files; give it another name"
NOWHERE = "a broken link; put the file itself there"
TO_A_FOLDER = "a link to a folder, which is not followed; put the folder itself there"
MIXED = (
    "tables and texts in the folders of their labels are not read together; write all as tables, or give each a channel"
)
OUTSIDE = "outside of the labels' folders; put it in that of its label"
OF_ANOTHER_KIND = "in a folder of texts, each of which is a file whose name ends in .txt; write it so"
EMPTY_TEXT = "a text that is empty; write it, or take it out"


@dataclass(frozen=True)
class _Folder:
    """The contents of a channel's folder.

    Attributes:
        path: The folder.
        names: For the path of each file, and of each link that is not followed, its name relative to the folder.
        empty: The paths of files without content.
    """

    path: Path
    names: Mapping[Path, PurePath]
    empty: Collection[Path]

    @cached_property
    def visible(self) -> Mapping[Path, PurePath]:
        """The files that are the user's, judging by their names, without manifests and empty files."""
        return {
            path: name
            for path, name in self.names.items()
            if path not in self.empty and path.is_file() and not _is_manifest(path) and _is_users(name)
        }

    @cached_property
    def texts(self) -> Collection[Path]:
        """The files that would be read as texts in label folders if there were no table; empty if they are few."""
        found = {
            path: name for path, name in self.visible.items() if len(name.parts) > 1 and text_folders.is_text(path)
        }
        labels = {name.parts[0] for name in found.values()}
        return found.keys() if len(labels) > 1 and len(found) >= MANY_TEXTS else ()

    def called(self, path: Path, channel: str) -> str:
        """Return what messages call a file."""
        return f"{channel}/{shown(self.names[path].as_posix())}"


def find(folder: Path, channel: str, result: ReadResult, *, sharded: bool = False) -> list[Source]:
    """Find a channel's tables, or the texts in the folders of their labels.

    ``data.csv`` at the channel's top, or else all tables at any depth, by name; else texts in a folder for each label;
    else ``.json`` and ``.txt`` as tables; ``.manifest`` files that hold JSON objects where there are none of these.

    Args:
        folder: The channel's folder.
        channel: Its name, with which the files' names in messages begin.
        result: Gets a problem where there is nothing to read, or what is there is no channel; warnings and a note of
            what is left out.
        sharded: Whether each host gets a part of the channel's files, which may be none.
    """
    there = _looked_into(folder, channel, result)
    top = folder / DATA_FILE
    if top in there.empty and there.visible:
        result.problem(there.called(top, channel), 0, EMPTY_BESIDE_OTHERS)
        return []
    sources = _tables(there, channel, TABLES)
    if not sources:
        wrong = layouts.named(name.as_posix() for name in there.names.values())
        if wrong:
            result.problem(f"channel {channel}", 0, wrong)
            return []
        sources = text_folders.find(folder, channel, list(there.visible), result, sharded=sharded)
    sources = sources or _tables(there, channel, PERHAPS_TABLES) or _manifests(there, channel)
    if not sources:
        _nothing(there, channel, result, sharded=sharded)
        return []
    _check_names(there, sources, channel, result)
    _name_left_out(there, sources, channel, result)
    return sources


def listed(folder: Path) -> tuple[list[Path], list[OSError]]:
    """Return the files and the links in a folder at any depth, and the errors of subfolders that can't be listed."""
    paths: list[Path] = []
    closed: list[OSError] = []
    for parent, folders, names in os.walk(folder, onerror=closed.append):
        paths += [path for name in (*folders, *names) if (path := Path(parent, name)).is_symlink() or path.is_file()]
    return paths, closed


def _looked_into(folder: Path, channel: str, result: ReadResult) -> _Folder:
    """List a folder; a subfolder that can't be listed is a problem."""
    paths, closed = listed(folder)
    for error in closed if folder.is_dir() else ():
        place = f"{channel}/{shown(Path(error.filename).relative_to(folder).as_posix())}"
        result.problem(place, 0, f"can't be listed ({error.strerror}); make it readable for the job")
    empty = {path for path in paths if path.is_file() and not path.stat().st_size}
    return _Folder(folder, {path: path.relative_to(folder) for path in sorted(paths)}, empty)


def _is_users(name: PurePath) -> bool:
    return not is_hidden(name) and not left_out.is_left_behind(name)


def _is_manifest(path: Path) -> bool:
    return path.suffix.lower() == MANIFEST


def _tables(there: _Folder, channel: str, suffixes: Collection[str]) -> list[Source]:
    top = there.path / DATA_FILE
    named = [path for path in there.visible if files.suffix_of(path) in suffixes]
    found = [path for path in named if not left_out.is_notice(path) or left_out.is_missed(path)] or named
    chosen = [top] if top in found else [path for path in found if not _is_copy(path, found)]
    return [Source(path, there.called(path, channel)) for path in chosen]


def _is_copy(path: Path, others: Collection[Path]) -> bool:
    """Return whether a file is a compressed copy of the one beside it, which would duplicate every row."""
    return path.suffix.lower() == GZIP and path.with_suffix("") in others


def _manifests(there: _Folder, channel: str) -> list[Source]:
    return [
        Source(path, there.called(path, channel))
        for path, name in there.names.items()
        if _is_manifest(path) and path.is_file() and _is_users(name) and files.head(path, 1) == b"{"
    ]


def _nothing(there: _Folder, channel: str, result: ReadResult, *, sharded: bool) -> None:
    """Add the problems of a channel without a table."""
    problems = {path: why for path in there.names if (why := _why_missed(there, path, files.what))}
    empty = [path for path in there.empty if files.is_table(path) and _is_users(there.names[path])]
    problems |= dict.fromkeys(sorted(empty)[: 0 if sharded else 1], EMPTY)
    others = [path for path in there.visible if path not in problems]
    problems |= {path: files.not_read(path) for path in others[:MOST_REFUSED]}
    if not problems:
        cure = f"its S3 address must lead to the folder that {DATA_FILE} is in"
        files.is_absent(there.path, channel, (), result, cure, sharded=sharded)
    for path, words in sorted(problems.items()):
        result.problem(there.called(path, channel), 0, words)


def _why_missed(there: _Folder, path: Path, of_manifest: Callable[[Path], str]) -> str:
    """Return why a file is not read; empty if nobody would miss it.

    Args:
        there: The channel.
        path: The file.
        of_manifest: Returns the reason for a ``.manifest`` file.
    """
    name = there.names[path]
    if path in there.empty or left_out.is_left_behind(name):
        return ""
    if not path.is_file():
        return TO_A_FOLDER if path.is_dir() else NOWHERE
    if is_hidden(name):
        return HIDDEN if left_out.is_missed_though_hidden(path) else ""
    if _is_manifest(path):
        return of_manifest(path)
    return files.not_read(path) if left_out.is_missed(path) else ""


def _of_manifest_beside_tables(path: Path) -> str:
    return OF_MANIFESTS if left_out.holds_rows(path) else ""


def _check_names(there: _Folder, sources: Sequence[Source], channel: str, result: ReadResult) -> None:
    """Refuse tables whose labels or splits are only in their paths, and warn of folders for other channels."""
    names = [there.names[source.path].as_posix() for source in sources if not source.label]
    wrong = [words for words in (layouts.in_folders_of_labels(names), layouts.several_splits(names)) if words]
    for words in wrong:
        result.problem(f"channel {channel}", 0, words)
    own = splits.of_folder(channel) or splits.TRAINING
    odd = [f"{channel}/{shown(name)}" for name in names if layouts.roles_of_folders(name) - {own}]
    if odd and not wrong:
        named = ", ".join(at_most(odd, MOST_NOTED))
        result.general_warnings.append(
            f"read although the folder's name indicates another purpose: {named}; give it its own channel"
        )


def _name_left_out(there: _Folder, sources: Sequence[Source], channel: str, result: ReadResult) -> None:
    """Warn of the files that are not read and may hold rows, and note the others."""
    read = {source.path for source in sources}
    beside = _beside_texts if sources[0].label else _beside_tables
    groups: dict[str, list[Path]] = {}
    for path in there.names:
        if path not in read:
            why = beside(there, path) or _why_missed(there, path, _of_manifest_beside_tables)
            groups.setdefault(why, []).append(path)
    noted = [shown(there.names[path].as_posix()) for path in groups.pop("", []) if path in there.visible]
    if noted:
        result.general_notes.append(f"left out: {', '.join(at_most(noted, MOST_NOTED))}")
    for reason, paths in groups.items():
        result.general_warnings.append(f"left out: {', '.join(_sized(there, paths, channel))}: {reason}")


def _sized(there: _Folder, paths: Iterable[Path], channel: str) -> list[str]:
    """Name files with their bytes, some of very many."""
    sizes = [(path, path.stat().st_size if path.is_file() else 0) for path in paths]
    named = [f"{there.called(path, channel)} ({size:,} bytes)" for path, size in sizes[:MOST_NAMED]]
    rest = [size for _, size in sizes[MOST_NAMED:]]
    return [*named, f"and {len(rest)} more ({sum(rest):,} bytes)"] if rest else named


def _beside_tables(there: _Folder, path: Path) -> str:
    """Return why a file that may be a table is not read beside other tables; empty if it is not a table."""
    if path not in there.visible:
        return ""
    if files.is_table(path):
        return ALONE if there.path / DATA_FILE in there.visible else COPY
    if path in there.texts:
        return MIXED
    if not files.may_be_table(path) or not left_out.is_missed(path):
        return ""
    return files.what(path) or (PERHAPS_PACKED if path.suffix.lower() == GZIP else PERHAPS)


def _beside_texts(there: _Folder, path: Path) -> str:
    """Return why a file is not read beside texts in label folders; empty if the reason is another."""
    name = there.names[path]
    if not path.is_file() or _is_manifest(path) or left_out.is_left_behind(name) or left_out.is_surely_notice(name):
        return ""
    if is_hidden(name):
        missed = len(name.parts) > 1 and path not in there.empty and text_folders.is_text(path)
        return HIDDEN if missed else ""
    if len(name.parts) > 1:
        is_empty = path in there.empty
        return "" if is_empty and not text_folders.is_text(path) else EMPTY_TEXT if is_empty else OF_ANOTHER_KIND
    if path not in there.visible or not files.may_be_table(path):
        return ""
    if left_out.holds_rows(path):
        return MIXED
    return OUTSIDE if files.suffix_of(path) == TEXT and not left_out.is_notice(name) else ""
