"""Detects the format of a file or request body by its first bytes, for training, the data check, batch and serving."""

import csv
import re
from collections.abc import Sequence

from classifier import image_formats
from classifier.tabular.columns import TEXT_NAMES
from classifier.tabular.keys import SOURCE, SOURCE_REFERENCE

HEAD_BYTES = 4096
# In UTF-16 most texts have a byte of zero for every second.
SHARE_OF_ZEROS = 0.2
# In UTF-32 every character of four bytes has one or more, and most have two or three.
SHARE_OF_ZEROS_IN_UTF_32 = 0.4
AS_CSV = "save it as CSV in UTF-8 (in Excel: 'CSV UTF-8')"
TO_UTF_8 = "save the file as UTF-8 (in Excel: 'CSV UTF-8'; in a shell: iconv -f UTF-16 -t UTF-8)"
FROM_UTF_32 = "save the file as UTF-8 (in a shell: iconv -f UTF-32 -t UTF-8)"
UNPACK = "unpack it and upload the files in it"
WITH_GZIP = "compress it with gzip, or not at all"
MARK = rb"(?:\xef\xbb\xbf)?\s*"
JSON_OBJECT = re.compile(MARK + rb'\{\s*"')
JSON_OBJECTS = re.compile(MARK + rb'\[\s*\{\s*"')
JSON_KEY = re.compile(rb'"([^"\\]+)"\s*:')
AS_LINES = "write its labels and texts as CSV or JSON Lines"
AS_FOLDERS = "put each image in a folder that is called as its label, and give the folder that these are in"
WEB_PAGE = f"a web page, not a table; {AS_LINES}"
XML = f"an XML file, not a table; {AS_LINES}"
PDF = f"a PDF, not a table; {AS_LINES}"
FASTTEXT = "fastText's format; write a row as: label, a comma, and the text in quotes"
LIBSVM = f"libsvm's format, which holds numbers and no texts; {AS_LINES}"
IMAGE_ENDING = f"(?i:{'|'.join(map(re.escape, image_formats.SUFFIXES))})".encode()
# The first line of what SageMaker Ground Truth writes of images.
IMAGE_MANIFEST = rb'\{[^\n]*"' + SOURCE_REFERENCE.encode() + rb'"\s*:\s*"[^"\n]*' + IMAGE_ENDING + rb'"'
# The first entry's name in an archive of ZIP's format.
ZIP_NAME = rb"PK\x03\x04.{26}"
# Of formats that begin alike the narrower comes first.
MAGIC: dict[bytes, str] = {
    rb"(?=.*\x00)PAR1": (
        f"a Parquet file, not text; {AS_LINES} (in Python: "
        "pandas.read_parquet('data.parquet').to_csv('data.csv', index=False))"
    ),
    ZIP_NAME + rb"mimetypeapplication/vnd\.oasis\.opendocument": f"an OpenDocument file, not text; {AS_CSV}",
    ZIP_NAME + rb"[^/\x00]*\.npy": f"a NumPy archive, not text; {AS_LINES}",
    ZIP_NAME + rb"[^/\x00]*/data\.pkl": f"a PyTorch file, not text; {AS_LINES}",
    ZIP_NAME + rb"[\w ./()-]*\.(?i:csv|tsv|jsonl?|txt)": f"a ZIP archive of tables or texts; {UNPACK}",
    rb"PK\x03\x04(?=.*word/)": f"a Word document, not a table; {AS_LINES}",
    rb"PK\x03\x04": f"an Excel workbook or a ZIP archive, not text; {AS_CSV}, or {UNPACK}",
    rb"\xd0\xcf\x11\xe0": f"an old Excel or Office file, not text; {AS_CSV}",
    rb"\x1f\x8b": "compressed with gzip; let its name end in .gz",
    rb"BZh[1-9]1AY&SY": f"compressed with bzip2; {WITH_GZIP}",
    rb"\xfd7zXZ": f"compressed with xz; {WITH_GZIP}",
    rb"\x28\xb5\x2f\xfd": f"compressed with zstd; {WITH_GZIP}",
    rb"\x04\x22\x4d\x18": f"compressed with lz4; {WITH_GZIP}",
    rb"\xff\x06\x00\x00sNaPpY": f"compressed with snappy; {WITH_GZIP}",
    rb"x\x9c": f"compressed with zlib, as spaCy's DocBin is, not text; {AS_LINES}",
    rb"7z\xbc\xaf": f"a 7z archive, not text; {UNPACK}",
    rb"Rar!\x1a\x07": f"a RAR archive, not text; {UNPACK}",
    rb"%PDF-\d": PDF,
    rb"\{\\rtf": f"a rich-text file (RTF), not a table; {AS_LINES}",
    rb"(?=.*\x00)ORC": f"an ORC file, not text; {AS_LINES}",
    rb"Obj\x01": f"an Avro file, not text; {AS_LINES}",
    rb"ARROW1\x00|FEA1|\xff{4}.{2}[\x00-\x0f]\x00": (
        f"an Arrow file, not text; {AS_LINES} (in Python: Dataset.to_csv of Hugging Face's datasets)"
    ),
    rb"\x0a\x23\xd7\xce": f"a RecordIO file, not text; {AS_LINES}; for images, {AS_FOLDERS}",
    rb".{3}\x00{5}.{4}\x0a": f"a TFRecord file, not text; {AS_LINES}; for images, {AS_FOLDERS}",
    rb"SQLite format 3\x00": f"an SQLite database, not text; {AS_LINES}",
    rb"\x89HDF": f"an HDF5 file, not text; {AS_LINES}",
    rb"\x80[\x02-\x05]": f"a pickle of Python, not text; {AS_LINES} (in Python: DataFrame.to_csv)",
    rb"\x93NUMPY": f"a NumPy array, not text; {AS_LINES}",
    rb"MATLAB 5\.0 MAT-file": f"a MATLAB file, not text; {AS_LINES}",
    rb"RDX[23]\n": f"a file of R, not text; {AS_LINES} (in R: write.csv)",
    rb"\$FL[23]@|<stata_dta>": f"a file of SPSS or Stata, not text; {AS_CSV}",
    image_formats.BEGINS: f"an image, not a table; to classify images, {AS_FOLDERS}",
    rb".{257}ustar": f"a tar archive, not a table; {UNPACK}",
    MARK + rb"version https://git-lfs": "a Git LFS pointer, not the file; run git lfs pull and upload that",
    MARK + rb"<\?xml.*<Error>": "an error message of S3, not a table; download the file again",
    MARK + rb"<(?i:!doctype html|html)": WEB_PAGE,
    MARK + rb"<\?xml": XML,
    MARK + rb"__label__": FASTTEXT,
    MARK + rb"[+-]?\d+(\.\d+)?( +\d+:[-+.\deE]+){2,} *\r?\n": LIBSVM,
    rb"\d+(\t[\d.]+)+\t[^\t\n]+" + IMAGE_ENDING + rb" *\r?\n": (
        f"a list of images (.lst), which are not texts; to classify images, {AS_FOLDERS}"
    ),
    MARK + rb'\[\s*\{\s*"prefix"\s*:': (
        "a list of objects in S3 (a manifest), which are not here; set the channel's S3DataType to ManifestFile with "
        "this file as its S3Uri, or give the folder that the objects are in"
    ),
    MARK + IMAGE_MANIFEST: (
        f"SageMaker Ground Truth's list of labelled images, which are elsewhere in S3; {AS_FOLDERS}"
    ),
    MARK + rb'\{(?=[^\n]*"_input_hash")(?=[^\n]*"accept"\s*:\s*\[)': (
        "Prodigy's annotations of choices; write what was accepted as the label "
        "(jq -c 'select(.answer == \"accept\") | {label: .accept[0], text}' does it)"
    ),
    MARK + rb'\{(?=[^\n]*"text"\s*:)(?=[^\n]*"cats"\s*:\s*\{)': (
        "spaCy's format for categories; write one object per line with the one label that is true: "
        '{"label": "...", "text": "..."}'
    ),
    MARK + rb'\{[^\n]*"(?:Classes|Labels)"\s*:\s*\[\s*\{\s*"Name"\s*:': (
        "Amazon Comprehend's answers, not labelled texts; give the texts with their labels"
    ),
    MARK + rb'\[\s*\{.*"from_name"\s*:': "Label Studio's export in JSON; export the project as CSV instead",
    rb"\xff\xfe\x00\x00|\x00\x00\xfe\xff": f"UTF-32, not UTF-8; {FROM_UTF_32}",
    rb"\xff\xfe|\xfe\xff": f"UTF-16, not UTF-8; {TO_UTF_8}",
}
# Of these nobody would miss rows where they lie beside a table, and a text of its own may begin so.
DOCUMENTS = frozenset({WEB_PAGE, XML, PDF})
TEXTS = frozenset({WEB_PAGE, XML, FASTTEXT, LIBSVM})

