"""Which of the unread files a user would miss, by their names and their first bytes."""

import re
from pathlib import Path, PurePath

from classifier.tabular import files
from classifier.tabular.sniffing import DOCUMENTS, HEAD_BYTES, rows_suffix

# What platforms and programs leave behind (contract T27): any part of a name, in any case.
LEFT_BEHIND = re.compile(
    r"\.ds_store|\._.*|__macosx|thumbs\.db|desktop\.ini|~\$.*|\.~lock\..*|.*\.sw[op]|.*\.crc|\.trash.*|\.spotlight.*"
    r"|\.ipynb_checkpoints|__pycache__|\.(git|svn|hg|cache|idea|vscode|venv|batch|sagemaker).*|lost\+found"
    r"|_success|_(committed|started)_.*|_(common_)?metadata|_temporary|_spark_metadata|_delta_log|.*_\$folder\$"
)
# Files about the data, by their names or suffixes.
NOTICE = re.compile(
    r"(readme|dockerfile|makefile)([^a-z].*)?|(licen[cs]e|copying|copyright|contributors|changelog)([-.][a-z].*)?"
)
# Names of such files that data may have, too.
PERHAPS_NOTICE = re.compile(r"(notice|authors|credits|citation|source|changes)(\.[a-z]+)?")
DOCUMENT_SUFFIXES = frozenset(
    {
        ".md", ".rst", ".pdf", ".html", ".htm", ".xml", ".ipynb", ".py", ".r", ".sh", ".bat", ".yaml", ".yml", ".toml",
        ".ini", ".cfg", ".cff", ".log", ".bib", ".tex", ".sha1", ".sha256", ".sha512", ".md5",
    }
)  # fmt: skip
TABLES_OF_OTHERS = frozenset({".xlsx", ".xls", ".ods", ".parquet", ".arrow", ".feather"})
ARCHIVES = frozenset({".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".zst", ".7z", ".rar"})


def is_left_behind(name: PurePath) -> bool:
    """Return whether a file is what a platform or a program leaves behind, by its name below the channel."""
    return any(LEFT_BEHIND.fullmatch(part.lower()) for part in name.parts)


def is_notice(name: PurePath) -> bool:
    """Return whether a file accompanies data, such as a licence, by its name."""
    return is_surely_notice(name) or PERHAPS_NOTICE.fullmatch(name.name.lower()) is not None


def is_surely_notice(name: PurePath) -> bool:
    """Return whether a file accompanies data by a name that data don't have."""
    packed = name.suffix.lower() in TABLES_OF_OTHERS | ARCHIVES
    return not packed and NOTICE.fullmatch(name.name.lower()) is not None


def is_missed(path: Path) -> bool:
    """Return whether somebody would miss what is in a file that is not read: rows, or a format that may hold rows."""
    if files.is_table(path):
        return True
    if is_surely_notice(path) or path.suffix.lower() in DOCUMENT_SUFFIXES:
        return False
    kind = files.what(path)
    return kind not in DOCUMENTS if kind else holds_rows(path)


def is_missed_though_hidden(path: Path) -> bool:
    """Return whether somebody would miss what is in a file whose name says that it is not data."""
    if files.is_table(path) or path.suffix.lower() in TABLES_OF_OTHERS:
        return True
    return not is_surely_notice(path) and path.suffix.lower() not in DOCUMENT_SUFFIXES and holds_rows(path)


def holds_rows(path: Path) -> bool:
    """Return whether a file looks like labelled rows."""
    head = files.unpacked_head if files.is_packed(path) else files.head
    return bool(rows_suffix(head(path, HEAD_BYTES)))
