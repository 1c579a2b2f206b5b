"""Classifies the value of a field: a text, words, a number, or the name of a column."""

import re
from collections.abc import Sequence

WORD = re.compile(r"[^\W\d_]+")
ADDRESS = re.compile(r"\S*(?://|@|\\)\S*|/\S*")
# Names, dates, places and codes have fewer; of scripts without spaces a whole sentence is one "word".
TEXT_WORDS = 3
TEXT_LETTERS = 20
CHARACTERS_TO_JUDGE = 200
MISSING = frozenset({"n/a", "na", "nan", "null", "none"})
LONGEST_NAME = 40
WORDS_OF_A_NAME = 3
# The texts below a column's name, and the share of them that may be as short as it.
FEWEST_TEXTS = 3
SHARE_OF_SHORT_TEXTS = 0.1
SMALL_INTEGER = re.compile(r"[0-9]|[1-9][0-9]")
RULE = re.compile(r"\s*:?[-=]{2,}:?\s*|\s*")
ENDS_OF_SENTENCES = (".", "!", "?", "。", "！", "？", "…")


def is_figure(value: str) -> bool:
    """Return whether a value is a number, a date or the like (digits without letters), or stands for a missing one."""
    return plain(value) in MISSING or (any(map(str.isdigit, value)) and not has_letters(value))


def has_letters(value: str) -> bool:
    """Return whether there is a letter in a value."""
    return WORD.search(value) is not None


def reads_like_text(value: str) -> bool:
    """Return whether a value has the words, or letters, of a text; an address or a path, however long, has not."""
    words = WORD.findall(ADDRESS.sub(" ", value.lstrip()[:CHARACTERS_TO_JUDGE]))
    return len(words) >= TEXT_WORDS or sum(map(len, words)) >= TEXT_LETTERS


def reads_like_name(value: str) -> bool:
    """Return whether a value could be what a column is called: some words, and neither a figure nor a sentence."""
    bare = value.strip()
    return (
        0 < len(bare) <= LONGEST_NAME
        and len(bare.split()) <= WORDS_OF_A_NAME
        and has_letters(bare)
        and not bare.endswith(ENDS_OF_SENTENCES)
    )


def stands_above(name: str, texts: Sequence[str]) -> bool:
    """Return whether a value could be the name of a column of texts: hardly any of them is as short."""
    short = sum(len(text.strip()) <= len(name.strip()) for text in texts)
    return reads_like_name(name) and len(texts) >= FEWEST_TEXTS and short <= SHARE_OF_SHORT_TEXTS * len(texts)


def are_column_numbers(fields: Sequence[str]) -> bool:
    """Return whether a row is 0, 1, 2 and so on: what pandas writes above columns that have no names."""
    numbers = [field.strip() for field in fields if field.strip()]
    return len(numbers) > 1 and numbers == [str(number) for number in range(len(numbers))]


def may_be_column_numbers(fields: Sequence[str]) -> bool:
    """Return whether a row is distinct small integers: what pandas writes above some columns of those without names."""
    numbers = [field.strip() for field in fields if field.strip()]
    return 0 < len(numbers) == len(set(numbers)) and all(map(SMALL_INTEGER.fullmatch, numbers))


def is_rule(fields: Sequence[str]) -> bool:
    """Say whether a row is the line of dashes that SQL shells and Markdown put below a header."""
    return any(map(str.strip, fields)) and all(map(RULE.fullmatch, fields))


def are_again(fields: Sequence[str], names: Sequence[str]) -> bool:
    """Return whether a row has a header's names once more, in any case and order.

    Args:
        fields: The row.
        names: The header's names, as :func:`plain` returns them.
    """
    return plain(fields[0]) in names and sorted(map(plain, fields)) == sorted(names)


def plain(name: str) -> str:
    """Return a name as it is compared: without the spaces around it, in small letters."""
    return name.strip().lower()
