"""Embeddings fitted to their notes."""

from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
import pytest

from synth import WaveNet
from synth.bank import Recorded
from synth.pitch import midi_to_hertz
from synth.training.crops import Notes, analyse
from synth.training.loss import frame_loss
from synth.training.refinement import BATCH, refined

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


def nats(model: WaveNet, notes: list[Recorded], embeddings: list[np.ndarray]) -> float:
    """What `frame_loss` says of embeddings, the notes analysed as training does."""
    pitch = np.array([note.pitch for note in notes])
    ones = np.ones(len(notes), int)
    audio = np.stack([note.audio for note in notes])
    known = analyse(
        model.config, model.spectral, names=("reed",), instrument=0 * ones, pitch=pitch, velocity=ones, audio=audio
    )
    wanted = Notes(*(jnp.asarray(getattr(known, field)) for field in Notes._fields))
    frames = model.decoder.frame_conditioning(jnp.asarray(np.stack(embeddings)), wanted.pitch_hz)
    return float(frame_loss(model.config, model.decoder.frame_prediction(frames, wanted.pitch_hz), wanted))


def test_frames_tell_more_of_the_note_than_the_encoders_do(
    tiny_model: Callable[[str], WaveNet], notes: list[Recorded]
) -> None:
    model = tiny_model("live")
    pairs = list(refined(model, notes, expected=len(notes), steps=40))
    assert [note for note, _ in pairs] == notes
    fitted = [z for _, z in pairs]
    encoded = list(np.asarray(model.encode(np.stack([note.audio for note in notes]))))
    assert nats(model, notes, fitted) < nats(model, notes, encoded) - 0.4  # measured: 13.8 of 14.5, of a random model
    np.testing.assert_allclose([z[:, 0] for z in fitted], [z[:, 0] for z in encoded], atol=1e-5)  # the level


def test_an_embedding_does_not_depend_on_its_company(
    tiny_model: Callable[[str], WaveNet], notes: list[Recorded]
) -> None:
    model = tiny_model("live")
    many = [z for _, z in refined(model, notes * (BATCH // 2), expected=1, steps=5)]  # more than a batch
    (_, alone), *_ = refined(model, notes[1:2], expected=1, steps=5)
    assert len(many) == len(notes) * (BATCH // 2)
    for again in many[1 :: len(notes)]:
        np.testing.assert_allclose(again, alone, atol=1e-4)


@pytest.mark.parametrize(("kind", "steps"), [("live", 0), ("paper", 40)])
def test_without_steps_or_a_spectral_encoder_embeddings_are_the_encoders(
    tiny_model: Callable[[str], WaveNet], notes: list[Recorded], kind: str, steps: int
) -> None:
    model = tiny_model(kind)
    (_, z), *_ = refined(model, notes, expected=len(notes), steps=steps)
    np.testing.assert_array_equal(z, np.asarray(model.encode(notes[0].audio[None]))[0])
