"""A recorded note's vibrato, found and played."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from synth import WavekeysError
from synth.bank import Bank, HeldNote, Preset, build_bank
from synth.bank.vibrato import Vibrato, find_vibrato
from synth.instrument import Instrument, Set
from synth.testing.playing import on, play

RATE, HZ = 16_000, 440.0
T = np.arange(4 * RATE) / RATE


def tone(cents: np.ndarray, partials: int = 5) -> np.ndarray:
    turns = np.cumsum(HZ * 2.0 ** (cents / 1200.0)) / RATE
    return sum(np.sin(2 * np.pi * k * turns) / k for k in range(1, partials + 1))


@pytest.mark.parametrize("wanted", [Vibrato(5.5, 20.0, 0.3), Vibrato(4.0, 6.0, 0.9)])
def test_rate_depth_and_phase_are_found_beside_noise_and_a_slow_drift(wanted: Vibrato) -> None:
    swing = wanted.cents * np.sin(2 * np.pi * (wanted.rate_hz * T + wanted.turns))
    noise = np.random.default_rng(0).normal(scale=0.02, size=len(T))
    found = find_vibrato(tone(swing + 10.0 * T) + noise, HZ, RATE)
    assert found.rate_hz == pytest.approx(wanted.rate_hz, abs=0.06)
    assert found.cents == pytest.approx(wanted.cents, rel=0.05)
    assert found.turns == pytest.approx(wanted.turns, abs=0.03)


@pytest.mark.parametrize(
    "audio",
    [
        tone(np.zeros(len(T))),
        tone(30.0 * np.cumsum(np.random.default_rng(1).normal(size=len(T))) / RATE**0.5),
        np.random.default_rng(2).normal(size=len(T)),
        np.zeros(len(T)),
        tone(20.0 * np.sin(2 * np.pi * 5.0 * T)) * (T < 0.6),
        tone(300.0 * np.sin(2 * np.pi * 4.0 * T)),
    ],
    ids=["steady", "wandering", "noise", "silence", "short", "siren"],
)
def test_what_does_not_swing_evenly_or_for_long_has_none(audio: np.ndarray) -> None:
    assert find_vibrato(audio, HZ, RATE).cents < 0.5


def test_a_held_note_goes_on_swinging_once_it_has_begun_to() -> None:
    frames, loops = np.zeros((2, 20, 16), np.float32), np.array([[8, 16]] * 2)
    vibrato = np.array([[5.0, 20.0, 0.0], [0.0, 0.0, 0.0]], np.float32)
    note = HeldNote.of(frames, loops, 17, decays=np.array([False, False]), vibrato=vibrato)
    late = 31.25 * (60.0 + np.array([0.0, 0.05, 0.1, 0.15]))  # a minute on
    deep = 20.0 / np.sinc(5.0 / 31.25) ** 2
    np.testing.assert_allclose(note.cents_at(late)[0], [0.0, deep, 0.0, -deep], atol=1e-6)
    assert abs(note.cents_at(31.25 * np.array([0.05]))[0, 0]) < 3.0
    assert not note.cents_at(late)[1].any()


def clock_of(preset: Preset, instrument_name: str, amount: float) -> np.ndarray:
    """Frequencies of a held note's clock, in cents from its nominal pitch, at the beginnings of blocks."""
    instrument = Instrument(preset, voices=1, blend={instrument_name: 1.0})
    instrument.process([(0, Set("own_vibrato", amount)), (0, on(60))], 32)  # half a turn of the clock
    turns = []
    for _ in range(240):
        play(instrument, {}, 32, 32)
        turns.append(next(iter(instrument._voices)).turns)
    advance = np.diff(np.array(turns)) % 2**32
    return 1200.0 * np.log2(advance / 2**32 * RATE / 32 / (440.0 * 2.0 ** (-9 / 12)))


def test_a_note_swings_as_its_bank_says_and_as_the_player_wants(tiny_preset: Preset) -> None:
    # The tiny model's frames pass sixteen times as fast: the pipe's 5 Hz are 80; 0.5 Hz are 8.
    slow = tiny_preset.bank.vibrato.copy()
    slow[..., 0] /= 10.0
    preset = dataclasses.replace(tiny_preset, bank=dataclasses.replace(tiny_preset.bank, vibrato=slow))
    swing = clock_of(preset, "pipe", 1.0)[40:]
    assert (np.max(swing), np.min(swing)) == (pytest.approx(15.0, abs=1.0), pytest.approx(-15.0, abs=1.0))
    half = clock_of(preset, "pipe", 0.5)[40:]
    np.testing.assert_allclose(half[10:], swing[10:] / 2.0, atol=0.1)
    assert np.abs(clock_of(preset, "pipe", 0.0)[40:]).max() < 0.1
    assert np.abs(clock_of(preset, "bell", 1.0)).max() < 0.1


@pytest.mark.parametrize(
    ("vibrato", "complaint"),
    [
        (np.zeros((2, 5, 3), np.float32), r"vibrato float32\[2, 5, 3\] must be float32, \[2, 5, 2, 3\]"),
        (np.full((2, 5, 2, 3), np.nan, np.float32), "at most 20.0 Hz, 200.0 cents and 1 turn"),
        (np.full((2, 5, 2, 3), 300.0, np.float32), "at most 20.0 Hz, 200.0 cents and 1 turn"),
    ],
)
def test_a_vibrato_that_is_none_is_refused(tiny_preset: Preset, vibrato: np.ndarray, complaint: str) -> None:
    with pytest.raises(WavekeysError, match=complaint):
        dataclasses.replace(tiny_preset.bank, vibrato=vibrato)


def test_banks_are_built_with_it(tiny_model) -> None:
    audio = np.stack([tone(np.zeros(len(T))), tone(20.0 * np.sin(2 * np.pi * 5.0 * T))]).astype(np.float32)
    bank: Bank = build_bank(
        tiny_model("live"),
        0.1 * audio[:, None, None],
        instruments=("still", "swinging"),
        pitches=np.array([69]),
        velocities=np.array([100]),
    )
    assert bank.vibrato[0].max() == 0.0
    np.testing.assert_allclose(bank.vibrato[1, 0, 0], [5.0, 20.0, 0.0], atol=0.6)
