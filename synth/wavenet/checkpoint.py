"""From a released NSynth checkpoint to a model: its names, and the sizes that its shapes imply."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any, Literal

import numpy as np

from synth.errors import UsageError, WavekeysError
from synth.wavenet.bundle import Bundle, naming
from synth.wavenet.config import SIZES, WaveNetConfig
from synth.wavenet.model import WaveNet, from_tensors

AVERAGED = "/ExponentialMovingAverage"

WIDTHS: dict[str, tuple[str, int]] = {
    "embedding_channels": ("ae_bottleneck/W", 3),
    "encoder_width": ("ae_startconv/W", 3),
    "encoder_filter": ("ae_startconv/W", 1),
    "input_taps": ("startconv/W", 1),
    "filter_width": ("dilatedconv_1/W", 1),
    "residual": ("startconv/W", 3),
    "skip": ("skip_start/W", 3),
}
"""Each width of the config, and the tensor and axis that show it."""

DEPTHS: dict[str, str] = {"encoder_layers": "ae_dilatedconv", "layers": "dilatedconv"}
"""Each depth, and the tensors whose number shows it. Hop and dilation cycle show nowhere: they are NSynth's."""


def import_checkpoint(prefix: str | Path, weights: Literal["raw", "ema"] = "raw") -> WaveNet:
    """Read a checkpoint of NSynth's WaveNet (a TensorFlow V2 bundle).

    Args:
      prefix: its path without `.index`, one of its files, or its folder.
      weights: "raw" are those that Magenta's own programs generate with; "ema" their averages over training.
    """
    if weights not in ("raw", "ema"):
        raise UsageError(f"unknown weights {weights!r}; one of raw, ema")
    prefix = find_prefix(Path(prefix))
    bundle = Bundle(prefix)
    # The rest is the training's own: step counters, Adam's moments.
    suffix = AVERAGED if weights == "ema" else ""
    names = {name.removesuffix(suffix): name for name in bundle.entries if re.search(f"/(W|biases){suffix}$", name)}
    if not names:
        what = "averaged weights; import it with --weights raw" if weights == "ema" else "weights of NSynth's WaveNet"
        raise WavekeysError(f"{prefix}.index: holds no {what}")
    config = infer_config({name: bundle.entries[stored].shape for name, stored in names.items()}, f"{prefix}.index")
    tensors: dict[str, np.ndarray] = {name: bundle.tensor(stored) for name, stored in names.items()}
    return from_tensors(config, tensors, where=f"{prefix}.index")


def find_prefix(path: Path) -> Path:
    """The prefix that a path means: itself, a file of the checkpoint, or a folder whose `checkpoint` file names one."""
    state = path / "checkpoint"
    with naming(path):
        if not path.is_dir() or Path(f"{path}.index").exists():
            return path.with_name(re.sub(r"(?<=.)\.(index|meta|data-\d{5}-of-\d{5})$", "", path.name))
        if not state.exists():
            raise ValueError("a folder without a file named 'checkpoint'; give the checkpoint's own name")
    with naming(state):
        text = state.read_text(encoding="utf-8")
    named = re.search(r'^\s*model_checkpoint_path\s*:\s*"([^"\n]*)"', text, re.MULTILINE)
    # What it names is often a path on the machine that trained; only the file beside it is meant.
    name = re.split(r"[\\/]", named[1])[-1] if named else ""
    if name in ("", ".", "..") or not name.isprintable():
        raise WavekeysError(f"{state}: names no checkpoint (there is no model_checkpoint_path in it)")
    return path / name


def infer_config(shapes: dict[str, tuple[int, ...]], where: str) -> WaveNetConfig:
    """The size whose weights have these shapes: "paper", or one of its family such as "nsynth-32x16"."""
    found: dict[str, Any] = {field: _dimension(shapes, name, axis, where) for field, (name, axis) in WIDTHS.items()}
    for field, layer in DEPTHS.items():
        found[field] = sum(1 for name in shapes if re.fullmatch(rf"{layer}_\d+/W", name))
    try:
        config = dataclasses.replace(SIZES["paper"], **found)
    except WavekeysError as error:
        raise WavekeysError(f"{where}: {error}") from None
    if config == SIZES["paper"]:
        return config
    return dataclasses.replace(config, name=f"nsynth-{config.residual}x{config.skip}")


def _dimension(shapes: dict[str, tuple[int, ...]], name: str, axis: int, where: str) -> int:
    if name not in shapes:
        raise WavekeysError(f"{where}: not a checkpoint of NSynth's WaveNet: missing tensor {name!r}")
    shape = shapes[name]
    if len(shape) != 4 or not 1 <= shape[axis] <= 2**16:
        raise WavekeysError(f"{where}: not a checkpoint of NSynth's WaveNet: tensor {name!r} has shape {list(shape)}")
    return shape[axis]
