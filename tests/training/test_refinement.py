"""Embeddings fitted to their notes."""

from __future__ import annotations

import functools
from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
import pytest

from synth import WaveNet
from synth.bank import Recorded, bank_of_notes
from synth.pitch import midi_to_hertz
from synth.training.crops import analyse
from synth.training.refinement import BATCH, _steadily, refined, without_bursts
from synth.wavenet.decoder import FramePrediction

RATE, SAMPLES = 16_000, 4096
PITCHES = (60, 64, 67)


def played(pitch: int) -> np.ndarray:
    """A reedy note: odd partials and a little breath."""
    turns = midi_to_hertz(pitch) * np.arange(SAMPLES) / RATE
    tone = sum(np.sin(2 * np.pi * k * turns) / k for k in (1, 3, 5))
    breath = np.random.default_rng(pitch).normal(scale=0.01, size=SAMPLES)
    return (0.1 * tone + breath).astype(np.float32)


@pytest.fixture(scope="module")
def notes() -> list[Recorded]:
    return [Recorded("reed", pitch, 100, played(pitch)) for pitch in PITCHES]


def told(model: WaveNet, embeddings: list[np.ndarray]) -> FramePrediction:
    pitch_hz = jnp.asarray(midi_to_hertz(np.array(PITCHES)), jnp.float32)
    frames = model.decoder.frame_conditioning(jnp.asarray(np.stack(embeddings)), pitch_hz)
    return model.decoder.frame_prediction(frames, pitch_hz)


def test_frames_tell_more_of_the_partials_than_the_encoders_do_and_as_much_noise_as_there_is(
    tiny_model: Callable[[str], WaveNet], notes: list[Recorded]
) -> None:
    model = tiny_model("live")
    pairs = list(refined(model, notes, expected=len(notes)))
    assert [note for note, _ in pairs] == notes
    fitted = [embedded.frames for _, embedded in pairs]
    audio = np.stack([note.audio for note in notes])
    encoded = list(np.asarray(model.encode(audio)))
    np.testing.assert_allclose([z[:, 0] for z in fitted], [z[:, 0] for z in encoded], atol=1e-5)  # the level
    ones = np.ones(len(notes), int)
    labels = {"names": ("reed",), "instrument": 0 * ones, "pitch": np.array(PITCHES), "velocity": ones}
    analysed = analyse(model.config, model.spectral, **labels, audio=audio)
    true = analysed.amplitudes
    after, before = told(model, fitted), told(model, encoded)

    def nepers(frames: FramePrediction) -> float:
        return float(np.abs(np.log(np.asarray(frames.amplitudes) + 1e-4) - np.log(true + 1e-4)).mean())

    assert nepers(after) < nepers(before) - 0.1  # measured: 3.54 of 3.77, of a random model

    def noise_error(frames: FramePrediction) -> np.ndarray:
        """In the median of each note, in nepers."""
        return np.abs(np.median(np.log(np.asarray(frames.rest) / analysed.rest_levels), axis=1))

    assert (noise_error(after) < noise_error(before)).all()  # measured: 1.81 of 1.88, of a random model


def test_noise_keeps_its_course_and_is_right_in_the_median() -> None:
    random = np.random.default_rng(0)
    told = random.uniform(0.1, 1.0, (2, 9, 3)).astype(np.float32)
    true = told * np.array([4.0, 0.25, 1.3], np.float32)
    true[:, 4:6] *= 100.0  # where something bursts, or nothing sounds
    sounds = np.ones((2, 9), bool)
    sounds[:, 4] = False
    decibels = 10.0 ** (3.0 / 20.0)  # within which it may be off
    np.testing.assert_allclose(
        _steadily(told, true, sounds), told * np.array([4.0 / decibels, 0.25 * decibels, 1.0]), rtol=1e-2
    )


def test_a_frame_that_tells_noise_unlike_its_notes_gets_the_timbre_of_its_neighbour() -> None:
    frames = np.arange(5 * 16, dtype=np.float32).reshape(5, 16)
    true = np.full(5, 2.0)
    mended = without_bursts(frames, np.array([1.0, 2.0, 1e6, 1e6, 3.0]), true)
    np.testing.assert_array_equal(mended[:, 0], frames[:, 0])  # as loud as it was
    np.testing.assert_array_equal(mended[:, 1:], frames[[0, 1, 1, 4, 4], 1:])
    np.testing.assert_array_equal(without_bursts(frames, np.array([1.0, 2.0, 30.0, 21.0, 3.0]), true), mended)
    for noise in (np.full(5, 1e6), np.ones(5), np.array([1.0, 1.0, 19.0, 1.0, 1.0])):
        np.testing.assert_array_equal(without_bursts(frames, noise, true), frames)
    late = np.array([0.01, 0.01, 0.01, 0.01, 5.0])  # noise that follows within three frames
    told = np.array([2.0, 30.0, 1.0, 1.0, 1.0])
    np.testing.assert_array_equal(without_bursts(frames, told, late)[0, 1:], frames[1, 1:])


def test_an_embedding_does_not_depend_on_its_company(
    tiny_model: Callable[[str], WaveNet], notes: list[Recorded]
) -> None:
    model = tiny_model("live")
    many = [
        embedded.frames for _, embedded in refined(model, notes * (BATCH // 2), expected=1, steps=5)
    ]  # more than a batch
    (_, alone), *_ = refined(model, notes[1:2], expected=1, steps=5)
    assert len(many) == len(notes) * (BATCH // 2)
    for again in many[1 :: len(notes)]:
        np.testing.assert_allclose(again, alone.frames, atol=1e-4)


@pytest.mark.parametrize(("kind", "steps"), [("live", 0), ("paper", 40)])
def test_without_steps_or_a_spectral_encoder_embeddings_are_the_encoders(
    tiny_model: Callable[[str], WaveNet], notes: list[Recorded], kind: str, steps: int
) -> None:
    model = tiny_model(kind)
    (_, embedded), *_ = refined(model, notes, expected=len(notes), steps=steps)
    assert (embedded.stretch.tolist(), embedded.tuning) == ([0.0], 0.0)
    np.testing.assert_array_equal(embedded.frames, np.asarray(model.encode(notes[0].audio[None]))[0])


def test_banks_are_built_with_the_notes_stretch(tiny_model: Callable[[str], WaveNet]) -> None:
    k = np.arange(1, 9)

    def note(instrument: str, stiffness: float) -> Recorded:
        t = np.arange(4 * RATE) / RATE
        turns = 441.0 * k[:, None] * np.sqrt(1.0 + stiffness * (k[:, None] ** 2 - 1.0)) * t
        return Recorded(
            instrument, 69, 100, np.sum(0.1 / k[:, None] * np.cos(2 * np.pi * turns), axis=0, dtype=np.float32)
        )

    embed = functools.partial(refined, tiny_model("live"), expected=2, steps=2)
    bank = bank_of_notes(tiny_model("live"), [note("stiff", 1e-3), note("even", 0.0)], embed)
    expected = k * (np.sqrt(1.0 + 1e-3 * (k**2 - 1.0)) - 1.0)
    np.testing.assert_allclose(bank.stretch[0, 0, 0, :8], expected, atol=0.003)
    np.testing.assert_allclose(bank.stretch[1], 0.0, atol=1e-3)
    np.testing.assert_allclose(bank.tuning[:, 0, 0], 1200.0 * np.log2(441.0 / 440.0), atol=1.0)
