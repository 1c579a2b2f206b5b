"""Regular expressions that two libraries must read alike: RE2, which is TensorFlow's, and Oniguruma, of ``tokenizers``.

Patterns are written for RE2. Source of the other dialect: Oniguruma's documentation, "Oniguruma Regular Expressions"
and "UNICODE_PROPERTIES".
"""

import re

# Letters, marks and numbers that came with Unicode 15.1 and 16, which Oniguruma knows, and RE2 does not yet.
_YOUNGER = (
    r"\x{897}\x{1C89}\x{1C8A}\x{A7CB}-\x{A7CD}\x{A7DA}-\x{A7DC}\x{105C0}-\x{105F3}\x{10D40}-\x{10D85}"
    r"\x{10EC2}-\x{10EC4}\x{10EFC}\x{11380}-\x{113E2}\x{116D0}-\x{116E3}\x{11BC0}-\x{11BF9}\x{11F5A}"
    r"\x{13460}-\x{143FA}\x{16100}-\x{16139}\x{16D40}-\x{16D79}\x{18CFF}\x{1CCF0}-\x{1CCF9}\x{1E5D0}-\x{1E5FA}"
    r"\x{2EBF0}-\x{2EE5D}"
)
# What was of a class until Unicode 16 put it elsewhere.
_FORMER = {"Mn": r"\x{1171E}"}


def oniguruma(pattern: str) -> str:
    r"""Translate an RE2 pattern to Oniguruma's syntax.

    Its classes are those of Unicode 15.0, and ``\b``, which may only stand at a word's end, means ASCII words.
    """
    pattern = pattern.replace(r"\b", "(?![0-9A-Za-z_])")
    return re.sub(r"\\p\{(\w+)\}", _of_unicode_15, pattern)


def _of_unicode_15(match: re.Match[str]) -> str:
    return f"[{match[0]}{_FORMER.get(match[1], '')}&&[^{_YOUNGER}]]"
