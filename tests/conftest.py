"""Strict arithmetic for every test, and tiny models."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
import platformdirs
import pytest
from flax import nnx

from synth import SIZES, WaveNet, WaveNetConfig
from synth.bank import Bank, Preset, PresetInfo
from synth.bank.preset import preset_text
from synth.tones import COLUMNS
from synth.wavenet.model import from_tensors

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

TINY: dict[str, WaveNetConfig] = {
    "paper": dataclasses.replace(
        SIZES["paper"],
        name="tiny-paper",
        hop=32,
        encoder_width=8,
        encoder_layers=3,
        layers=5,
        dilation_cycle=3,
        residual=16,
        skip=32,
    ),
    "live": dataclasses.replace(
        SIZES["live"],
        name="tiny-live",
        hop=32,
        encoder_width=8,
        encoder_layers=1,
        encoder_mels=8,
        layers=5,
        dilation_cycle=3,
        residual=16,
        skip=32,
        clock_harmonics=2,
        harmonics=16,
        frame_width=8,
        pitch_features=4,
    ),
}
"""The family's two kinds with every part that they have, small enough to compile in a second."""


@functools.cache
def _tiny_model(kind: str) -> WaveNet:
    random = np.random.default_rng(7)
    tensors = WaveNet(TINY[kind], rngs=nnx.Rngs(0)).tensors()
    for name, tensor in tensors.items():
        if name.endswith("/biases"):
            # A new model's are zero, which would hide a forgotten one.
            tensors[name] = random.normal(scale=0.1, size=tensor.shape).astype(np.float32)
    # Peaked distributions (a flat one's errors drown in any tolerance), components of a mixture that differ.
    tensors["logits/W"] = tensors["logits/W"] * 6
    if kind == "live":
        tensors["prediction/biases"][-2:] += np.float32([-4.0, 3.0])  # a small scale, of a rest as loud as the level
    return from_tensors(TINY[kind], tensors, where="a tiny model")


@pytest.fixture(scope="session")
def tiny_model() -> Callable[[str], WaveNet]:
    """A random model of kind "paper" or "live", the same on every call."""
    return _tiny_model


@pytest.fixture(scope="session")
def tiny_preset() -> Preset:
    """Two instruments, pitches 60 to 64, velocities 50 and 100, of random embeddings and a tiny live model.

    The bell's partials are stretched and it has a tierce, the pipe swings.
    """
    z = np.random.default_rng(3).normal(scale=0.3, size=(2, 5, 2, 20, 16)).astype(np.float16).astype(np.float32)
    z[..., 0] = 0.5  # the level: -20 dBFS
    stretch = np.zeros((2, 5, 2, 16), np.float32)
    stretch[0] = np.float16(0.02) * np.square(np.linspace(0.0, 4.0, 16, dtype=np.float16))
    tones = np.zeros((2, 5, 2, 2, COLUMNS), np.float32)
    tones[0, ..., 0, :] = 1.19, *np.linspace(-10.0, -20.0, COLUMNS - 1)
    bank = Bank(
        instruments=("bell", "pipe"),
        pitches=np.arange(60, 65),
        velocities=np.array([50, 100]),
        embeddings=z,
        loops=np.broadcast_to(np.array([8, 16]), (2, 5, 2, 2)),
        vibrato=np.broadcast_to(
            np.array([[0.0, 0.0, 0.0], [5.0, 15.0, 0.25]], np.float32)[:, None, None], (2, 5, 2, 3)
        ),
        stretch=stretch,
        tuning=np.zeros((2, 5, 2), np.float32),
        tones=tones,
        release=17,
    )
    info = PresetInfo(
        name="tiny",
        author="",
        licence="",
        tags=(),
        description="",
        blend={"bell": 1.0},
        parameters={},
        model_sha256="",
        folder=Path(),
        factory=False,
    )
    return Preset(info=info, bank=bank, model=_tiny_model("live"))


@pytest.fixture
def tiny_folder(tiny_preset: Preset, tmp_path: Path) -> Path:
    """The tiny preset as a folder that holds its bank and its model."""
    folder = tmp_path / "given" / "tiny"
    folder.mkdir(parents=True)
    tiny_preset.bank.save(folder / "bank.safetensors")
    tiny_preset.model.save(folder / "model.safetensors")
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    info = dataclasses.replace(tiny_preset.info, model_sha256=digest, author="me", licence="CC0", tags=("test",))
    (folder / "preset.toml").write_text(preset_text(info), encoding="utf-8")
    return folder


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home for the user's presets, in `data/presets`, and the cache, in `cache`."""
    monkeypatch.setattr(platformdirs, "user_data_dir", lambda _: str(tmp_path / "data"))
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda _: str(tmp_path / "cache"))
    return tmp_path
