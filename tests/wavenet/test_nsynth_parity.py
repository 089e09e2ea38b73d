"""An imported checkpoint computes what Magenta's own program computed from it (tests/data/nsynth_small/README.md)."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import jax
import numpy as np
import pytest

from synth import WaveNet
from synth.wavenet import import_checkpoint, mulaw

DATA = Path(__file__).parents[1] / "data" / "nsynth_small"
PREDICTED = np.arange(0, 4096, 104)  # the reference's samples
FAST = np.arange(0, 2600, 72)

Weights = Literal["raw", "ema"]
VARIANTS = {"raw": "", "ema": "_ema"}


@pytest.fixture(scope="module")
def reference() -> dict[str, np.ndarray]:
    with np.load(DATA / "reference.npz") as arrays:
        return {name: arrays[name] for name in arrays.files}


@pytest.fixture(scope="module")
def models() -> dict[str, WaveNet]:
    return {"raw": import_checkpoint(DATA, "raw"), "ema": import_checkpoint(DATA, "ema")}


def test_mu_law_codes_are_exactly_the_originals(reference: dict[str, np.ndarray]) -> None:
    np.testing.assert_array_equal(mulaw.encode(reference["wav"]), reference["quantized"])


@pytest.mark.parametrize("weights", VARIANTS)
def test_embeddings_are_the_originals(
    reference: dict[str, np.ndarray], models: dict[str, WaveNet], weights: Weights
) -> None:
    wanted = reference["encoding" + VARIANTS[weights]]
    z = np.asarray(models[weights].encode(reference["wav"]))
    # Measured, relative to the largest: 8.8e-7 raw, 7.8e-7 averaged.
    np.testing.assert_allclose(z, wanted, rtol=0, atol=1e-4 * np.abs(wanted).max())


@pytest.mark.parametrize("weights", VARIANTS)
def test_teacher_forced_predictions_are_the_originals(
    reference: dict[str, np.ndarray], models: dict[str, WaveNet], weights: Weights
) -> None:
    audio, z = reference["wav"][:, :4096], reference["encoding" + VARIANTS[weights]]
    probabilities = np.asarray(jax.nn.softmax(models[weights].logits(audio, z)))[:, PREDICTED]
    # Measured over the whole reference: 8.3e-7 raw, 8.9e-8 averaged.
    np.testing.assert_allclose(probabilities, reference["predictions" + VARIANTS[weights]], rtol=0, atol=1e-5)


def test_the_stream_predicts_what_the_originals_fast_path_predicts(
    reference: dict[str, np.ndarray], models: dict[str, WaveNet]
) -> None:
    stream = models["raw"].stream(2, backend="jax")
    probabilities = np.asarray(stream.score(reference["wav"][:, :2600], reference["encoding"], block=650))[:, FAST]
    # Measured over the whole reference: 8.3e-7.
    np.testing.assert_allclose(probabilities, reference["fastgen"], rtol=0, atol=1e-5)


def test_the_loss_is_the_originals(reference: dict[str, np.ndarray], models: dict[str, WaveNet]) -> None:
    logits = models["raw"].logits(reference["wav"], reference["encoding"])
    labels = reference["quantized"].astype(np.int32) + 128
    chosen = np.take_along_axis(np.asarray(jax.nn.log_softmax(logits)), labels[..., None], axis=-1)
    np.testing.assert_allclose(-chosen.mean(), reference["loss"], rtol=1e-4)  # measured: 2e-7


def test_an_imported_model_survives_its_own_file(models: dict[str, WaveNet], tmp_path: Path) -> None:
    from synth import load_model

    models["ema"].save(tmp_path / "model.safetensors")
    loaded = load_model(tmp_path / "model.safetensors")
    assert loaded.config == models["ema"].config
    wanted = models["ema"].tensors()
    for name, tensor in loaded.tensors().items():
        np.testing.assert_array_equal(tensor, wanted[name])