# JSON Lines in a file that is said to be another, by its name or otherwise.
NAMED_OTHERWISE = "JSON Lines; let the file's name end in .jsonl"
SHARE_OF_ALIKE_ROWS = 0.9
LONGEST_LABEL = 40
# Ten files of a few lines each are texts, though all of them begin alike; tables in parts are fewer, or longer.
MANY_FILES = 10
ROWS_OF_A_TABLE = 10
DELIMITERS = ",;\t|"
# Of a text in an object, with those of SageMaker Ground Truth.
RECORD_NAMES = TEXT_NAMES | {SOURCE, SOURCE_REFERENCE}


def foreign_format(head: bytes, *, is_json: bool = True) -> str:
    """Return what the bytes are if they are no table or text that is read, and what to do; else an empty string.

    Args:
        head: The first bytes, :data:`HEAD_BYTES` of them or all.
        is_json: Whether JSON is expected, or may be.
    """
    for magic, words in MAGIC.items():
        if re.match(magic, head, re.DOTALL):
            return words
    if head.count(0) > SHARE_OF_ZEROS_IN_UTF_32 * len(head) and (order := _order_of_utf_32(head)):
        return f"UTF-32 without its mark, not UTF-8; {FROM_UTF_32.replace('UTF-32', f'UTF-32{order}')}"
    if head.count(0) > SHARE_OF_ZEROS * len(head):
        return f"full of zero bytes: UTF-16, or no text at all; {TO_UTF_8}"
    if not is_json and JSON_OBJECT.match(head):
        return NAMED_OTHERWISE
    return ""


