"""The incremental decoder computes what the model computes, and a voice's sound is its own affair."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st

from synth import WavekeysError, WaveNet, kernels
from synth.kernels import Block
from synth.stream import Stream
from synth.wavenet.decoder import steady_clock

TinyModel = Callable[[str], WaveNet]

KINDS = ("paper", "live")
BACKENDS = kernels.available()
FRAMES, SAMPLES = 5, 160  # of tiny models, whose hop is 32
# Another number of voices rounds otherwise, and free-running audio feeds that back. Measured: 0 for
# "paper", 9e-10 for "live" (whose loudest sample is 0.006).
SAME_SOUND = {"cpu": 0.0, "jax": 1e-6, "gpu": 1e-6, "tpu": 1e-6}  # the compiled kernel repeats itself to the bit


def notes(kind: str, voices: int) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Audio [V, T], embeddings [V, F, 16] and pitches [V]; voice v's do not depend on the number of voices."""
    random = [np.random.default_rng(100 + voice) for voice in range(voices)]
    z = np.stack([r.normal(scale=0.5, size=(FRAMES, 16)) for r in random]).astype(np.float32)
    z[..., 0] = 0.5 + 0.1 * z[..., 0]  # the level channel of a live size: about -20 dBFS
    audio = np.stack([0.1 * np.sin(np.arange(SAMPLES) * r.uniform(0.05, 0.3)) for r in random])
    audio += np.stack([r.normal(scale=0.02, size=SAMPLES) for r in random])
    pitch = 110.0 * 2.0 ** (np.arange(voices) / 3) if kind == "live" else None
    return audio.astype(np.float32), z, pitch


def perform(
    stream: Stream,
    kind: str,
    *,
    begins: Sequence[int],
    blocks: Sequence[int],
    seeds: Sequence[int],
) -> np.ndarray:
    """The `notes` of every voice, voice v beginning at sample begins[v]: [V, sum of blocks]."""
    _, z, pitch_hz = notes(kind, stream.voices)
    pitch = None if pitch_hz is None else jnp.asarray(pitch_hz, jnp.float32)
    conditioning = stream.conditioning(jnp.asarray(z), pitch)
    total = sum(blocks)
    clock = steady_clock(jnp.full(stream.voices, 440.0) if pitch is None else pitch, total, 16_000)
    phase = np.asarray(clock)
    begin = np.asarray(begins, np.int32)
    pieces, start = [], 0
    for length in blocks:
        since = np.maximum(start + np.arange(length)[None, :] - begin[:, None], 0)
        block = Block(
            conditioning=conditioning,
            position=jnp.asarray(start - begin),
            clock=jnp.asarray(np.take_along_axis(phase, since, axis=1)),
            begin=jnp.asarray(np.clip(begin - start, 0, length)),
            fresh=jnp.asarray(((start <= begin) & (begin < start + length)).astype(np.int32)),
            seed=jnp.asarray(seeds, jnp.uint32),
            temperature=jnp.ones((stream.voices, length)),
        )
        pieces.append(np.asarray(stream.advance(block)))
        start += length
    return np.concatenate(pieces, axis=1)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("voices", "block"), [(1, 1), (1, 160), (2, 64), (3, 7)])
