"""A vocabulary of word pieces, and BERT's tokenizer without TensorFlow: by the ``tokenizers`` library.

:mod:`classifier.encoders.wordpiece` is the same tokenizer as TensorFlow operations.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

from classifier.encoders import PortableTokenizer, files
from classifier.encoders.patterns import oniguruma
from classifier.errors import UserError

VOCABULARY = "vocab.txt"
TOKENIZER = "tokenizer.json"  # which transformers 5 writes instead
SETTINGS = "tokenizer_config.json"
NO_VOCABULARY = (
    f"{VOCABULARY}: is missing, and there is no {TOKENIZER} of word pieces; tokenizers of other kinds, such as "
    "SentencePiece and byte-level ones, are not supported"
)
LONGEST_WORD = 100  # characters; a longer word is one unknown token
UNKNOWN, FIRST, LAST = "[UNK]", "[CLS]", "[SEP]"
SPACE = r"[\t\n\r\p{Zs}\x{2028}\x{2029}]"
CONTROL = r"[\x{0}\x{fffd}\p{Cc}\p{Cf}\p{Co}]"
ACCENT = r"\p{Mn}"
# Characters that are words of their own: signs, and ideographs of the blocks that BERT's code names.
SIGNS = (
    r"!-/:-@\[-`{-~\p{P}\x{3400}-\x{4DBF}\x{4E00}-\x{9FFF}\x{F900}-\x{FAFF}\x{20000}-\x{2A6DF}\x{2A700}-\x{2CEAF}"
    r"\x{2F800}-\x{2FA1F}"
)


@dataclass(frozen=True)
class Pieces:
    """BERT's tokenizer over one vocabulary.

    Attributes:
        vocabulary: The tokens, in the order of their ids.
        lower_case: Whether letters are lower-cased and lose their accents first.
    """

    vocabulary: tuple[str, ...]
    lower_case: bool

    def portable(self, max_sequence_length: int) -> PortableTokenizer | None:
        """Return the tokenizer in the ``tokenizers`` format; None where the vocabulary has a token twice.

        Args:
            max_sequence_length: The most tokens of a text, [CLS] and [SEP] included.
        """
        ids = {token: place for place, token in enumerate(self.vocabulary)}
        if len(ids) < len(self.vocabulary):
            return None
        tokenizer = Tokenizer(models.WordPiece(ids, unk_token=UNKNOWN, max_input_chars_per_word=LONGEST_WORD))
        tokenizer.normalizer = normalizers.Sequence(list(self._normalizers()))
        # FastBertTokenizer knows the younger signs, as this does, and parts words there too.
        word = Regex(f"[{SIGNS}]|[^ {SIGNS}]+")
        tokenizer.pre_tokenizer = pre_tokenizers.Split(word, "removed", invert=True)
        ends = [(token, ids[token]) for token in (FIRST, LAST)]
        # Not added to the vocabulary as special tokens, which would be found in texts that spell them out.
        tokenizer.post_processor = processors.TemplateProcessing(f"{FIRST} $A {LAST}", special_tokens=ends)
        tokenizer.enable_truncation(max_sequence_length)
        return PortableTokenizer(tokenizer.to_str(), folds_case=False)

    def _normalizers(self) -> Iterator[normalizers.Normalizer]:
        """Yield the steps of :meth:`classifier.encoders.wordpiece.WordPiece.prepare` up to lower case."""
        yield normalizers.Replace(Regex(oniguruma(SPACE)), " ")
        yield normalizers.Replace(Regex(oniguruma(CONTROL)), "")
        if self.lower_case:
            yield normalizers.NFD()
            yield normalizers.Replace(Regex(oniguruma(ACCENT)), "")
            yield normalizers.Lowercase()  # letter by letter, so that no ς is written


def has_vocabulary(folder: Path) -> bool:
    """Return whether a folder holds a vocabulary of word pieces."""
    return (folder / VOCABULARY).is_file() or _model(files.settings(folder / TOKENIZER)).get("type") == "WordPiece"


def read(folder: Path) -> Pieces:
    """Read ``vocab.txt``, or else ``tokenizer.json``, and, where it is there, ``tokenizer_config.json``.

    Raises:
        UserError: The vocabulary lacks a token that BERT needs, or texts are split in another way than BERT's.
    """
    if (folder / VOCABULARY).is_file():
        vocabulary, settings = files.lines(folder / VOCABULARY), files.settings(folder / SETTINGS)
    else:
        vocabulary, settings = _of_tokenizer(folder)
    missing = [token for token in ("[PAD]", UNKNOWN, FIRST, LAST) if token not in vocabulary]
    if missing or vocabulary[0] != "[PAD]":
        raise UserError(f"{VOCABULARY}: must begin with [PAD]; missing: {', '.join(missing) or 'none'}")
    _check_words(folder, settings)
    if settings.get("strip_accents") not in (None, settings.get("do_lower_case", True)):
        raise UserError("tokenizer_config.json: strip_accents must be as do_lower_case is, or left out")
    if settings.get("tokenize_chinese_chars", True) is not True:
        raise UserError("tokenizer_config.json: tokenize_chinese_chars must be true")
    return Pieces(vocabulary, bool(settings.get("do_lower_case", True)))


def _of_tokenizer(folder: Path) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Return the vocabulary and the settings in ``tokenizer.json``; those of ``tokenizer_config.json`` come first."""
    content = files.settings(folder / TOKENIZER)
    model, normalizer = _model(content), content.get("normalizer") or {}
    if model.get("continuing_subword_prefix") != "##" or normalizer.get("type") != "BertNormalizer":
        raise UserError(f"{TOKENIZER}: splits texts in another way than BERT's tokenizer; take a checkpoint of BERT's")
    vocabulary = tuple(sorted(model["vocab"], key=model["vocab"].__getitem__))
    if [model["vocab"][token] for token in vocabulary] != list(range(len(vocabulary))):
        raise UserError(f"{TOKENIZER}: the ids of its vocabulary have gaps; copy the checkpoint again")
    names = {"lowercase": "do_lower_case", "strip_accents": "strip_accents"}
    names |= {"handle_chinese_chars": "tokenize_chinese_chars"}
    settings = {known: normalizer[name] for name, known in names.items() if name in normalizer}
    return vocabulary, settings | files.settings(folder / SETTINGS)


def _model(content: dict[str, Any]) -> dict[str, Any]:
    model = content.get("model")
    return model if isinstance(model, dict) and isinstance(model.get("vocab"), dict) else {}


def _check_words(folder: Path, settings: dict[str, Any]) -> None:
    """Refuse tokenizers that find words in another way than BERT's, whose tokens the network would not know.

    Raises:
        UserError: The checkpoint has such a tokenizer.
    """
    given = {**files.settings(folder / files.CONFIG_FILE), **settings}
    known = {"word_tokenizer_type": "basic", "subword_tokenizer_type": "wordpiece", "do_basic_tokenize": True}
    found = [f"{name} {given[name]}" for name, value in known.items() if given.get(name, value) != value]
    if given.get("tokenizer_class") == "BertJapaneseTokenizer":
        found.append("BertJapaneseTokenizer")
    if found:
        raise UserError(
            f"{SETTINGS}: {', '.join(found)}: texts are split into words in another way than BERT's, which is not "
            "supported; take another checkpoint, such as bert-base-multilingual-cased"
        )
