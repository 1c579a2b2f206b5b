"""The examples in the docstrings of the server's entry points run as they are written."""

import doctest
from types import ModuleType

import pytest

from classifier.serving import batcher, invocation


@pytest.mark.parametrize("module", [batcher, invocation])
def test_the_examples_in_a_modules_docstrings_run(module: ModuleType) -> None:
    result = doctest.testmod(module)
    assert (result.attempted > 0, result.failed) == (True, 0)
