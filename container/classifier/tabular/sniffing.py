"""What a file or a request body is, by its first bytes: the same for training, ``data check``, batch and serving."""

import re

HEAD_BYTES = 4096
# In UTF-16 most texts have a byte of zero for every second.
SHARE_OF_ZEROS = 0.2
AS_CSV = "save it as CSV in UTF-8 (in Excel: 'CSV UTF-8')"
TO_UTF_8 = "save the file as UTF-8 (in Excel: 'CSV UTF-8'; in a shell: iconv -f UTF-16 -t UTF-8)"
UNPACK = "unpack it and upload the files in it"
JSON_OBJECT = re.compile(rb'(\xef\xbb\xbf)?\s*\{\s*"')
AS_LINES = "write its labels and texts as CSV or JSON Lines"
MAGIC: dict[bytes, str] = {
    rb"(?=.*\x00)PAR1": f"a Parquet file, not text; {AS_LINES}",
    rb"PK\x03\x04": f"an Excel workbook or a ZIP archive, not text; {AS_CSV}, or {UNPACK}",
    rb"\xd0\xcf\x11\xe0": f"an old Excel or Office file, not text; {AS_CSV}",
    rb"\x1f\x8b": "compressed with gzip; let its name end in .gz",
    rb"BZh[1-9]1AY&SY": "compressed with bzip2; compress it with gzip, or not at all",
    rb"\xfd7zXZ": "compressed with xz; compress it with gzip, or not at all",
    rb"\x28\xb5\x2f\xfd": "compressed with zstd; compress it with gzip, or not at all",
    rb"7z\xbc\xaf": f"a 7z archive, not text; {UNPACK}",
    rb"%PDF-\d": f"a PDF, not a table; {AS_LINES}",
    rb"(?=.*\x00)ORC": f"an ORC file, not text; {AS_LINES}",
    rb"Obj\x01": f"an Avro file, not text; {AS_LINES}",
    rb"ARROW1\x00": f"an Arrow file, not text; {AS_LINES}",
    rb"SQLite format 3\x00": f"an SQLite database, not text; {AS_LINES}",
    rb"\x89HDF": f"an HDF5 file, not text; {AS_LINES}",
    rb".{257}ustar": f"a tar archive, not a table; {UNPACK}",
    rb"(\xef\xbb\xbf)?version https://git-lfs": "a Git LFS pointer, not the file; run git lfs pull and upload that",
    rb"(\xef\xbb\xbf)?\s*<\?xml.*<Error>": "an error message of S3, not a table; download the file again",
    rb"(\xef\xbb\xbf)?\s*<(?i:!doctype html|html)": f"a web page, not a table; {AS_LINES}",
    rb"(\xef\xbb\xbf)?__label__": "fastText's format; write a row as: label, a comma, and the text in quotes",
    rb"\xff\xfe|\xfe\xff": f"UTF-16, not UTF-8; {TO_UTF_8}",
}


def foreign_format(head: bytes, *, is_json: bool = True) -> str:
    """Return what the bytes are if they are no table or text that is read, and what to do; else an empty string.

    Args:
        head: The first bytes, :data:`HEAD_BYTES` of them or all.
        is_json: Whether JSON is expected, or may be.
    """
    for magic, words in MAGIC.items():
        if re.match(magic, head, re.DOTALL):
            return words
    if head.count(0) > SHARE_OF_ZEROS * len(head):
        return f"full of zero bytes: UTF-16, or no text at all; {TO_UTF_8}"
    if not is_json and JSON_OBJECT.match(head):
        return "JSON Lines; let the file's name end in .jsonl"
    return ""
