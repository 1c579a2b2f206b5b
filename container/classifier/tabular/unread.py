"""Checks the columns that are not read for content that changes what a row means: splits, verdicts, longer texts."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from classifier.tabular.values import LONGEST_NAME, plain, reads_like_text

TRAINING, VALIDATION, TEST = "training", "validation", "test"
SPLITS: Mapping[str, str] = {
    **dict.fromkeys(("train", "training", "trn"), TRAINING),
    **dict.fromkeys(
        ("valid", "validation", "validate", "val", "dev", "devel", "development", "eval", "evaluation"), VALIDATION
    ),
    **dict.fromkeys(("test", "testing", "tst", "holdout", "heldout"), TEST),
}
# Of "train_set", "test-00" or "dev split" the first word counts.
AFTER_A_SPLIT = re.compile(r"(sets?|split|data|rows?|samples?|part|fold)?\d*$")
YES, NO = frozenset({"true", "t", "yes", "y", "1", "1.0"}), frozenset({"false", "f", "no", "n", "0", "0.0"})
# Columns of true and false that say which split a row is of, without spaces and underscores.
FLAG = re.compile(
    rf"(?:is|in|for|use|usefor|usedfor|foruse)?({'|'.join(SPLITS)})(?:sets?|split|data|rows?|samples?|flag|only)?"
)
SPLIT_NAMES = frozenset({"split", "datasplit", "datasetsplit", "splitid", "splitname", "partition", "mluse"})
ACCEPTED = frozenset({"accept", "accepted", "approve", "approved", "submitted", "validated", "confirmed", "valid"})
REJECTED = frozenset(
    {
        "reject", "rejected", "ignore", "ignored", "skip", "skipped", "discard", "discarded", "draft", "pending",
        "cancelled", "canceled", "invalid",
    }
)  # fmt: skip
# What an annotation tool writes. The same words are in a company's own columns, as of claims that were rejected.
OF_ANNOTATORS = frozenset({"accept", "reject", "ignore"})
VERDICT_NAMES = re.compile(r"answer|status|verdict|(?:annotation|annotator|label|labell?ing|review|record|response).*")
VERDICT_FLAGS = re.compile(
    r"(?:is|was|to)?(?:ignored?|skip(?:ped)?|discard(?:ed)?|excluded?|reject(?:ed)?)|wascancell?ed"
)
MOST_VALUES = 12
VALUES_TO_JUDGE = 1000
CHARACTERS_TO_JUDGE = 200
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
            self.texts += reads_like_text(bare[:CHARACTERS_TO_JUDGE])
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
        for words in self.longer():
            cure = "call the one to read 'text', write both into it, or take the other out"
            yield Finding(0, f"{words}; {cure}", ends=False)

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
            ends=named or (several and TRAINING in splits.values()),
        )

    def _verdict(self, name: str, seen: Seen) -> Finding | None:
        """Find rows that somebody rejected."""
        bare, values = _last(name), set(seen.lines)
        flagged = VERDICT_FLAGS.fullmatch(bare) is not None and bool(values & YES) and values <= YES | NO
        judged = bool(values & REJECTED) and values <= ACCEPTED | REJECTED | {"default"}
        if not (flagged or judged) or (seen.filled <= MOST * self._rows and not flagged):
            return None
        ends = flagged or values <= OF_ANNOTATORS or VERDICT_NAMES.fullmatch(bare) is not None
        line = min(line for value, line in seen.lines.items() if value in (YES if flagged else REJECTED))
        return Finding(
            line,
            f"the {self._noun} {shown(name)} looks like a verdict on each row, and is not read: rows that were not "
            f"accepted would count like the others; take those rows out, and then the {self._noun}; where it means "
            f"something else, take the {self._noun} out",
            ends=ends,
        )


def shown(name: str) -> str:
    """Name a column or key; one of a long name is called so."""
    bare = name.strip()
    return repr(bare) if len(bare) <= LONGEST_NAME and bare.isprintable() else "of a long name"


def split_of(value: str) -> str | None:
    """Return what split a word names, if it names one: ``training``, ``validation`` or ``test``."""
    bare = _bare(value)
    return next((SPLITS[word] for word in SPLITS if _is_split_word(bare, word)), None)


def _is_split_word(bare: str, word: str) -> bool:
    return bare.startswith(word) and AFTER_A_SPLIT.fullmatch(bare[len(word) :]) is not None


def _splits(name: str, seen: Seen) -> Callable[[str], str] | None:
    """Return what tells the splits of a column's values apart; None if they are no splits."""
    values = set(seen.lines)
    if values - {"valid"} and all(map(split_of, values)):
        return lambda value: split_of(value) or ""
    flag = FLAG.fullmatch(_last(name))
    # Of "is_valid" true may mean that the row is good, but where others are not.
    if flag and values <= YES | NO and (values - YES or flag[1] != "valid"):
        meant = SPLITS[flag[1]]
        other = TEST if meant == TRAINING else TRAINING
        return lambda value: meant if value in YES else other
    if _last(name) in SPLIT_NAMES and len(values) > 1 and (values <= YES | NO or all(map(str.isdecimal, values))):
        return lambda value: value
    return None


def _is_split_name(name: str) -> bool:
    return _last(name) in SPLIT_NAMES or FLAG.fullmatch(_last(name)) is not None


def _is_other(split: str, role: str) -> bool:
    """Return whether rows of a split are not for a role; validation and test may do for each other."""
    return (split == TRAINING) != (role == TRAINING)


def _last(name: str) -> str:
    """Return a column's name, or of ``meta.split`` what is in it, as it is compared."""
    return _bare(name.rpartition(".")[2])


def _bare(name: str) -> str:
    """Return a name without the separators of its words."""
    return re.sub(r"[\s_.\-/]", "", plain(name))
