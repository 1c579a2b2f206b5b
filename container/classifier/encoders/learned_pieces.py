"""A vocabulary of word pieces, learnt from the words of training texts by the ``tokenizers`` library.

The pieces begin as single characters, and the pair of pieces that is most frequent is joined, again and again (Schuster
and Nakajima, "Japanese and Korean Voice Search", 2012; Sennrich et al., "Neural Machine Translation of Rare Words with
Subword Units", 2016). The same words give the same vocabulary in every process.
"""

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping

from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from classifier.encoders.pieces import FIRST, LAST, UNKNOWN

RESERVED = ("[PAD]", UNKNOWN, FIRST, LAST)
FEWEST = 2  # times that a piece must occur
CONTINUED = "##"
REPEATED_AT_ONCE = 10_000  # times that a word is repeated in a line


def learned(counts: Mapping[str, int], size: int) -> tuple[str, ...]:
    """Return a vocabulary, :data:`RESERVED` first.

    No piece spells a word, longer than one character, that occurs only once; frequent parts of such words are pieces.

    Args:
        counts: How often each word occurs in the training texts.
        size: The most pieces, beside the reserved ones.
    """
    first, continued = _characters(counts, size)
    if not first:
        return RESERVED
    known = set(first)
    tokenizer = Tokenizer(models.WordPiece(unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    # The library gives ids to continued characters in a random order, and breaks ties by id, unless they are given.
    trainer = trainers.WordPieceTrainer(
        vocab_size=len(RESERVED) + size,
        min_frequency=FEWEST,
        special_tokens=[*RESERVED, *continued],
        initial_alphabet=first,
        limit_alphabet=len(first),
        continuing_subword_prefix=CONTINUED,
        show_progress=False,
    )
    readable = {word: times for word, times in counts.items() if known.issuperset(word)}
    tokenizer.train_from_iterator(_lines(readable), trainer)
    ids = tokenizer.get_vocab()
    pieces = sorted(ids, key=ids.__getitem__)
    return tuple(piece for piece in pieces if len(piece) == 1 or counts.get(piece, FEWEST) >= FEWEST)


def _characters(counts: Mapping[str, int], size: int) -> tuple[list[str], list[str]]:
    """Return the most frequent characters as pieces: at the beginning of a word, and within one."""
    times: Counter[str] = Counter()
    within: set[str] = set()
    for word, number in counts.items():
        for character in word:
            times[character] += number
        within.update(word if len(word) > 1 else "")
    ranked = sorted((each for each in times if times[each] >= FEWEST), key=lambda each: (-times[each], each))
    used = itertools.accumulate(1 + (character in within) for character in ranked)
    first = sorted(character for character, total in zip(ranked, used, strict=True) if total <= size)
    return first, [CONTINUED + character for character in first if character in within]


def _lines(counts: Mapping[str, int]) -> Iterator[str]:
    """Yield every word as often as it occurs."""
    for word, times in counts.items():
        for done in range(0, times, REPEATED_AT_ONCE):
            yield " ".join([word] * min(REPEATED_AT_ONCE, times - done))
