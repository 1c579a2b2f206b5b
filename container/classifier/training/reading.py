"""The coverage of the texts by the encoder's vocabulary, which is checked before the encoder is loaded.

A word that can't be composed of a vocabulary's pieces becomes the unknown token, the same for all such words. Of other
scripts, an English vocabulary holds single letters at best. Measured with the default encoder on 2,000 questions of
TREC-6, transliterated to Cyrillic letter by letter: the accuracy falls from 0.87 to 0.49 with a frozen encoder, and
from 0.93 to 0.64 if all of it is trained.
"""

import json
import logging
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from tokenizers import Encoding, Tokenizer

from classifier.backends import VARIABLES
from classifier.backends.tokenization import folded
from classifier.encoders import architectures, catalog, pieces
from classifier.encoders.files import SAVED_MODEL
from classifier.encoders.scripts import LATIN, LOST, PRIVATE, SIGNS, STYLED, script
from classifier.environment import PRETRAINED_FOLDER, set_defaults
from classifier.errors import UserError
from classifier.hyperparameters import AUTO, AUTO_MODEL, FROM_SCRATCH, LINEAR, TRUNCATE, WINDOWS
from classifier.modalities.report import Finding
from classifier.tabular.rows import location_of
from classifier.training.data import Tables
from classifier.training.warm_start import Previous

log = logging.getLogger(__name__)

# On the real data sets that this was tried on, the share of unknown characters is 0.00000.
UNREAD_WARNED_OF = 0.02
ROWS_WARNED_OF = 0.01
SPELLED_WARNED_OF = 0.1
# A row with so many unknown characters is useless, and a job in which nearly all rows are useless can't learn.
UNREAD_OF_A_ROW = 0.5
ROWS_THAT_END_THE_JOB = 0.9
# A word counts as spelled out if it has nearly as many tokens as letters.
TOKENS_TO_LETTERS = 0.75
FEWEST_LETTERS_SPELLED = 3

SHARE_READ_IN_WINDOWS = 0.05  # of the training texts that are longer than the encoder reads at once

CHARACTERS_LOOKED_AT = 1_500_000  # of a channel; some 2 seconds
LONGEST_LOOKED_AT = 100_000  # characters of a text
TEXTS_AT_ONCE = 512
EXAMPLES = 3
SCRIPTS_NAMED = 5
LONG_WORDS = f"words of over {pieces.LONGEST_WORD} characters"
CONTINUED = "##"
NO_LIMIT = 1 << 30
# Visible characters that the tokenizer drops silently.
_DROPPED = re.compile("[\ufffd\ue000-\uf8ff\U000f0000-\U000ffffd\U00100000-\U0010fffd]")

LIMITED = (
    "max_sequence_length={asked}, but the encoder reads at most {limit} tokens at once: {share:.1%} of the texts are "
    "truncated there; set long_texts=windows to read them whole"
)
CURES: Mapping[str, str] = {
    SIGNS: "set model_id to cnn or lstm, which learn signs as words, or write them in words",
    STYLED: "set model_id to cnn or lstm, which read them as plain letters, or write them as such",
    LONG_WORDS: (
        "put spaces between words and remove encoded data, or set model_id to cnn, which reads scripts without spaces "
        "letter by letter"
    ),
    LOST: "export the texts again, in UTF-8: the program that wrote them lost these characters",
    PRIVATE: "write these characters in words: only the program that wrote them knows their meaning",
}
OF_A_SCRIPT = (
    "provide a multilingual BERT on the channel `model`, such as bert-base-multilingual-cased (104 languages) or LaBSE "
    "(109), or set model_id to cnn or lstm, which learn the texts' own words"
)


