"""Importing NSynth's checkpoints: which file is meant, which size it is, and what is refused."""

from __future__ import annotations

import dataclasses
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from synth import SIZES, UsageError, WavekeysError
from synth.wavenet import import_checkpoint
from synth.wavenet.bundle import Bundle
from synth.wavenet.checkpoint import find_prefix, infer_config

GOLDEN = Path(__file__).parents[1] / "data" / "nsynth_small"
PREFIX = GOLDEN / "model.ckpt-200000"
SMALL = dataclasses.replace(SIZES["paper"], name="nsynth-32x16", residual=32, skip=16, encoder_width=16)

WriteBundle = Any  # tests/wavenet/conftest.py


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    """The checkpoint's raw weights."""
    bundle = Bundle(PREFIX)
    return {name: bundle.tensor(name) for name in bundle.entries if not name.endswith("Average")}


def refusal(prefix: Path, **options: Any) -> str:
    with pytest.raises(WavekeysError) as caught:
        import_checkpoint(prefix, **options)
    assert len(str(caught.value).splitlines()) == 1
    assert str(prefix) in str(caught.value)
    return str(caught.value)


def test_raw_and_averaged_weights_are_told_apart() -> None:
    bundle = Bundle(PREFIX)
    for weights, suffix in (("raw", ""), ("ema", "/ExponentialMovingAverage")):
        model = import_checkpoint(PREFIX, weights)
        assert model.config == SMALL
        tensors = model.tensors()
        assert len(tensors) == 374
        for name, tensor in tensors.items():
            np.testing.assert_array_equal(tensor, bundle.tensor(name + suffix))


def test_a_checkpoint_may_be_named_by_its_prefix_a_file_or_its_folder() -> None:
    for name in ("", ".index", ".meta", ".data-00000-of-00001"):
        assert find_prefix(Path(f"{PREFIX}{name}")) == PREFIX
    assert find_prefix(GOLDEN) == PREFIX


@pytest.mark.parametrize(
    "named", ["model.ckpt-7", "/data/train/model.ckpt-7", "../../etc/model.ckpt-7", r"C:\\train\\model.ckpt-7"]
)
def test_a_folders_checkpoint_is_looked_for_in_the_folder_alone(tmp_path: Path, named: str) -> None:
    (tmp_path / "checkpoint").write_text(f'model_checkpoint_path: "{named}"\nall_model_checkpoint_paths: "other"\n')
    assert find_prefix(tmp_path) == tmp_path / "model.ckpt-7"
    assert refusal(tmp_path).endswith("model.ckpt-7.index: there is no such file")


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe\x00", b'model_checkpoint_path: ".."', b'model_checkpoint_path: "a\x0bb"', b"{}"]
)
def test_a_folder_whose_state_names_nothing_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "checkpoint").write_bytes(content)
    assert refusal(tmp_path).startswith(f"{tmp_path / 'checkpoint'}: ")


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    assert "a folder without a file named 'checkpoint'" in refusal(tmp_path)


@pytest.mark.parametrize("name", ["nothing-here", "x" * 5000, "nul\0byte", "."])
def test_a_prefix_that_cannot_be_is_refused(tmp_path: Path, name: str) -> None:
    refusal(tmp_path / name)


def test_unknown_weights_are_a_usage_error() -> None:
    with pytest.raises(UsageError, match="'mean'; one of raw, ema"):
        import_checkpoint(PREFIX, "mean")  # type: ignore[arg-type]


def test_the_trainings_own_variables_are_ignored(write_bundle: WriteBundle, golden: dict[str, np.ndarray]) -> None:
    prefix = write_bundle(
        golden
        | {f"{name}/Adam": tensor for name, tensor in golden.items()}
        | {"global_step": np.array(200_000, np.int64), "beta1_power": np.array(0.5, np.float32)}
    )
    np.testing.assert_array_equal(import_checkpoint(prefix).tensors()["logits/W"], golden["logits/W"])


def test_a_checkpoint_without_averages_says_to_take_the_raw_weights(
    write_bundle: WriteBundle, golden: dict[str, np.ndarray]
) -> None:
    line = refusal(write_bundle(golden), weights="ema")
    assert line.endswith("holds no averaged weights; import it with --weights raw")


def test_another_programs_checkpoint_is_refused(write_bundle: WriteBundle) -> None:
    assert "holds no weights of NSynth's WaveNet" in refusal(write_bundle({"kernel": np.ones(3, np.float32)}))
    assert "missing tensor 'ae_bottleneck/W'" in refusal(write_bundle({"dense/W": np.ones(3, np.float32)}))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"res_7/biases": None}, "missing tensor 'res_7/biases'"),
        ({"startconv/W": None}, "missing tensor 'startconv/W'"),
        ({"dilatedconv_31/W": np.ones((1, 3, 32, 64), np.float32)}, "missing tensor 'cond_map_31/W'"),
        ({"gain/W": np.ones(3, np.float32)}, "unknown tensor 'gain/W'"),
        ({"out1/W": np.ones((1, 1, 16, 8), np.float32)}, "'out1/W' is float32[1, 1, 16, 8], not float32[1, 1, 16, 16]"),
        ({"out1/W": np.ones((1, 1, 16, 16), np.float64)}, "'out1/W' is float64[1, 1, 16, 16], not float32"),
        ({"out1/W": np.full((1, 1, 16, 16), np.nan, np.float32)}, "'out1/W' holds numbers that are not finite"),
        ({"startconv/W": np.ones((3, 32), np.float32)}, "tensor 'startconv/W' has shape [3, 32]"),
        ({"startconv/W": np.ones((1, 3, 1, 0), np.float32)}, "tensor 'startconv/W' has shape [1, 3, 1, 0]"),
        ({"dilatedconv_1/W": np.ones((1, 65, 1, 1), np.float32)}, "filter_width must be 2 to 64, not 65"),
    ],
)
def test_missing_extra_and_misshapen_tensors_are_named(
    write_bundle: WriteBundle, golden: dict[str, np.ndarray], change: dict[str, np.ndarray | None], complaint: str
) -> None:
    tensors = {name: tensor for name, tensor in (golden | change).items() if tensor is not None}
    assert complaint in refusal(write_bundle(tensors))


def test_the_papers_own_shapes_are_the_size_paper() -> None:
    shapes: dict[str, tuple[int, ...]] = {
        "ae_bottleneck/W": (1, 1, 128, 16),
        "ae_startconv/W": (1, 3, 1, 128),
        "startconv/W": (1, 3, 1, 512),
        "skip_start/W": (1, 1, 512, 256),
    }
    shapes |= {f"ae_dilatedconv_{i}/W": (1, 3, 128, 128) for i in range(1, 31)}
    shapes |= {f"dilatedconv_{i}/W": (1, 3, 512, 1024) for i in range(1, 31)}
    assert infer_config(shapes, "a checkpoint") == SIZES["paper"]


def test_a_damaged_checkpoint_is_not_imported(tmp_path: Path) -> None:
    shutil.copytree(GOLDEN, tmp_path, dirs_exist_ok=True)
    data = tmp_path / f"{PREFIX.name}.data-00000-of-00001"
    content = bytearray(data.read_bytes())
    content[len(content) // 2] ^= 1
    data.write_bytes(content)
    complaints = []
    for weights in ("raw", "ema"):
        try:
            import_checkpoint(tmp_path, weights)
        except WavekeysError as error:
            complaints.append(str(error))
    assert len(complaints) == 1, "the byte belongs to one of the two"
    assert re.fullmatch(rf"{re.escape(str(data))}: tensor '\S+' is damaged \(its checksum differs\)", complaints[0])
