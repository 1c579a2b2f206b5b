"""The weights of a checkpoint in safetensors files, which hold no code."""

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from classifier.encoders import files
from classifier.encoders.architectures import Architecture
from classifier.encoders.transformer import BertLayer
from classifier.errors import UserError, at_most

FILE = "model.safetensors"
INDEX = "model.safetensors.index.json"
PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json")
OTHERS = ("tf_model.h5", "flax_model.msgpack", "bert_model.ckpt.index", "model.ckpt.index", "model.onnx")
DTYPES = ("float16", "bfloat16", "float32", "float64")
CONVERSION = """\
import torch; from safetensors.torch import save_file
save_file({name: value.contiguous().clone() for name, value in torch.load("pytorch_model.bin", map_location="cpu", \
weights_only=True).items()}, "model.safetensors")"""

Array = NDArray[Any]


def present(folder: Path) -> bool:
    """Return whether a folder holds a checkpoint's weights, in a supported format or in one that is refused by name."""
    return any((folder / name).is_file() for name in (FILE, INDEX, *PICKLES, *OTHERS))


def read(folder: Path, architecture: Architecture) -> dict[str, Array]:
    """Read the weights, under their names in the encoder alone.

    Raises:
        UserError: There are none, they are in a form that is not read, or a file is damaged.
    """
    tensors: dict[str, Array] = {}
    for name in files_of(folder):
        if name == INDEX:
            continue
        try:
            tensors |= load_file(folder / name)
        except FileNotFoundError:
            raise UserError(f"{name}: is missing; {INDEX} names it") from None
        except SafetensorError as error:
            raise UserError(f"{name}: not a safetensors file ({error}); copy it again") from None
    return {_plain_name(key, architecture): value for key, value in tensors.items()}


def files_of(folder: Path) -> list[str]:
    """Return the names of the files that hold the weights, that of their index first where there is one.

    Raises:
        UserError: There are none, or they are in a form that is not read.
    """
    if (folder / FILE).is_file():
        return [FILE]
    if (folder / INDEX).is_file():
        return [INDEX, *shards(folder / INDEX)]
    if any((folder / name).is_file() for name in PICKLES):
        raise UserError(
            f"{PICKLES[0]}: is a pickle, which can execute arbitrary code, so it is not loaded; write {FILE} beside it "
            f"on a machine with PyTorch, in Python:\n{CONVERSION}"
        )
    found = [name for name in OTHERS if (folder / name).is_file()]
    raise UserError(
        f"{', '.join(found) or 'checkpoint'}: only weights in {FILE} are read; take the same checkpoint in that form "
        "(docs/encoders.md says how)"
    )


def shards(index: Path) -> list[str]:
    """Return the names of the files into which an index divides the weights.

    Raises:
        UserError: It is not such an index, or names a file in another folder.
    """
    places = files.settings(index).get("weight_map")
    names = sorted({str(name) for name in places.values()}) if isinstance(places, dict) else []
    if not names or any(PurePosixPath(name).name != name for name in names):
        raise UserError(f"{index.name}: must name the files that hold the weights, all beside it; copy it again")
    return names


def write(folder: Path, layer: BertLayer, architecture: Architecture) -> None:
    """Write one file that :func:`read` and other programs read; which expect the format in the metadata."""
    save_file(named(layer, architecture), folder / FILE, metadata={"format": "pt"})


def named(layer: BertLayer, architecture: Architecture) -> dict[str, Array]:
    """Return the weights under their names in the file, in the shapes that it has."""
    return {
        name: np.ascontiguousarray(variable.numpy().T if transposed else variable.numpy())
        for name, variable, transposed in _variables(layer, architecture)
    }


def assign(layer: BertLayer, tensors: Mapping[str, Array], architecture: Architecture) -> None:
    """Give a layer its weights.

    Raises:
        UserError: Some are missing, of another shape, or no floating-point numbers.
    """
    problems = []
    for name, variable, transposed in _variables(layer, architecture):
        value = tensors.get(name)
        if value is None:
            problems.append(f"{FILE}: weight {name} is missing")
            continue
        value = value.T if transposed else value
        if value.shape != tuple(variable.shape):
            problems.append(f"{FILE}: {name} has shape {value.shape}, config.json says {variable.shape}")
        elif value.dtype.name not in DTYPES:
            problems.append(f"{FILE}: {name} is {value.dtype.name} (quantised?); it must be {', '.join(DTYPES)}")
        else:
            variable.assign(value.astype(np.float32))
    if problems:
        raise UserError(at_most(problems))


def _plain_name(key: str, architecture: Architecture) -> str:
    key = key.removeprefix(architecture.prefix).replace("LayerNorm.gamma", "LayerNorm.weight")
    return key.replace("LayerNorm.beta", "LayerNorm.bias")


def _variables(layer: BertLayer, architecture: Architecture) -> Iterator[tuple[str, tf.Variable, bool]]:
    """Yield each weight's name in the file, its variable, and whether the file holds it transposed."""
    embeddings = layer.embeddings
    yield "embeddings.word_embeddings.weight", embeddings.word, False
    yield "embeddings.position_embeddings.weight", embeddings.position, False
    if embeddings.segment is not None:
        yield "embeddings.token_type_embeddings.weight", embeddings.segment, False
    yield from _part("embeddings.LayerNorm", embeddings.layer_norm)
    if embeddings.project is not None:
        yield from _part("embeddings_project", embeddings.project)
    for index, block in enumerate(layer.blocks):
        for attribute, name in architecture.parts.items():
            yield from _part(f"{architecture.block}.{index}.{name}", getattr(block, attribute))
    if layer.pooler is not None:
        yield from _part("pooler.dense", layer.pooler)


def _part(name: str, part: Any) -> Iterator[tuple[str, tf.Variable, bool]]:
    """Yield the two weights of a dense layer or of a layer norm."""
    dense = hasattr(part, "kernel")
    yield f"{name}.weight", part.kernel if dense else part.gamma, dense
    yield f"{name}.bias", part.bias if dense else part.beta, False