@dataclass(frozen=True)
class Reader:
    """An encoder's tokenizer.

    Attributes:
        tokenizer: The tokenizer, without truncation.
        unknown: The unknown token.
        longest: The number of tokens of a text that the encoder reads; None if that isn't known before it is loaded.
        folds_case: Whether texts are case-folded before they are tokenized.
    """

    tokenizer: Tokenizer
    unknown: str
    longest: int | None = None
    folds_case: bool = False

    def encodings(self, texts: Sequence[str]) -> Iterator[tuple[str, Encoding]]:
        """Yield each text, up to :data:`LONGEST_LOOKED_AT` characters, with its tokens."""
        clean: Callable[[str], str] = folded if self.folds_case else str
        for start in range(0, len(texts), TEXTS_AT_ONCE):
            some = [
                clean(text[:LONGEST_LOOKED_AT].encode("utf-8", "replace").decode())
                for text in texts[start:][:TEXTS_AT_ONCE]
            ]
            yield from zip(some, self.tokenizer.encode_batch(some), strict=True)


class Row(NamedTuple):
    """The coverage of a text, in characters without spaces: all, unknown and spelled-out ones; and its tokens."""

    characters: int
    unread: int
    spelled: int
    tokens: int


@dataclass
class Coverage:
    """The coverage of a channel's texts.

    Attributes:
        rows: The coverage of each text that was examined.
        locations: The location of each of them, ``file:line``.
        unread: The number of unknown characters by script.
        spelled: The number of spelled-out characters by script.
    """

    rows: list[Row] = field(default_factory=list)
    locations: list[str] = field(default_factory=list)
    unread: Counter[str] = field(default_factory=Counter)
    spelled: Counter[str] = field(default_factory=Counter)

    @property
    def characters(self) -> int:
        """The number of characters without spaces; 1 if there are none."""
        return sum(row.characters for row in self.rows) or 1

    def longer(self, limit: int) -> list[str]:
        """Return the locations of texts of more tokens than a limit."""
        return [location for row, location in zip(self.rows, self.locations, strict=True) if row.tokens > limit]

    @property
    def unread_locations(self) -> list[str]:
        """The locations of rows of which the encoder can read too little."""
        return [
            location
            for row, location in zip(self.rows, self.locations, strict=True)
            if row.unread and row.unread >= UNREAD_OF_A_ROW * row.characters
        ]


def of_job(channel: Path | None, previous: Previous | None, model_id: str) -> Reader | str:
    """Return the tokenizer of a job's encoder, or the reason why it can't be examined.

    Args:
        channel: The folder with the ``model`` channel's files, unpacked; None without that channel.
        previous: The model of this image that the channel holds; None without one.
        model_id: The hyperparameter.
    """
    if previous is None and model_id in (*FROM_SCRATCH, AUTO_MODEL):  # of the latter, the first candidate
        return "the vocabulary will be built from the texts"
    set_defaults(VARIABLES)
    try:
        if previous is not None and (previous.encoder.parent / "openvino" / "tokenizer.json").is_file():
            return _portable(previous.encoder.parent / "openvino" / "tokenizer.json", previous)
        if previous is not None and previous.family == LINEAR:
            return _of_pieces(pieces.read(previous.encoder), None)
        return _of_folder(previous.encoder if previous else channel or _in_image(model_id))
    except (UserError, OSError, ValueError, KeyError) as error:
        return f"its files will be refused ({error})"


def _in_image(model_id: str) -> Path:
    folder = PRETRAINED_FOLDER / model_id
    return folder if folder.is_dir() else PRETRAINED_FOLDER / (catalog.identify(model_id) or model_id)


def _of_folder(folder: Path) -> Reader | str:
    """Return the tokenizer of a checkpoint, or of a TensorFlow Hub preprocessor, or why there is none."""
    candidates = [folder, *sorted(path for path in folder.glob("*") if path.is_dir())]
    checkpoint = next((path for path in candidates if pieces.has_vocabulary(path)), None)
    if checkpoint is not None:
        _, shape = architectures.read(checkpoint)
        return _of_pieces(pieces.read(checkpoint), shape.positions)
    found = sorted(folder.rglob("assets/vocab.txt"))
    if not found or not (found[0].parents[1] / SAVED_MODEL).is_file():
        return "the encoder's vocabulary is not a text file" if folder.is_dir() else "the encoder is not here"
    vocabulary = pieces.read(found[0].parent).vocabulary
    # A preprocessor's files don't tell whether it folds case.
    return _of_pieces(pieces.Pieces(vocabulary, all(word == word.lower() or "[" in word for word in vocabulary)), None)


