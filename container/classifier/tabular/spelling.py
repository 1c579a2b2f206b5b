"""Finds labels that are one label written in two ways, and characters that another program damaged."""

import html
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from classifier.errors import at_most
from classifier.tabular.rows import Label

QUOTES = "'\"`\u00b4\u2018-\u201f\u00ab\u00bb\u2039\u203a"
DASHES = re.compile("[\u2010-\u2015]")
QUOTES_AROUND = re.compile(rf"^[\s{QUOTES}]+|[\s{QUOTES}]+$")
# Only between letters and digits: "A-" is another grade than "A".
SEPARATORS = re.compile(rf"(?<=[^\W_])[\s_./\-\u2010-\u2015{QUOTES}]+(?=[^\W_])")
END_OF_SENTENCE = re.compile(r"(?<=\w)[.,;:]+$")
# Which form of a symbol is shown, as of a heart.
SELECTORS = re.compile("[\ufe0e\ufe0f]")
# Cyrillic letters that look like Latin ones, as small or as capital letters.
LOOK_ALIKES = str.maketrans(
    "\u0430\u0432\u0435\u043a\u043c\u043d\u043e\u0440\u0441\u0442\u0443\u0445\u0456\u0458\u0455", "abekmhopctyxijs"
)
POINTS_SHOWN = 8
# UTF-8 that was read as Windows-1252, or as Latin-1 where that has no character, is of these characters.
BYTES: Mapping[str, int] = {
    **{chr(byte): byte for byte in range(0x80, 0x100)},
    **{
        bytes([byte]).decode("cp1252"): byte for byte in range(0x80, 0xA0) if byte not in (0x81, 0x8D, 0x8F, 0x90, 0x9D)
    },
}
OF_BYTES = re.compile(f"[{re.escape(''.join(BYTES))}]+")
# A capital letter before a mark, as in "CAF\u00c9\u2026", would be one of these letters of phonetics and of Syriac.
RARE = re.compile("[\u0180-\u02ff\u0700-\u08ff]")
# What begins a quote, a dash or the sign of the euro in UTF-8, which no language has: the rest may be lost.
BEGINNING_OF_A_MARK = ("\u00e2\u20ac", "\u00e2\u0080")


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def _without_separators(name: str) -> str:
    bare = QUOTES_AROUND.sub("", _folded(name))
    return SEPARATORS.sub(_between, bare) or name


def _between(match: re.Match[str]) -> str:
    """Return what is left of what separates two characters: of ``1.1``, which isn't ``11``, all."""
    numbers = match.string[match.start() - 1].isdigit() and match.string[match.end()].isdigit()
    return DASHES.sub("-", match[0]) if numbers else ""


def _as_it_looks(name: str) -> str:
    bare = SELECTORS.sub("", html.unescape(name)).strip()
    return _without_separators(END_OF_SENTENCE.sub("", _folded(bare)).translate(LOOK_ALIKES)) or name


# What two names may differ in though one is meant, and what makes them the same then; the narrowest first.
_DIFFERENCES: Mapping[str, Callable[[str], str]] = {
    "Unicode form": lambda name: unicodedata.normalize("NFC", name),
    "case": str.casefold,
    "spaces": lambda name: "".join(name.split()),
    "case, spaces or Unicode form": lambda name: "".join(_folded(name).split()),
    "case, spaces, dashes, quotes or Unicode form": _without_separators,
    "case, spaces, punctuation, HTML's escapes, or characters that look alike": _as_it_looks,
}
# Of a group, several differences may be true at once.
_OF_GROUPS = tuple(_DIFFERENCES)[3:]


def written_otherwise(labels: Iterable[Label], known: Iterable[Label]) -> dict[Label, tuple[str, str]]:
    """Return, of names that are none of the known ones but differ only in how they are written, which and in what.

    Args:
        labels: Labels, none of which is known.
        known: Those that are.
    """
    near: dict[str, list[str]] = {}
    for name in known:
        if isinstance(name, str):
            near.setdefault(_as_it_looks(name), []).append(name)
    found: dict[Label, tuple[str, str]] = {}
    for label in labels:
        others = near.get(_as_it_looks(label), []) if isinstance(label, str) else []
        alike = (
            (other, words)
            for words, form in _DIFFERENCES.items()
            for other in others
            if form(other) == form(str(label))
        )
        if (first := next(alike, None)) is not None:
            found[label] = first
    return found


def spelled(label: Label) -> str:
    """Return a label, with the code points of what may look like something else."""
    points = [f"U+{ord(character):04X}" for character in str(label) if not character.isascii()]
    return f"{label} ({' '.join(at_most(points, POINTS_SHOWN))})" if points else str(label)


def alike(labels: Sequence[Label]) -> Iterator[tuple[list[str], str]]:
    """Return the names that differ only in how they are written, in groups, and what those of each differ in."""
    groups: dict[str, list[str]] = {}
    for label in labels:
        if isinstance(label, str):
            groups.setdefault(_as_it_looks(label), []).append(label)
    for group in groups.values():
        if len(group) > 1:
            same = (words for words in _OF_GROUPS if len(set(map(_DIFFERENCES[words], group))) == 1)
            yield group, next(same)


def is_misread(text: str) -> bool:
    """Return whether a text is UTF-8 that was read as Windows-1252 or Latin-1: most of its letters are another's bytes.

    Each run of such characters is judged: of French and the like, a letter with an accent stands alone.
    """
    if text.isascii():
        return False
    if any(mark in text for mark in BEGINNING_OF_A_MARK):
        return True
    runs = OF_BYTES.findall(text)
    return sum(map(_are_bytes, runs)) > len(runs) / 2


def _are_bytes(run: str) -> bool:
    try:
        meant = bytes(BYTES[character] for character in run).decode("utf-8")
    except UnicodeDecodeError:
        return False
    return len(meant) < len(run) and not RARE.search(meant)
