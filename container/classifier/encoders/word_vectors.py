"""Word vectors from a text file of GloVe, word2vec or fastText: one word and its values per line.

Only the lines of words in the vocabulary are parsed into numbers; of the others only the number of columns is checked.
"""

import codecs
import gzip
import re
import unicodedata
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
from numpy.typing import NDArray

from classifier.environment import channel_files
from classifier.errors import UserError, at_most

ENDINGS = (".txt", ".vec", ".gz")
ARCHIVES = (".tar.gz",)
WIDEST = 4096
MOST_PROBLEMS = 100  # after which the rest of the file is not read

_HEADER = re.compile(rb"\d{1,18}\s+\d{1,18}")


@dataclass(frozen=True)
class WordVectors:
    """The vectors of a vocabulary.

    Attributes:
        table: float32[words, width], random where the file has no vector.
        found: How many words the file has a vector for.
    """

    table: NDArray[np.float32]
    found: int


def find(folder: Path) -> Path | None:
    """Return the file of word vectors in a folder, None where there is none.

    Raises:
        UserError: There are several.
    """
    files = [path for path in channel_files(folder) if path.name.endswith(ENDINGS)]
    files = [path for path in files if not path.name.endswith(ARCHIVES)]
    if len(files) > 1:
        names = ", ".join(path.relative_to(folder).as_posix() for path in files[:10])
        raise UserError(f"model channel: {len(files)} files of word vectors ({names}); leave one there")
    return files[0] if files else None


def read(path: Path, vocabulary: Sequence[str], seed: int) -> WordVectors:
    """Read the vectors of a vocabulary's words; words that the file lacks get random vectors.

    A word that the file has in several spellings, as ``Car`` and ``car``, gets the vector of the one that is spelled as
    in the vocabulary, else of the first.

    Args:
        path: The file, compressed where its name ends in ``.gz``.
        vocabulary: The words, in folded letters.
        seed: The seed of the random vectors.

    Raises:
        UserError: Naming every broken line; or the file is broken, or has none of the words.
    """
    reading = _Reading({word: place for place, word in enumerate(vocabulary)}, path.name)
    try:
        with _opened(path) as file:
            reading.read(file)
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path.name}: can't be unpacked ({type(error).__name__}); copy the file again") from error
    if reading.problems:
        raise UserError(at_most(reading.problems), f"{path.name}: word vectors that can't be read")
    if not reading.vectors:
        raise UserError(f"{path.name}: has none of the training texts' words; is it in their language?")
    return reading.result(len(vocabulary), seed)


def _opened(path: Path) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(path)) if path.suffix == ".gz" else path.open("rb")


@dataclass
class _Reading:
    """A file that is being read.

    Attributes:
        places: The words that are wanted, and the place of each in the vocabulary.
        name: The file's name, for messages.
        width: Numbers in a vector, 0 until known.
        announced: How many lines of vectors the file's first line says there are, None where it says nothing.
        vectors: What was found: float32[width] by the place of the word.
        exact: Places whose word was found as it is spelled.
        problems: A message for every broken line.
    """

    places: Mapping[str, int] = field(repr=False)
    name: str
    width: int = 0
    announced: int | None = None
    vectors: dict[int, NDArray[np.float32]] = field(default_factory=dict)
    exact: set[int] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)

    def read(self, file: IO[bytes]) -> None:
        """Read all lines, or as many as it takes to say that the file is broken."""
        lines = 0
        for number, line in enumerate(file, start=1):
            content = line.removeprefix(codecs.BOM_UTF8).strip()
            if not content or (number == 1 and self._is_header(content)):
                continue
            lines += 1
            self._read_line(f"{self.name}:{number}", content)
            if len(self.problems) >= MOST_PROBLEMS:
                return
        if self.announced is not None and lines != self.announced:
            self.problems.append(
                f"{self.name}:1: says {self.announced} words and {lines} follow; copy the file again or correct that"
            )

    def result(self, words: int, seed: int) -> WordVectors:
        """Return the table: the vectors found, and random ones of the same mean and standard deviation."""
        found = np.stack(list(self.vectors.values()))
        generator = np.random.default_rng(seed)
        table = generator.normal(found.mean(), found.std(), (words, self.width)).astype(np.float32)
        table[list(self.vectors)] = found
        return WordVectors(table, len(self.vectors))

    def _is_header(self, line: bytes) -> bool:
        """Take the numbers of a first line that is only ``count width``."""
        if not _HEADER.fullmatch(line):
            return False
        self.announced, self.width = (int(number) for number in line.split())
        if not 1 <= self.width <= WIDEST:
            raise UserError(f"{self.name}:1: vectors of {self.width} numbers; they may have 1 to {WIDEST}")
        return True

    def _read_line(self, where: str, line: bytes) -> None:
        if not self.width:
            self.width = max(1, min(len(line.split()) - 1, WIDEST))
        word, *numbers = line.rsplit(None, self.width)
        *phrase, last = word.split()
        if len(numbers) < self.width:
            self.problems.append(f"{where}: {len(numbers)} numbers after the word, where {self.width} are needed")
        elif phrase and _number(last) is not None:
            self.problems.append(f"{where}: more than {self.width} numbers")
        else:
            self._keep(where, word, numbers)

    def _keep(self, where: str, word: bytes, numbers: Sequence[bytes]) -> None:
        spelled = word.decode("utf-8", "replace")
        place = self.places.get(spelled)
        exact = place is not None
        if place is None:
            place = self.places.get(_folded(spelled))
        if place is None or (place in self.vectors and (not exact or place in self.exact)):
            return
        vector = _vector(numbers)
        if vector is None:
            self.problems.append(f"{where}: one of the {self.width} columns after the word is not a number")
            return
        self.vectors[place] = vector
        if exact:
            self.exact.add(place)


def _folded(word: str) -> str:
    return unicodedata.normalize("NFKC", word.casefold())


def _number(text: bytes) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _vector(numbers: Sequence[bytes]) -> NDArray[Any] | None:
    values = [_number(text) for text in numbers]
    if any(value is None for value in values):
        return None
    with np.errstate(over="ignore"):
        vector = np.array(values, np.float32)
    return vector if np.isfinite(vector).all() else None
