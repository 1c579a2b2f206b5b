"""Checks the columns that are not read for content that changes what a row means: splits, verdicts, longer texts."""

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from classifier.tabular.columns import TEXT_NAMES
from classifier.tabular.splits import TEST, TRAINING, WORDS, compact, split_of, splits_in
from classifier.tabular.values import LONGEST_NAME, reads_like_text

YES = frozenset(
    {"true", "t", "yes", "y", "1", "1.0", "x", "\u2713", "\u2714", "on", "ja", "wahr", "oui", "vrai", "si", "s\u00ed"}
)
NO = frozenset({"false", "f", "no", "n", "0", "0.0", "off", "nein", "falsch", "non", "faux"})
# Columns of true and false that say which split a row is of, without spaces and underscores; "tests" says whether there
# were some.
FLAG = re.compile(
    rf"(?:is|in|for|use|usefor|usedfor|foruse)?({'|'.join(word for word in WORDS if word != 'tests')})"
    r"(?:sets?|split|data|rows?|samples?|flag|only)?"
)
ONLY_SPLIT_NAMES = frozenset({"split", "datasplit", "datasetsplit", "splitid", "splitname", "mluse"})
SPLIT_NAMES = ONLY_SPLIT_NAMES | {"partition"}
ACCEPTED = frozenset({"accept", "accepted", "approve", "approved", "submitted", "validated", "confirmed", "valid"})
REJECTED = frozenset(
    {
        "reject", "rejected", "ignore", "ignored", "skip", "skipped", "discard", "discarded", "draft", "pending",
        "cancelled", "canceled", "invalid",
    }
)  # fmt: skip
# What annotation tools write. Other words, as approved and rejected, are in a company's own columns, too: the status of
# a claim, of an order, of an application.
OF_ANNOTATORS = frozenset({"accept", "reject", "ignore", "discarded"})
UNFINISHED = frozenset({"submitted", "draft", "pending"})
VERDICT_NAMES = re.compile(r"answer|verdict|(?:annotation|annotator|label|labell?ing).*")
VERDICT_FLAGS = re.compile(r"(?:is|was|to)?(?:ignored?|skip(?:ped)?|discard(?:ed)?|excluded?)|wascancell?ed")
# Columns of true and false that may be either: of true for rows that were rejected, of false for those not kept.
BUSINESS_FLAGS = re.compile(r"(?:is|was|to)?(?:reject(?:ed)?|drop(?:ped)?|deleted?|removed?)")
KEPT_FLAGS = re.compile(r"(?:is|was|to)?(?:included?|keep|kept|usable)")
# A second text of each row, of a pair: text_b, sentence2, question_pair.
OF_A_PAIR = re.compile(rf"(?:{'|'.join(TEXT_NAMES)})?(?:b|2|two|pair)|hypothesis|premise")
MOST_VALUES = 12
VALUES_TO_JUDGE = 1000
MOST = 0.5


class Finding(NamedTuple):
    """What a column that is not read does to the rows.

    Attributes:
        line: The first row that it does it to.
        words: What it is, and what to do.
        ends: Whether the job must end; else it is a doubt.
    """

    line: int
    words: str
    ends: bool = True


@dataclass
class Seen:
    """What was seen of a column.

    Attributes:
        filled: In how many rows there is something.
        characters: How many characters they hold.
        texts: How many of the first of them read like texts.
        lines: The first line of each value; empty if there are many different values.
        many: Whether there are.
    """

    filled: int = 0
    characters: int = 0
    texts: int = 0
    lines: dict[str, int] = field(default_factory=dict)
    many: bool = False

    def add(self, line: int, value: str) -> None:
        """Take a row's value."""
        bare = value.strip()
        if not bare:
            return
        self.filled += 1
        self.characters += len(bare)
        if self.filled <= VALUES_TO_JUDGE:
            self.texts += reads_like_text(bare)
        if not self.many:
            self.lines.setdefault(bare.lower(), line)
            if len(self.lines) > MOST_VALUES:
                self.many = True
                self.lines.clear()

    @property
    def are_texts(self) -> bool:
        """Whether most of what it holds reads like texts."""
        return self.texts > MOST * min(self.filled, VALUES_TO_JUDGE)


