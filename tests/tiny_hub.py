"""Encoders of TensorFlow Hub's text API, small enough to make where they are needed."""

from pathlib import Path

import tensorflow as tf

WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "film", "good", "bad")
UNKNOWN, FIRST, LAST = 1, 2, 3
POSITIONS = 16


class LetterCounts(tf.__internal__.tracking.AutoTrackable):  # type: ignore[misc]
    """A text encoder as small as they come: string[batch] to float32[batch, 4]."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = tf.Variable(tf.reshape(tf.range(8.0), [2, 4]))
        self.trainable_variables = [self.weights]

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])  # type: ignore[untyped-decorator]
    def __call__(self, texts: tf.Tensor) -> tf.Tensor:
        lengths = tf.cast(tf.strings.length(texts), tf.float32)
        return tf.stack([lengths, tf.ones_like(lengths)], axis=1) @ self.weights


class Preprocessor(tf.__internal__.tracking.AutoTrackable):  # type: ignore[misc]
    """Words between spaces, to what a BERT reads."""

    def __init__(self, padding: int = 0) -> None:
        super().__init__()
        self.padding = padding
        initial = tf.lookup.KeyValueTensorInitializer(tf.constant(WORDS), tf.range(len(WORDS)))
        self.table = tf.lookup.StaticHashTable(initial, UNKNOWN)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])  # type: ignore[untyped-decorator]
    def tokenize(self, texts: tf.Tensor) -> tf.RaggedTensor:
        return tf.ragged.map_flat_values(self.table.lookup, tf.strings.split(texts))

    @tf.function(  # type: ignore[untyped-decorator]
        input_signature=[[tf.RaggedTensorSpec([None, None], tf.int32)], tf.TensorSpec([], tf.int32, "seq_length")]
    )
    def bert_pack_inputs(self, segments: list[tf.RaggedTensor], seq_length: tf.Tensor) -> dict[str, tf.Tensor]:
        pieces = segments[0][:, : seq_length - 2]
        ends = tf.ones([pieces.nrows(), 1], tf.int32)
        ids = tf.concat([ends * FIRST, pieces, ends * LAST], axis=1)
        mask = tf.sequence_mask(ids.row_lengths(), seq_length, tf.int32)
        dense = ids.to_tensor(self.padding)
        rest = [[0, 0], [0, seq_length - tf.shape(dense)[1]]]
        return {"input_word_ids": tf.pad(dense, rest, constant_values=self.padding), "input_mask": mask}


class Bert(tf.__internal__.tracking.AutoTrackable):  # type: ignore[misc]
    """What speaks as a BERT does: the mean of the words' vectors, each turned by its place."""

    def __init__(self) -> None:
        super().__init__()
        self.words = tf.Variable(tf.random.stateless_normal([len(WORDS), 4], seed=[1, 2]))
        self.places = tf.Variable(tf.random.stateless_normal([POSITIONS, 4], seed=[3, 4]), name="position_embedding")
        self.trainable_variables = [self.words, self.places]
        self.variables = [self.words, self.places]

    @tf.function(  # type: ignore[untyped-decorator]
        input_signature=[
            {
                name: tf.TensorSpec([None, None], tf.int32, name)
                for name in ("input_word_ids", "input_mask", "input_type_ids")
            }
        ]
    )
    def __call__(self, inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        ids, mask = inputs["input_word_ids"], tf.cast(inputs["input_mask"], tf.float32)[:, :, tf.newaxis]
        vectors = tf.gather(self.words, ids) * self.places[tf.newaxis, : tf.shape(ids)[1]] * mask
        pooled = tf.reduce_sum(vectors, axis=1) / tf.reduce_sum(mask, axis=1)
        return {"pooled_output": tf.tanh(pooled), "sequence_output": vectors}


def write_letters(folder: Path) -> Path:
    """Write an encoder that takes texts as they are."""
    tf.saved_model.save(LetterCounts(), str(folder / "letters"))
    return folder


def write_bert(folder: Path, padding: int = 0) -> Path:
    """Write an encoder that takes tokens, and its preprocessor."""
    tf.saved_model.save(Bert(), str(folder / "bert"))
    tf.saved_model.save(Preprocessor(padding), str(folder / "preprocessor"))
    return folder
