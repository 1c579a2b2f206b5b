"""Kinds of records: one module each, which reads a channel of them."""

import importlib
from types import ModuleType


def of(name: str) -> ModuleType:
    """Return the module of a modality."""
    return importlib.import_module(f"classifier.modalities.{name}")