class Unread:
    """Looks at the columns, or keys, of a table that are not read.

    Args:
        noun: What they are called, ``column`` or ``key``.
    """

    def __init__(self, noun: str) -> None:
        self._noun = noun
        self._rows = 0
        self._characters = 0
        self._text = ""
        self._columns: defaultdict[str, Seen] = defaultdict(Seen)

    def add(self, line: int, text: tuple[str, str], others: Iterable[tuple[str, str]]) -> None:
        """Take a row.

        Args:
            line: Where it is.
            text: The name of the text's column, and the text.
            others: The names of the columns that are not read, and what they hold.
        """
        self._rows += 1
        self._text = text[0]
        self._characters += len(text[1].strip())
        for name, value in others:
            self._columns[name].add(line, value)

    def findings(self, role: str) -> Iterator[Finding]:
        """Return what the columns do to the rows.

        Args:
            role: What the rows are for: ``training``, ``validation`` or ``test``.
        """
        for name, seen in self._columns.items():
            found = self._split(name, seen, role) or self._verdict(name, seen)
            if found:
                yield found
        for name in [name for name, seen in self._columns.items() if self._is_of_a_pair(name, seen)]:
            yield Finding(
                0,
                f"reads the text from the {self._noun} {shown(self._text)} and not from {shown(name)}, a second text "
                f"of each row; write both into one, or take the {self._noun} out",
                ends=False,
            )
        for words in self.longer():
            cure = "call the one to read 'text', write both into it, or take the other out"
            yield Finding(0, f"{words}; {cure}", ends=False)

    def _is_of_a_pair(self, name: str, seen: Seen) -> bool:
        return seen.are_texts and seen.filled > MOST * self._rows and OF_A_PAIR.fullmatch(_last(name)) is not None

    def longer(self) -> Iterator[str]:
        """Name the columns that hold longer texts than the one that is read."""
        for name, seen in self._columns.items():
            if seen.are_texts and seen.filled > MOST * self._rows and seen.characters > self._characters:
                yield (
                    f"reads the text from the {self._noun} {shown(self._text)} and not from {shown(name)}, which holds "
                    f"longer texts ({round(seen.characters / self._rows)} characters on average, where those that are "
                    f"read have {round(self._characters / self._rows)})"
                )

    def _split(self, name: str, seen: Seen, role: str) -> Finding | None:
        """Find rows of another split than the one they are read for."""
        tell = _splits(name, seen)
        named = _is_split_name(name)
        known = named or all(map(split_of, seen.lines))
        if tell is None or (seen.filled <= MOST * self._rows and not named):
            return None
        splits = {value: tell(value) for value in seen.lines}
        others = [line for value, line in seen.lines.items() if _is_other(splits[value], role)]
        several = len(set(splits.values())) > 1
        if not others and not (several and role != TRAINING):
            return None
        return Finding(
            min(others or seen.lines.values()),
            f"the {self._noun} {shown(name)} says that not all rows are for {role}, and is not read; move the rows of "
            f"other splits to channels of their own (training, validation, test) or take them out, then take the "
            f"{self._noun} out; where it means something else, take the {self._noun} out",
            ends=known and (named or (several and TRAINING in splits.values())),
        )

    def _verdict(self, name: str, seen: Seen) -> Finding | None:
        """Find rows that somebody rejected."""
        bare, values = _last(name), set(seen.lines)
        refused = _refused(bare, values)
        flagged = VERDICT_FLAGS.fullmatch(bare) is not None
        if not values & refused or (seen.filled <= MOST * self._rows and refused is not YES):
            return None
        by_annotators = bool(values & OF_ANNOTATORS) and values <= OF_ANNOTATORS | UNFINISHED
        ends = flagged or by_annotators or VERDICT_NAMES.fullmatch(bare) is not None
        return Finding(
            min(line for value, line in seen.lines.items() if value in refused),
            f"the {self._noun} {shown(name)} looks like a verdict on each row, and is not read: rows that were not "
            f"accepted would count like the others; take those rows out, and then the {self._noun}; where it means "
            f"something else, take the {self._noun} out",
            ends=ends,
        )


def _refused(name: str, values: Collection[str]) -> frozenset[str]:
    """Return which values of a column say that a row was not accepted; none where it is no column of verdicts."""
    if {*values} <= YES | NO:
        if VERDICT_FLAGS.fullmatch(name) or BUSINESS_FLAGS.fullmatch(name):
            return YES
        return NO if KEPT_FLAGS.fullmatch(name) else frozenset()
    return REJECTED if ACCEPTED | REJECTED | {"default"} >= {*values} else frozenset()


def shown(name: str) -> str:
    """Name a column or key; one of a long name is called so."""
    bare = name.strip()
    return repr(bare) if len(bare) <= LONGEST_NAME and bare.isprintable() else "of a long name"


def _splits(name: str, seen: Seen) -> Callable[[str], str] | None:
    """Return what tells the splits of a column's values apart; None if they are no splits."""
    values = set(seen.lines)
    if values - {"valid"} and all(map(split_of, values)):
        return lambda value: split_of(value) or ""
    flag = FLAG.fullmatch(_last(name))
    # Of "is_valid" true may mean that the row is good, but where others are not.
    if flag and values <= YES | NO and (values - YES or flag[1] != "valid"):
        meant = WORDS[flag[1]]
        other = TEST if meant == TRAINING else TRAINING
        return lambda value: meant if value in YES else other
    if _last(name) in SPLIT_NAMES and len(values) > 1 and (values <= YES | NO or all(map(str.isdecimal, values))):
        return lambda value: value
    named = {split for value in values for split in splits_in(value)}
    if (_last(name) in ONLY_SPLIT_NAMES and len(values) > 1) or (TRAINING in named and len(named) > 1):
        return lambda value: split_of(value) or next(iter(splits_in(value)), value)
    return None


def _is_split_name(name: str) -> bool:
    return _last(name) in SPLIT_NAMES or FLAG.fullmatch(_last(name)) is not None


def _is_other(split: str, role: str) -> bool:
    """Return whether rows of a split are not for a role; validation and test may do for each other."""
    return (split == TRAINING) != (role == TRAINING)


def _last(name: str) -> str:
    """Return a column's name, or of ``meta.split`` what is in it, as it is compared."""
    return compact(name.rpartition(".")[2])