def test_the_stream_scores_what_the_model_scores(
    tiny_model: TinyModel, kind: str, backend: str, voices: int, block: int
) -> None:
    model = tiny_model(kind)
    audio, z, pitch = notes(kind, voices)
    wanted = np.asarray(jax.nn.softmax(model.logits(audio, z, pitch)))
    scored = np.asarray(model.stream(voices, backend).score(audio, z, pitch_hz=pitch, block=block))
    assert scored.shape == (voices, SAMPLES, 256)
    assert wanted.max() > 0.2, "a flat distribution would agree with anything"
    np.testing.assert_allclose(scored, wanted, rtol=0, atol=1e-4)  # measured: 1.0e-6 paper, 8.2e-6 live


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", KINDS)
def test_scoring_again_forgets_what_was_scored_before(tiny_model: TinyModel, kind: str, backend: str) -> None:
    audio, z, pitch = notes(kind, 2)
    stream = tiny_model(kind).stream(2, backend)
    first = np.asarray(stream.score(audio, z, pitch_hz=pitch, block=64))
    other = np.asarray(stream.score(audio[:, 5:106], z[:, ::-1], pitch_hz=pitch, block=101))
    assert np.abs(other - first[:, :101]).max() > 0.01
    np.testing.assert_allclose(
        stream.score(audio, z, pitch_hz=pitch, block=64), first, rtol=0, atol=1e-6
    )  # measured: 0


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=8, deadline=None)
@given(lengths=st.lists(st.sampled_from((1, 5, 31)), max_size=12))
def test_the_audio_does_not_depend_on_the_blocks(
    tiny_model: TinyModel, kind: str, backend: str, lengths: list[int]
) -> None:
    model = tiny_model(kind)
    cut = [1, 5, 31, *lengths]
    whole = -(-sum(cut) // 31)
    wanted = perform(model.stream(2, backend), kind, begins=(0, 0), blocks=[31] * whole, seeds=(3, 4))
    audio = perform(model.stream(2, backend), kind, begins=(0, 0), blocks=cut, seeds=(3, 4))
    np.testing.assert_allclose(audio, wanted[:, : sum(cut)], rtol=0, atol=SAME_SOUND[backend])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_audio_does_not_depend_on_the_company(tiny_model: TinyModel, kind: str, backend: str) -> None:
    model = tiny_model(kind)
    _, z, pitch = notes(kind, 4)
    together = np.asarray(model.stream(4, backend).generate(z, seed=[9, 8, 7, 6], pitch_hz=pitch, block=64))
    assert together.shape == (4, SAMPLES)
    for voice in range(4):
        alone = model.stream(1, backend).generate(
            z[voice : voice + 1], seed=9 - voice, pitch_hz=None if pitch is None else pitch[voice], block=64
        )
        np.testing.assert_allclose(alone[0], together[voice], rtol=0, atol=SAME_SOUND[backend])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("block", [48, 31])
def test_voices_that_begin_at_different_times_sound_as_if_alone(
    tiny_model: TinyModel, kind: str, backend: str, block: int
) -> None:
    model = tiny_model(kind)
    begins = (0, 37, 96)  # at once, inside a block, at a block's first sample
    blocks = [block] * (240 // block + 1)
    at_once = perform(model.stream(3, backend), kind, begins=(0, 0, 0), blocks=blocks, seeds=(1, 2, 3))
    staggered = perform(model.stream(3, backend), kind, begins=begins, blocks=blocks, seeds=(1, 2, 3))
    for voice, begin in enumerate(begins):
        assert not staggered[voice, :begin].any(), "silent before it begins"
        length = staggered.shape[1] - begin
        np.testing.assert_allclose(staggered[voice, begin:], at_once[voice, :length], rtol=0, atol=SAME_SOUND[backend])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_voice_that_is_begun_anew_sounds_as_in_a_new_stream(tiny_model: TinyModel, kind: str, backend: str) -> None:
    model = tiny_model(kind)
    wanted = perform(model.stream(2, backend), kind, begins=(0, 0), blocks=[48, 48, 48], seeds=(1, 2))
    stream = model.stream(2, backend)
    perform(stream, kind, begins=(0, 0), blocks=[48, 31], seeds=(11, 12))
    again = perform(stream, kind, begins=(0, 20), blocks=[48, 48, 48], seeds=(1, 2))
    np.testing.assert_allclose(again[0], wanted[0], rtol=0, atol=SAME_SOUND[backend])
    np.testing.assert_allclose(again[1, 20:], wanted[1, :-20], rtol=0, atol=SAME_SOUND[backend])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_voice_that_does_not_begin_is_silent(tiny_model: TinyModel, kind: str, backend: str) -> None:
    model = tiny_model(kind)
    audio = perform(model.stream(2, backend), kind, begins=(0, 1000), blocks=[48, 31], seeds=(1, 2))
    assert audio[0].any()
    assert not audio[1].any()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_decides_the_audio_and_temperature_zero_needs_none(
    tiny_model: TinyModel, kind: str, backend: str
) -> None:
    _, z, pitch = notes(kind, 1)
    stream = tiny_model(kind).stream(1, backend)

    def sound(seed: int, temperature: float) -> np.ndarray:
        return np.asarray(stream.generate(z, seed=seed, temperature=temperature, pitch_hz=pitch))

    np.testing.assert_array_equal(sound(5, 1.0), sound(5, 1.0))
    assert np.abs(sound(5, 1.0) - sound(6, 1.0)).max() > 1e-3
    np.testing.assert_array_equal(sound(5, 0.0), sound(6, 0.0))
    assert sound(5, 0.0).any()


def test_embeddings_of_the_wrong_shape_are_refused_with_the_shape(tiny_model: TinyModel) -> None:
    stream = tiny_model("paper").stream(2, "jax")
    with pytest.raises(ValueError, match=r"z must be \[2, frames, 16\], not \[3, 5, 16\]"):
        stream.generate(np.zeros((3, 5, 16), np.float32))
    with pytest.raises(ValueError, match="a score is of all 2 voices, not of 1"):
        stream.score(np.zeros((1, 64), np.float32), np.zeros((1, 5, 16), np.float32))


def test_a_size_with_a_clock_asks_for_the_pitch(tiny_model: TinyModel) -> None:
    with pytest.raises(ValueError, match=r"pitch clock: pass pitch_hz of shape \[1\]"):
        tiny_model("live").stream(1, "jax").generate(np.zeros((1, 5, 16), np.float32))


def test_what_is_no_number_is_refused_before_it_is_heard(tiny_model: TinyModel) -> None:
    stream = tiny_model("live").stream(voices=1)
    z = np.zeros((1, 2, 16), np.float32)
    for wrong in (
        {"pitch_hz": [np.nan]},
        {"pitch_hz": [0.0]},
        {"z": np.full_like(z, np.nan)},
        {"temperature": -1.0},
        {"temperature": np.nan},
        {"seed": -1},
        {"seed": 2**40},
        {"temperature": np.inf},
        {"stretch": np.full((1, 16), np.nan)},
        {"stretch": np.zeros((1, 16)), "tones": np.full((1, 2, 16), np.inf)},
        {"stretch": np.zeros((1, 7))},
        {"pitch_hz": [220.0, 330.0]},
        {"tones": np.zeros((1, 2, 16))},
    ):
        with pytest.raises(ValueError, match=r"finite|temperature|seeds|stretch must be \[1, 16\]|pitch_hz|tones go"):
            stream.generate(**({"z": z, "pitch_hz": [220.0]} | wrong))
    with pytest.raises(ValueError, match="audio must be finite"):
        stream.score(np.full((1, 64), np.nan), z, pitch_hz=[220.0])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", KINDS)
def test_fewer_voices_than_the_stream_has_sound_the_same_and_the_others_cost_nothing(
    tiny_model: TinyModel, kind: str, backend: str
) -> None:
    _, z, pitch = notes(kind, 2)
    stream = tiny_model(kind).stream(5, backend)
    two = np.asarray(stream.generate(z, seed=3, pitch_hz=pitch, block=50))
    assert not np.asarray(stream.state.age)[2:].any()
    assert two.shape[0] == 2
    np.testing.assert_array_equal(
        two, tiny_model(kind).stream(2, backend).generate(z, seed=3, pitch_hz=pitch, block=64)
    )


@pytest.mark.parametrize("voices", [0, 257])
def test_a_stream_of_too_few_or_too_many_voices_is_refused(tiny_model: TinyModel, voices: int) -> None:
    with pytest.raises(ValueError, match=f"a stream has 1 to 256 voices, not {voices}"):
        tiny_model("live").stream(voices=voices)


@pytest.mark.parametrize("wrong", [{"seed": [1]}, {"seed": [1, 2, 3]}, {"seed": 1.5}, {"block": 0}])
def test_what_is_refused_leaves_a_stream_that_plays(tiny_model: TinyModel, wrong: dict[str, Any]) -> None:
    stream = tiny_model("live").stream(voices=2, backend="cpu")
    _, z, pitch = notes("live", 2)
    expected = stream.generate(z, pitch_hz=pitch)
    with pytest.raises(ValueError, match=r"seed must be a whole number|a block has at least"):
        stream.generate(z, pitch_hz=pitch, **wrong)
    np.testing.assert_array_equal(stream.generate(z, pitch_hz=pitch), expected)


def test_a_model_beyond_what_a_kernel_can_is_refused_by_name(tiny_model: TinyModel) -> None:
    deep = WaveNet(dataclasses.replace(tiny_model("live").config, layers=65, dilation_cycle=5), rngs=nnx.Rngs(0))
    with pytest.raises(WavekeysError, match="models of up to 64 layers, not 65; try --backend jax"):
        deep.stream(backend="cpu")
    assert deep.stream(backend="jax").backend == "jax"
