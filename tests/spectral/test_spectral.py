"""The baseline: spectra and back, the network's sizes, its file, and a training that learns and resumes."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from synth import WavekeysError
from synth.analysis import log_mel_distance
from synth.spectral import SIZES, Baseline, load_baseline
from synth.spectral.comb import COMB_CHANNELS, comb
from synth.spectral.config import BaselineConfig, Layer
from synth.spectral.spectrum import analyse, istft, stft, synthesise
from synth.spectral.training import BaselineTrainer, BaselineTraining, frequency_weights
from synth.spectral.upwards import Upwards

TINY = BaselineConfig(
    name="tiny",
    fft=64,
    hop=16,
    frames=32,
    encoder=(Layer(8, 5, 4, 4), Layer(12, 4, 4, 4), Layer(12, 4, 2, 2)),
    embedding=16,
    pitch_embedding=4,
    decoder=(Layer(12, 4, 2, 2), Layer(12, 4, 4, 4), Layer(8, 5, 4, 4)),
    norm_decay=0.9,
    comb_head=6,
)


def note(seed: int = 0, samples: int = 500) -> np.ndarray:
    random = np.random.default_rng(seed)
    hertz = 16_000 / 64 * random.integers(2, 12)
    return (0.3 * np.sin(2 * np.pi * hertz * np.arange(samples) / 16_000)).astype(np.float32)


def test_a_sound_survives_its_spectrum() -> None:
    audio = np.random.default_rng(0).normal(size=(2, 512)).astype(np.float32)
    back = istft(stft(jnp.asarray(audio), 64, 16), 64, 16)
    np.testing.assert_allclose(back[:, :-16], audio[:, :-16], atol=1e-5)  # measured: 4e-7


def test_spectra_go_from_120_decibels_below_the_loudest_bin_to_1() -> None:
    spectra, loudest = analyse(TINY, np.stack([note(), 0.1 * note()]))
    assert spectra.shape == (2, 32, 32)
    assert (float(spectra.min()), float(spectra.max())) == (0.0, 1.0)
    np.testing.assert_allclose(spectra[0], spectra[1], atol=0.05)  # but for what is lost at the floor of 1e-13
    assert float(loudest[0] / loudest[1]) == pytest.approx(100.0, rel=1e-3)


def test_silence_has_no_spectrum() -> None:
    assert not np.asarray(analyse(TINY, np.zeros((1, TINY.samples), np.float32))[0]).any()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"embedding": 4.0}, "embedding must be int, not 4.0"),
        ({"name": 3}, "name must be str, not 3"),
        ({"encoder": [[128, 5, 2.7, 2]]}, "encoder must hold whole numbers"),
        ({"encoder": []}, "its encoder has no layers"),
    ],
)
def test_a_config_of_the_wrong_types_is_refused_by_name(change: dict[str, object], said: str) -> None:
    values = json.loads(TINY.to_json()) | change
    with pytest.raises(WavekeysError, match=f"^here: .*{said}"):
        BaselineConfig.from_json(json.dumps(values), where="here")


def test_griffin_and_lim_find_a_sound_of_the_same_spectrum_and_loudness() -> None:
    config = dataclasses.replace(
        TINY, fft=1024, hop=256, encoder=(Layer(1, 16, 16, 16), Layer(1, 32, 32, 2)), decoder=(Layer(1, 512, 512, 32),)
    )
    tone = sum(0.2 / k * np.sin(2 * np.pi * 220 * k * np.arange(config.samples) / 16_000) for k in range(1, 5)).astype(
        np.float32
    )
    spectra, loudest = analyse(config, tone[None])
    found = np.asarray(synthesise(config, spectra, loudest, 60))[0]
    assert found.shape == tone.shape
    assert log_mel_distance(tone, found, 16_000) < 6.0  # measured: 2.9


@pytest.mark.parametrize(("taps", "strides"), [(1, (1, 1)), (4, (2, 2)), (5, (2, 1)), (5, (4, 4)), (3, (2, 3))])
def test_upwards_is_a_transposed_convolution(taps: int, strides: tuple[int, int]) -> None:
    layer = Upwards(2, 3, taps, strides, rngs=nnx.Rngs(0))
    x = np.random.default_rng(0).normal(size=(1, 3, 4, 2)).astype(np.float32)
    kernel = np.asarray(layer.kernel[...])
    size = (3 * strides[0], 4 * strides[1])
    expected = np.zeros((1, size[0] + 2 * taps, size[1] + 2 * taps, 3))
    for (i, j), (row, column) in ((at, tap) for at in np.ndindex(3, 4) for tap in np.ndindex(taps, taps)):
        place = (taps + strides[0] * i + row - (taps - strides[0]) // 2, taps + strides[1] * j + column)
        place = (place[0], place[1] - (taps - strides[1]) // 2)
        expected[:, place[0], place[1]] += x[:, i, j] @ kernel[row, column]
    cut = expected[:, taps : taps + size[0], taps : taps + size[1]]
    np.testing.assert_allclose(layer(jnp.asarray(x)), cut, atol=1e-5)  # measured: 5e-7


def test_the_papers_size_has_its_shapes() -> None:
    """Ten convolutions to z, 1984 numbers a note, a spectrum of 512 bins and 256 frames."""
    paper = SIZES["paper"]
    assert (len(paper.encoder), paper.embedding, paper.bins, paper.frames) == (10, 1984, 512, 256)
    model = nnx.eval_shape(lambda: Baseline(paper, rngs=nnx.Rngs(0)))
    z = nnx.eval_shape(lambda m, x: m.embed(x), model, jax.ShapeDtypeStruct((1, 512, 256), jnp.float32))
    assert z.shape == (1, 1984)
    found = nnx.eval_shape(lambda m, z, p: m.spectra(z, p), model, z, jax.ShapeDtypeStruct((1,), jnp.int32))
    assert found.shape == (1, 512, 256)
    assert math.prod(model.encoder[-1].conv.kernel.shape) == 1024 * 1984


def test_a_comb_is_the_spectrum_of_a_steady_tone() -> None:
    """Of ten equal partials, against the transform of their sound."""
    config, hertz = SIZES["small"], 440.0 * 2.0 ** (3 / 12)
    seconds = np.arange(config.samples) / config.sample_rate_hz
    tone = np.sum([np.sin(2 * np.pi * hertz * k * seconds + k) for k in range(1, 11)], axis=0).astype(np.float32)
    spectra, _ = analyse(config, tone[None])
    decibels = 120.0 * (np.asarray(spectra[0, :, 100]) - 1.0)
    told = np.asarray(comb(config, jnp.array([72], jnp.int32)))[0]
    assert told.shape == (512, COMB_CHANNELS)
    spacing = hertz * config.fft / config.sample_rate_hz
    for k in range(1, 11):
        bins = np.arange(math.ceil(k * spacing - 1.5), math.floor(k * spacing + 1.5) + 1)
        lobe = 60.0 * (told[bins, 0] - 1.0)
        found = decibels[bins] - decibels[bins].max() + lobe.max()
        np.testing.assert_allclose(lobe, found, atol=0.5)
        np.testing.assert_allclose(told[bins, 1], (bins - k * spacing) / 4.0, atol=1e-3)
        assert np.sign(told[round(k * spacing), 5]) == (-1) ** k  # odd and even partials


def test_errors_count_ten_at_the_bottom_and_one_from_four_kilohertz_on() -> None:
    weights = frequency_weights(SIZES["paper"])
    assert (weights[0], weights[128], weights[256], weights[511]) == (10.0, 5.5, 1.0, 1.0)


@pytest.mark.parametrize("comb_head", [0, 6])
def test_a_baseline_survives_its_file_and_others_are_refused(tmp_path: Path, comb_head: int) -> None:
    config = dataclasses.replace(TINY, comb_head=comb_head)
    model, path = Baseline(config, rngs=nnx.Rngs(0)), tmp_path / "baseline.safetensors"
    model.save(path)
    loaded = load_baseline(path)
    assert loaded.config == config
    assert loaded.tensors().keys() == model.tensors().keys()
    for name, tensor in model.tensors().items():
        np.testing.assert_array_equal(loaded.tensors()[name], tensor)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(WavekeysError, match="not a readable safetensors file"):
        load_baseline(path)
    path.write_bytes(content.replace(b"pitch_embedding", b"pitch_embeddinG"))
    with pytest.raises(WavekeysError, match="its config cannot be read"):
        load_baseline(path)
    with pytest.raises(WavekeysError, match="no baseline at"):
        load_baseline(tmp_path / "none")


def test_the_trained_weights_are_of_the_small_size() -> None:
    path = Path(__file__).parents[2] / "presets" / "baselines" / "small.safetensors"
    assert load_baseline(path).config == SIZES["small"]


def test_a_note_is_encoded_alike_alone_and_in_company_and_teaches_nothing() -> None:
    """NSynth's own program normalised by the batch at hand in use, too: a note's embedding depended on its company."""
    model = Baseline(TINY, rngs=nnx.Rngs(0))
    before = model.tensors()
    notes = np.stack([note(seed) for seed in range(4)])
    together = np.asarray(model.encode(notes)[0])
    for place in range(4):
        np.testing.assert_allclose(model.encode(notes[place : place + 1])[0][0], together[place], atol=1e-5)
    for name, tensor in model.tensors().items():
        np.testing.assert_array_equal(tensor, before[name])


def test_sizes_that_do_not_fit_together_are_refused() -> None:
    with pytest.raises(WavekeysError, match="16 bins and 32 frames"):
        dataclasses.replace(TINY, decoder=(Layer(12, 4, 4, 4), Layer(8, 8, 4, 8)))
    with pytest.raises(WavekeysError, match="comb_head must be 0 to"):
        dataclasses.replace(TINY, comb_head=-1)
    with pytest.raises(WavekeysError, match="fewer taps than strides"):
        dataclasses.replace(TINY, decoder=(Layer(8, 16, 32, 32),))


def trainer(output: Path, **options) -> BaselineTrainer:
    audio = np.stack([note(seed) for seed in range(4)])
    training = BaselineTraining(steps=40, batch=4, learning_rate=1e-2, decay_share=0.3)
    return BaselineTrainer(TINY, training, audio=audio, pitch=np.arange(60, 64), output=output, **options)


def test_training_lowers_the_loss_and_resumes_to_the_bit(tmp_path: Path) -> None:
    losses: list[float] = []
    whole = trainer(tmp_path / "whole")
    whole.run(lambda progress: losses.append(progress.loss))
    assert losses[-1] < 0.5 * losses[0]  # measured: a fifth
    half = trainer(tmp_path / "half")
    for index in range(17):
        which = np.random.default_rng((0, index)).integers(4, size=4)
        half.state, _ = half._step(half.state, half._spectra[which], half._pitch[which])
    half.checkpoint()
    resumed = trainer(tmp_path / "half", resume=True)
    resumed.run(lambda _: None)
    for expected, found in zip(jax.tree.leaves(whole.state), jax.tree.leaves(resumed.state), strict=True):
        np.testing.assert_array_equal(expected, found)
    model = load_baseline(tmp_path / "whole" / "baseline.safetensors")
    sound = model.reconstruct(np.stack([note(), note(1)]), [60, 61], iterations=5)
    assert sound.shape == (2, 500)
    assert np.isfinite(sound).all()
    good = (tmp_path / "whole" / "baseline.safetensors").read_bytes()
    whole.state = whole.state._replace(params=jax.tree.map(lambda leaf: leaf * np.float32(np.nan), whole.state.params))
    with pytest.raises(WavekeysError, match="left all numbers"):
        whole.checkpoint()
    assert (tmp_path / "whole" / "baseline.safetensors").read_bytes() == good
