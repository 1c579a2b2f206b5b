"""What kinds of characters there are, by the names that Unicode gives them."""

import re
import unicodedata

LATIN = "Latin"
SIGNS = "emoji and other signs"
LOST = "U+FFFD, which stands for a letter that was lost"
PRIVATE = "private-use characters"
STYLED = "letters of full width, bold or the like"
_IDEOGRAPHS = "Chinese characters"

# A letter's name begins with its script's: THAI CHARACTER KO KAI, OLD TURKIC LETTER ORKHON A.
_SCRIPT = re.compile(
    r"(.+?) (?:CAPITAL|SMALL|LETTER|CHARACTER|SYLLABLE|SYLLABICS|UNIFIED|COMPATIBILITY|IDEOGRAPH|VOWEL|CONSONANT|"
    r"SIGN|MARK|DIGIT|POINT|ACCENT|TONE|CHOSEONG|JUNGSEONG|JONGSEONG|BOLD|ITALIC|SCRIPT|FRAKTUR|DOUBLE-STRUCK|"
    r"SANS-SERIF|MONOSPACE|LIGATURE|LATIN|KATAKANA|HANGUL)\b"
)
_CALLED = {
    "Cjk": _IDEOGRAPHS,
    "Arabic-Indic": "Arabic",
    "Extended Arabic-Indic": "Arabic",
    **dict.fromkeys(("Fullwidth", "Halfwidth", "Mathematical"), STYLED),
}


def script(character: str) -> str:
    """Return a character's script, as ``Thai``, or what else it is."""
    category = unicodedata.category(character)
    if character == "\N{REPLACEMENT CHARACTER}":
        return LOST
    if category == "Co":
        return PRIVATE
    found = _SCRIPT.match(unicodedata.name(character, "")) if category[0] in "LMN" else None
    if found is None or found[1].startswith("COMBINING"):  # accents, which are of no script
        return SIGNS
    name = found[1].title()
    return _CALLED.get(name, name)
