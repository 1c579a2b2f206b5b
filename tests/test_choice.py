"""Which engine runs a model: the fastest one that is there, keeps the labels, and suits the processor."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from classifier.backends import Computing, choice, processor
from classifier.backends.choice import BFLOAT16, FLOAT32, TENSORFLOW, Stored
from classifier.errors import UserError

YES: Mapping[str, Any] = {"accepted": True}
NO: Mapping[str, Any] = {"accepted": False}


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let nothing stand for the engines; say which were loaded."""
    names: list[str] = []

    def loader(name: str) -> Any:
        return lambda _stored, _computing: names.append(name)

    backends = {name: replace(each, load=loader(name)) for name, each in choice.BACKENDS.items()}
    monkeypatch.setattr(choice, "BACKENDS", backends)
    monkeypatch.setattr(processor, "multiplies_bfloat16", lambda: True)
    return names


def stored(**backends: Mapping[str, Any]) -> Stored:
    return Stored(Path(), Path(), {"engines": {name.replace("_", "-"): entry for name, entry in backends.items()}})


def test_the_fastest_of_those_that_keep_the_labels_runs_the_model_and_it_is_said_why(loaded: list[str]) -> None:
    chosen = choice.load(stored(openvino_float32=YES, openvino_bfloat16=YES), Computing())
    assert chosen.name == BFLOAT16
    assert "has bfloat16 instructions" in chosen.reason
    assert loaded == [BFLOAT16]


def test_a_form_that_changes_labels_is_never_loaded(loaded: list[str]) -> None:
    assert choice.load(stored(openvino_float32=YES, openvino_bfloat16=NO), Computing()).name == FLOAT32
    assert loaded == [FLOAT32]


def test_bfloat16_is_not_tried_where_the_processor_has_no_such_multiplication(
    loaded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processor, "multiplies_bfloat16", lambda: False)
    assert choice.load(stored(openvino_float32=YES, openvino_bfloat16=YES), Computing()).name == FLOAT32
    assert choice.load(stored(openvino_bfloat16=YES), Computing()).name == TENSORFLOW
    assert loaded == [FLOAT32, TENSORFLOW]


def test_tensorflow_runs_what_has_no_other_form_and_what_has_a_gpu(loaded: list[str]) -> None:
    assert choice.load(stored(), Computing()).name == TENSORFLOW
    assert choice.load(Stored(Path(), Path(), {}), Computing()).name == TENSORFLOW
    both = stored(openvino_float32=YES, openvino_bfloat16=YES)
    assert choice.load(both, Computing(gpu=True)).name == TENSORFLOW
    assert loaded == [TENSORFLOW] * 3


def test_an_engine_that_is_asked_for_is_taken_even_where_another_is_faster(loaded: list[str]) -> None:
    model = stored(openvino_float32=YES, openvino_bfloat16=YES)
    for name in choice.ENGINES:
        assert choice.load(model, Computing(name, gpu=True)).name == name
    assert loaded == list(choice.ENGINES)


def test_an_engine_that_can_not_run_the_model_is_refused_with_those_that_can(loaded: list[str]) -> None:
    with pytest.raises(
        UserError, match="SERVING_ENGINE=openvino-bfloat16: this model can be run by tensorflow, openvino-float32;"
    ):
        choice.load(stored(openvino_float32=YES, openvino_bfloat16=NO), Computing(BFLOAT16))
    with pytest.raises(UserError, match="only tensorflow runs models of other programs"):
        choice.load_foreign(Path(), Computing(FLOAT32))
    assert not loaded


@pytest.mark.parametrize(
    ("lines", "can"),
    [
        ("flags\t\t: fpu avx512f avx512_bf16 amx_tile\n", True),
        ("processor\t: 0\nflags\t\t: fpu amx_bf16\n", True),
        ("flags\t\t: fpu avx2 avx512f avx512_bf16x\n", False),
        ("Features\t: fp asimd bf16\n", False),
        ("", False),
    ],
)
def test_the_processors_abilities_are_read_from_what_linux_lists(tmp_path: Path, lines: str, can: bool) -> None:
    path = tmp_path / "cpuinfo"
    path.write_text(lines)
    assert bool(processor.BFLOAT16 & processor.flags(path)) is can


def test_a_machine_that_does_not_list_its_abilities_has_none(tmp_path: Path) -> None:
    assert processor.flags(tmp_path / "absent") == frozenset()