def _order_of_utf_32(head: bytes) -> str:
    """Return the order of bytes in which the first ones are UTF-32: ``LE``, ``BE``; empty if they are not."""
    whole = head[: len(head) // 4 * 4]
    for order in ("LE", "BE"):
        try:
            if whole and "\0" not in whole.decode(f"utf-32-{order.lower()}"):
                return order
        except UnicodeDecodeError:
            continue
    return ""


def rows_suffix(head: bytes) -> str:
    """Return how the name of a file that begins so should end if it looks like labelled rows; else an empty string.

    Args:
        head: The first bytes, :data:`HEAD_BYTES` of them or all.
    """
    lines = _lines(head)
    if JSON_OBJECTS.match(head) or JSON_OBJECT.match(head):
        return ".jsonl" if _are_records(head, lines) else ""
    return ".csv" if len(lines) > 1 and any(_table([lines], delimiter) for delimiter in DELIMITERS) else ""


def are_tables(heads: Sequence[bytes], count: int) -> bool:
    """Return whether files that begin so are tables, rather than a text each.

    A table has two rows or more, and many where there are many files; its rows have as many columns, and what is in
    its first or its last column comes again, or is integers.

    Args:
        heads: The first bytes of each.
        count: How many bytes of each there are at most.
    """
    files = [_lines(head, count) for head in heads]
    lines = [line for file in files for line in file]
    short = sum(len(head) < count and len(file) < ROWS_OF_A_TABLE for head, file in zip(heads, files, strict=True))
    if len(lines) < 2 * len(files) or (len(files) >= MANY_FILES and short > len(files) / 2):
        return False
    if sum(map(_is_object, lines)) > SHARE_OF_ALIKE_ROWS * len(lines):
        return True
    tables = (_table(files, delimiter) for delimiter in DELIMITERS)
    return any(rows and _are_labels([row[place] for row in rows]) for rows in tables for place in (0, -1))


def _are_labels(fields: Sequence[str]) -> bool:
    return len(set(fields)) <= len(fields) / 2 or all(field.strip().isdecimal() for field in fields)


def _lines(head: bytes, count: int = HEAD_BYTES) -> list[str]:
    """Return the lines that are not blank, without one that may be cut off."""
    lines = head.decode("utf-8", "ignore").removeprefix("\ufeff").splitlines()
    whole = lines[:-1] if len(head) >= count and len(lines) > 1 else lines
    return [line for line in whole if line.strip()]


def _is_object(line: str) -> bool:
    return line.lstrip().startswith("{") and line.rstrip().endswith("}")


def _are_records(head: bytes, lines: Sequence[str]) -> bool:
    """Return whether JSON holds records, and not settings or the labels' names."""
    is_array = JSON_OBJECTS.match(head) is not None
    if (is_array and len(head) >= HEAD_BYTES) or (len(lines) > 1 and all(map(_is_object, lines))):
        return True
    names = {key.decode("utf-8", "ignore").strip().lower() for key in JSON_KEY.findall(head)}
    return len(names) > 1 and bool(names & RECORD_NAMES) and (is_array or len(lines) == 1)


def _table(files: Sequence[Sequence[str]], delimiter: str) -> list[list[str]]:
    """Return files' lines as rows where nearly all have as many columns, two or more, one of which may be a label."""
    try:
        rows = [row for lines in files for row in csv.reader(lines, delimiter=delimiter, skipinitialspace=True) if row]
    except csv.Error:
        return []
    counts = [len(row) for row in rows]
    count = max(set(counts), key=counts.count, default=0)
    alike = [row for row in rows if len(row) == count]
    if count < 2 or len(alike) < SHARE_OF_ALIKE_ROWS * len(rows):
        return []
    ends = ([row[place] for row in alike] for place in (0, -1))
    return alike if any(all(len(field) <= LONGEST_LABEL for field in fields) for fields in ends) else []
