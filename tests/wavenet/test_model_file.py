"""A model file is read whole, or refused with one line that names it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

from synth import SIZES, WavekeysError, WaveNet, load_model

TinyModel = Callable[[str], WaveNet]


def refusal(path: Path) -> str:
    with pytest.raises(WavekeysError) as caught:
        load_model(path)
    assert len(str(caught.value).splitlines()) == 1
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


def write(
    path: Path, model: WaveNet, tensors: dict[str, Any] | None = None, config: dict[str, Any] | None = None
) -> Path:
    """A model's file with some tensors and some of its config changed; None leaves a tensor out."""
    changed = {name: tensor for name, tensor in (model.tensors() | (tensors or {})).items() if tensor is not None}
    values = json.loads(model.config.to_json()) | (config or {})
    save_file(changed, path, metadata={"wavekeys": json.dumps(values)})
    return path


@pytest.mark.parametrize("kind", ["paper", "live"])
def test_a_model_survives_its_file(tiny_model: TinyModel, path: Path, kind: str) -> None:
    model = tiny_model(kind)
    model.save(path)
    loaded = load_model(path)
    assert loaded.config == model.config
    assert loaded.tensors().keys() == model.tensors().keys()
    for name, tensor in model.tensors().items():
        np.testing.assert_array_equal(loaded.tensors()[name], tensor)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path, path: Path) -> None:
    assert refusal(path) == f"no model at {path}"
    refusal(tmp_path)


def test_a_file_cut_short_or_with_more_at_its_end_is_refused(tiny_model: TinyModel, path: Path) -> None:
    tiny_model("live").save(path)
    content = path.read_bytes()
    for length in (0, 1, 7, 8, 9, 500, 5000, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:length])
        assert "not a readable safetensors file" in refusal(path)
    path.write_bytes(content + b"\0")
    refusal(path)


def test_a_damaged_header_is_refused_or_harmless(tiny_model: TinyModel, path: Path) -> None:
    tiny_model("paper").save(path)
    content = path.read_bytes()
    header = 8 + int.from_bytes(content[:8], "little")
    for position in (*range(8), *range(8, header, 211)):
        damaged = bytearray(content)
        damaged[position] ^= 1 << position % 7
        path.write_bytes(damaged)
        try:
            load_model(path)
        except WavekeysError as error:
            assert str(path) in str(error)
            assert len(str(error).splitlines()) == 1


def test_other_programs_files_are_refused(path: Path) -> None:
    path.write_bytes(b"RIFF\x24\0\0\0WAVEfmt ")
    assert "not a readable safetensors file" in refusal(path)
    save_file({"weight": np.ones(3, np.float32)}, path)
    assert "not a wavekeys model (no config in its metadata)" in refusal(path)


@pytest.mark.parametrize("metadata", ["", "{", "[]", "3", '"text"', "{}", "[" * 100_000, '{"format_version": 99}'])
def test_a_config_that_is_none_is_refused(path: Path, metadata: str) -> None:
    save_file({"weight": np.ones(3, np.float32)}, path, metadata={"wavekeys": metadata})
    refusal(path)


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        ({"colour": 3}, "unknown model key 'colour'"),
        ({"layers": 2.5}, "'layers' must be int, not 2.5"),
        ({"layers": True}, "'layers' must be int, not True"),
        ({"layers": 0}, "layers must be 1 to"),
        ({"layers": 10**9}, "layers must be 1 to"),
        ({"dilation_cycle": 10**6}, "dilation_cycle must be 1 to"),
        ({"residual": -1}, "residual must be 1 to"),
        ({"residual": 17}, "is float32["),
        ({"layers": 6}, "missing tensor 'cond_map_6/W'"),
        ({"layers": 4}, "unknown tensor 'cond_map_5/W'"),
        ({"encoder_filter": 4}, "encoder_filter must be odd"),
        ({"pitch_features": 4}, "need a clock"),
        ({"frame_layers": 1}, "need a frame_width"),
        ({"residual": 2**14, "dilation_cycle": 20, "layers": 20}, "remember more than 67108864 numbers"),
        ({"head": "guess"}, "head must be one of softmax, logistics, not 'guess'"),
        ({"encoder": "guess"}, "encoder must be one of temporal, spectral, not 'guess'"),
        ({"encoder": "spectral"}, "head 'logistics' goes with encoder 'spectral'"),
        ({"name": "two\nlines", "layers": 0}, "layers must be"),
    ],
)
def test_a_config_that_does_not_fit_is_refused_with_the_key(
    tiny_model: TinyModel, path: Path, config: dict[str, Any], complaint: str
) -> None:
    assert complaint in refusal(write(path, tiny_model("paper"), config=config))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"encoder_mels": 0}, "needs encoder_mels of 1 or more"),
        ({"hop": 31}, "and an even hop"),
        ({"embedding_channels": 1}, "embedding_channels of 2 or more"),
        ({"harmonics": 0}, "needs harmonics of 1 or more"),
        ({"clock_harmonics": 0}, "need a clock"),
        ({"frame_width": 0}, "need a frame_width"),
    ],
)
def test_fields_of_a_live_size_that_contradict_each_other_are_refused(change: dict[str, int], complaint: str) -> None:
    with pytest.raises(WavekeysError, match=complaint):
        dataclasses.replace(SIZES["live"], **change)


@pytest.mark.parametrize(
    ("tensors", "complaint"),
    [
        ({"res_1/W": None}, "missing tensor 'res_1/W'"),
        ({"gain": np.ones(3, np.float32)}, "unknown tensor 'gain'"),
        ({"res_1/biases": np.ones(15, np.float32)}, "'res_1/biases' is float32[15], not float32[16]"),
        ({"res_1/biases": np.ones(16, np.float16)}, "'res_1/biases' is float16[16], not float32[16]"),
        ({"res_1/biases": np.ones(16, ml_dtypes.bfloat16)}, "res_1/biases"),
        ({"res_1/biases": np.ones(16, np.int32)}, "'res_1/biases' is int32[16], not float32[16]"),
        ({"res_1/biases": np.full(16, np.nan, np.float32)}, "'res_1/biases' holds numbers that are not finite"),
        ({"res_1/biases": np.full(16, -np.inf, np.float32)}, "'res_1/biases' holds numbers that are not finite"),
    ],
)
def test_a_tensor_that_does_not_fit_is_refused_by_name(
    tiny_model: TinyModel, path: Path, tensors: dict[str, Any], complaint: str
) -> None:
    assert complaint in refusal(write(path, tiny_model("paper"), tensors))