def _of_pieces(found: pieces.Pieces, longest: int | None) -> Reader | str:
    portable = found.portable(NO_LIMIT)
    if portable is None:
        return "its vocabulary holds a token twice"
    return Reader(Tokenizer.from_str(portable.definition), pieces.UNKNOWN, longest)


def _portable(path: Path, previous: Previous) -> Reader | str:
    """Return the exported tokenizer of a model of this image."""
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    tokenizer = Tokenizer.from_str(json.dumps(content))
    tokenizer.no_truncation()
    words = previous.family in ("convolutional", "recurrent")
    longest = architectures.read(previous.encoder)[1].positions if previous.family == "bert" else None
    return Reader(tokenizer, content["model"]["unk_token"], longest, words)


def look(table: pd.DataFrame, reader: Reader) -> Coverage:
    """Return the coverage of a table's texts; of a large table, it examines a sample, always the same."""
    characters = int(table["record"].str.len().clip(upper=LONGEST_LOOKED_AT).sum())
    share = min(1.0, CHARACTERS_LOOKED_AT / max(characters, 1))
    some = table.sample(max(1, int(share * len(table))), random_state=0).sort_index()
    found = Coverage(locations=list(map(location_of, some["file"], some["line"])))
    for text, encoding in reader.encodings(list(some["record"])):
        unread, spelled = _unread(text, encoding, reader.unknown), _spelled(text, encoding, reader.unknown)
        found.unread += unread
        found.spelled += spelled
        characters = len(text) - sum(map(str.isspace, text))
        found.rows.append(Row(characters, unread.total(), spelled.total(), len(encoding.ids)))
    return found


def _unread(text: str, encoding: Encoding, unknown: str) -> Counter[str]:
    """Return the numbers of unknown and dropped characters by script."""
    counts: Counter[str] = Counter()
    if not text.isascii():
        counts.update(script(character) for character in _DROPPED.findall(text))
    if unknown not in encoding.tokens:
        return counts
    for token, (start, end) in zip(encoding.tokens, encoding.offsets, strict=True):
        if token == unknown:
            word = text[start:end]
            long = len(word) > pieces.LONGEST_WORD
            counts.update(LONG_WORDS if long else script(character) for character in word if not character.isspace())
    return counts


def _spelled(text: str, encoding: Encoding, unknown: str) -> Counter[str]:
    """Return the numbers of characters of words that are split into letters, by script; Latin words don't count."""
    counts: Counter[str] = Counter()
    if text.isascii():
        return counts
    tokens = zip(encoding.word_ids, encoding.tokens, encoding.offsets, strict=True)
    for word, parts in groupby(tokens, key=lambda part: part[0]):
        cut = [(token.removeprefix(CONTINUED), offsets) for _, token, offsets in parts]
        letters = sum(len(token) for token, _ in cut)
        if word is None or letters < FEWEST_LETTERS_SPELLED or len(cut) < TOKENS_TO_LETTERS * letters:
            continue
        (start, _), (_, end) = cut[0][1], cut[-1][1]
        kind = script(text[start])
        if kind != LATIN and cut[0][0] != unknown:
            counts[kind] += end - start
    return counts


def resolved(long_texts: str, share_longer: float) -> str:
    """Return how long texts are read: the hyperparameter, or what ``auto`` stands for.

    Args:
        long_texts: The hyperparameter.
        share_longer: The share of the training texts that are longer than the encoder reads at once.
    """
    by_share = WINDOWS if share_longer > SHARE_READ_IN_WINDOWS else TRUNCATE
    return by_share if long_texts == AUTO else long_texts


