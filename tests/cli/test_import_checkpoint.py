"""`wavekeys import-checkpoint`: a released checkpoint becomes a model file."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from synth import SIZES, load_model
from synth.cli.main import main

PREFIX = Path(__file__).parents[1] / "data" / "nsynth_small" / "model.ckpt-200000"


def exit_code(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stopped:
        main(["import-checkpoint", *map(str, arguments)])
    return int(stopped.value.code or 0)


def test_the_verb_writes_a_model_and_says_what_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "model.safetensors"
    assert exit_code(PREFIX, "-o", output, "--weights", "ema") == 0
    assert capsys.readouterr().out == (
        f"{output}: size nsynth-32x16, ema weights, 374 tensors, 303,968 parameters, 1.2 MB, "
        "receptive field 6141 samples (384 ms)\n"
    )
    assert load_model(output).config == dataclasses.replace(
        SIZES["paper"], name="nsynth-32x16", residual=32, skip=16, encoder_width=16
    )


@pytest.mark.parametrize(
    ("prefix", "output", "complaint"),
    [
        (PREFIX, Path("taken") / "model.safetensors", "cannot write "),
        ("nothing", Path("model.safetensors"), "nothing.index: there is no such file"),
    ],
)
def test_what_cannot_be_read_or_written_is_one_line_and_exit_code_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], prefix: Path | str, output: Path, complaint: str
) -> None:
    (tmp_path / "taken").touch()  # a file where a folder is wanted
    assert exit_code(tmp_path / prefix, "-o", tmp_path / output) == 1
    line = capsys.readouterr().err
    assert complaint in line
    assert line.count("\n") == 1


def test_weights_that_do_not_exist_are_exit_code_two(tmp_path: Path) -> None:
    assert exit_code(PREFIX, "-o", tmp_path / "model.safetensors", "--weights", "mean") == 2
