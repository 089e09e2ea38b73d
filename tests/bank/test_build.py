"""Banks from whatever notes there are."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable

import numpy as np
import pytest
from flax import nnx

from synth import WaveNet
from synth.bank import Recorded, bank_of_notes
from synth.bank.build import ENDING_FRAMES, Embedded, held_frames
from synth.tones import COLUMNS, MOST_TONES, tone_amplitudes, tone_rows

RATE, HOP, FRAMES, RELEASE = 16_000, 512, 125, 94


def sound(seconds: float, *, decay_per_second: float = 0.0, seed: int = 0) -> np.ndarray:
    """4 s, of which the first are noise."""
    t = np.arange(4 * RATE) / RATE
    noise = np.random.default_rng(seed).normal(scale=0.1, size=len(t))
    return (noise * np.exp(-decay_per_second * t) * (t < seconds)).astype(np.float32)


def test_missing_notes_of_an_instrument_are_stood_in_for_by_its_nearest(tiny_model: Callable[[str], WaveNet]) -> None:
    model = WaveNet(dataclasses.replace(tiny_model("live").config, hop=HOP), rngs=nnx.Rngs(0))
    keys = (("bell", 60, 50), ("bell", 60, 100), ("bell", 64, 100), ("pipe", 62, 100))
    notes = [Recorded(*key, sound(4.0, seed=i)) for i, key in enumerate(keys)]
    told: list[Recorded] = []
    bank = bank_of_notes(model, [*notes, notes[0]._replace(audio=sound(4.0, seed=9))], again=told.append)
    assert [note[:3] for note in told] == [("bell", 60, 50)]
    assert (bank.instruments, list(bank.pitches), list(bank.velocities)) == (("bell", "pipe"), [60, 62, 64], [50, 100])
    embeddings = [np.asarray(model.encode(note.audio[None]))[0] for note in notes]
    chosen = [[[0, 1], [0, 1], [2, 2]], [[3, 3], [3, 3], [3, 3]]]  # of two notes alike the first counts
    np.testing.assert_allclose(bank.embeddings, np.array(embeddings)[np.array(chosen)], atol=1e-5)


def test_a_short_notes_tones_are_held_as_the_note_is(tiny_model: Callable[[str], WaveNet]) -> None:
    """It is prolonged; a tone falls by 20 dB in its first second, which is a part of what is heard again."""
    course = 10.0 ** (-np.minimum(np.arange(FRAMES) / 31, 1.0))
    tones = np.zeros((MOST_TONES, COLUMNS), np.float32)
    tones[:1] = tone_rows(np.array([1.5]), course[None], np.ones(FRAMES, bool))

    def embed(notes: Iterable[Recorded]) -> Iterable[tuple[Recorded, Embedded]]:
        for note in notes:
            yield note, Embedded(np.ones((FRAMES, 16), np.float32), np.zeros(1, np.float32), 0.0, tones)

    short, long = (
        bank_of_notes(tiny_model("live"), [Recorded("bell", 60, 100, sound(seconds))], embed) for seconds in (1.0, 4.0)
    )
    np.testing.assert_array_equal(long.tones[0, 0, 0], tones[:1])
    held = tone_amplitudes(short.tones[0, 0, 0], np.arange(FRAMES))[:, 0]
    order = held_frames(sound(1.0), FRAMES, RELEASE)
    assert held[:9] == pytest.approx(course[:9], rel=0.1)
    np.testing.assert_allclose(20 * np.log10(held / course[order])[9:RELEASE], 0.0, atol=9.0)
    assert held[40:].min() > 1.2 * course.min()


@pytest.mark.parametrize(
    "note",
    [sound(3.2), sound(4.0, decay_per_second=5.0), sound(0.9, decay_per_second=4.0)],
    ids=["held", "died away", "cut off as it died away"],
)
def test_a_note_that_was_held_or_died_away_stays_as_it_is(note: np.ndarray) -> None:
    np.testing.assert_array_equal(held_frames(note, FRAMES, RELEASE), np.arange(FRAMES))
    np.testing.assert_array_equal(held_frames(0.0 * note, FRAMES, RELEASE), np.arange(FRAMES))


def test_a_note_that_ends_early_is_held_to_and_fro_and_then_ends() -> None:
    frames = held_frames(sound(1.5), FRAMES, RELEASE)
    end = -(-round(1.5 * RATE) // HOP)
    last = end - ENDING_FRAMES
    assert list(frames[: last + 1]) == list(range(last + 1))
    assert frames[last:RELEASE].min() >= 9  # a sustain has nothing of the attack, 0.3 s
    assert frames[last:RELEASE].max() == last
    assert set(np.abs(np.diff(frames[:RELEASE]))) == {1}
    assert list(frames[RELEASE : RELEASE + ENDING_FRAMES]) == list(range(last, end))