def check(tables: Tables, reader: Reader | str, max_sequence_length: int, long_texts: str) -> None:
    """Log how much of a job's texts the encoder can read.

    Args:
        tables: All rows.
        reader: The encoder's tokenizer, or the reason why it can't be examined.
        max_sequence_length: The hyperparameter.
        long_texts: The hyperparameter.

    Raises:
        UserError: The encoder can read nearly nothing of the training texts.
    """
    if isinstance(reader, str):
        log.info("event=data note=%r", f"unknown tokens are not counted before training: {reader}")
        return
    splits = {"training": tables.training, "validation": tables.validation, "test": tables.test}
    for name, table in splits.items():
        if table is None or table.empty:
            continue
        coverage = look(table, reader)
        if name == "training" and len(coverage.unread_locations) >= ROWS_THAT_END_THE_JOB * len(coverage.rows):
            raise UserError(f"{coverage.unread_locations[0]}: the encoder can't read the texts: {_words(coverage)}")
        limit = min(max_sequence_length, reader.longest or max_sequence_length)
        if name == "training":
            long_texts = resolved(long_texts, len(coverage.longer(limit)) / len(coverage.rows))
        for finding in findings(name, coverage, limit, max_sequence_length, long_texts):
            log.log(finding.level, "event=data %s", finding.line)


def findings(name: str, coverage: Coverage, limit: int, max_sequence_length: int, long_texts: str) -> Iterator[Finding]:
    """Yield findings on the tokens of a channel's texts: their number, unknown ones, and truncation.

    Args:
        name: The channel's purpose.
        coverage: The coverage of its texts.
        limit: The number of tokens that the encoder reads at once.
        max_sequence_length: The hyperparameter.
        long_texts: How longer texts are read.
    """
    rows, total = coverage.rows, coverage.characters
    longer = coverage.longer(limit)
    unread, spelled = (sum(counts.values()) / total for counts in (coverage.unread, coverage.spelled))
    share = len(longer) / len(rows)
    yield Finding(
        f"rows={name} rows_looked_at={len(rows)} tokens_mean={sum(row.tokens for row in rows) / len(rows):.1f} "
        f"unread_characters={unread:.4f} spelled_characters={spelled:.4f} share_longer={share:.4f} "
        f"max_sequence_length={limit} long_texts={long_texts}{_examples(longer)}"
    )
    if limit < max_sequence_length and longer and long_texts == TRUNCATE:
        words = LIMITED.format(asked=max_sequence_length, limit=limit, share=share)
        yield Finding(f"rows={name} note={words!r}", logging.WARNING)
    nothing = coverage.unread_locations
    if unread >= UNREAD_WARNED_OF or spelled >= SPELLED_WARNED_OF or len(nothing) >= max(ROWS_WARNED_OF * len(rows), 1):
        words = f"the encoder can't read all of the texts: {_words(coverage)}"
        yield Finding(f"rows={name} note={words!r}{_examples(nothing)}", logging.WARNING)


def _words(coverage: Coverage) -> str:
    """Describe what the encoder can't read, with the cures."""
    parts = []
    if coverage.unread:
        parts.append(f"it has no token for {_shares(coverage.unread, coverage.characters)}")
    if coverage.spelled:
        parts.append(f"it has single letters only for {_shares(coverage.spelled, coverage.characters)}")
    if coverage.unread_locations:
        share = len(coverage.unread_locations) / len(coverage.rows)
        parts.append(f"{share:.1%} of the rows are mostly unknown to it")
    kinds = coverage.unread + coverage.spelled
    common = [kind for kind, count in kinds.most_common() if count >= kinds.total() / 10]
    cures = dict.fromkeys(CURES.get(kind, OF_A_SCRIPT) for kind in common)
    return "; ".join([*parts, *cures])


def _shares(counts: Counter[str], total: int) -> str:
    named = [f"{kind} {count / total:.1%}" for kind, count in counts.most_common(SCRIPTS_NAMED)]
    more = len(counts) - len(named)
    return (
        f"{sum(counts.values()) / total:.1%} of the characters ({', '.join(named)}{f', {more} more' if more else ''})"
    )


def _examples(locations: Sequence[str]) -> str:
    shown = ", ".join(locations[:EXAMPLES])
    return f" examples={shown!r}" if shown else ""
