"""Tones beside the partials of a note: found, and taken off."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from synth.pitch import midi_to_hertz
from synth.tones import tone_amplitudes
from synth.training.analysis import Sound, analyse_note
from synth.training.clock import find_clock
from synth.training.config import DataConfig
from synth.training.soundfont import render_notes
from synth.training.tones import find_tones

RATE, HOP = 16_000, 512
INNER = slice(4000, 60_000)


def note(tones: dict[float, float], *, hertz: float = 440.0, noise: float = 1e-4, vibrato: float = 0.0) -> np.ndarray:
    """Four seconds of partials, and tones of some amplitudes at some multiples of the pitch."""
    t = np.arange(4 * RATE) / RATE
    turns = hertz * t + vibrato * np.sin(2 * np.pi * 5.0 * t)
    sound = noise * np.random.default_rng(0).standard_normal(len(t))
    for place, amplitude in {**{k: 0.1 / k for k in (1.0, 2.0, 3.0, 4.0, 5.0)}, **tones}.items():
        sound += amplitude * np.cos(2 * np.pi * place * turns)
    return sound.astype(np.float32)


def test_tones_are_found_where_they_are_and_as_loud_as_they_are() -> None:
    tones = {1.5: 0.03, 0.52: 0.02, 3.4: 0.01}
    audio = note(tones, vibrato=0.2)  # 8 cents, 5 times a second
    found = find_tones(audio, find_clock(audio, 440.0, RATE, 16))
    np.testing.assert_allclose(found.places, [*tones], atol=2e-4)
    for amplitude, course in zip(tones.values(), found.amplitudes, strict=True):
        np.testing.assert_allclose(course[INNER], amplitude, rtol=0.03)
    left, plain = audio - found.audio.sum(axis=0), note({}, vibrato=0.2)
    assert np.mean((left - plain)[INNER] ** 2) < 1e-3 * np.mean((audio - plain)[INNER] ** 2)


def test_a_note_of_partials_and_noise_has_none() -> None:
    for audio in (note({}), note({}, noise=0.02), note({2.001: 0.05, 3.004: 0.03}), np.zeros(4 * RATE, np.float32)):
        assert not len(find_tones(audio, find_clock(audio, 440.0, RATE, 16)).places)


def test_what_is_faint_is_left_to_the_noise() -> None:
    audio = note({1.5: 1e-4, 2.5: 1e-3})  # -60 and -40 dB of the fundamental
    assert find_tones(audio, find_clock(audio, 440.0, RATE, 16)).places == pytest.approx([2.5], abs=1e-3)


def test_a_bells_tierce_is_whole_beside_its_prime() -> None:
    """In the band around the prime most of it would be lost, and the clock would waver with their difference."""
    t = np.arange(4 * RATE) / RATE
    bell = {0.5: 0.05, 1.0: 0.1, 1.2: 0.07, 1.5: 0.05, 2.0: 0.08, 2.52: 0.03, 3.0: 0.04}
    audio = sum(a * np.exp(-k * t) * np.cos(2 * np.pi * k * 440.0 * t + k) for k, a in bell.items())
    levels = 0.1 * np.exp(-np.arange(125) * HOP / RATE)
    sound = Sound((audio + 1e-5 * np.random.default_rng(0).standard_normal(len(t))).astype(np.float32), 440.0, levels)
    tones = analyse_note(sound, sample_rate_hz=RATE, hop=HOP, harmonics=16).tones
    tones = tones[tones[:, 0] > 0]
    np.testing.assert_allclose(np.sort(tones[:, 0]), [0.5, 1.2, 1.5, 2.52], atol=1e-3)
    for row in tones:
        told = tone_amplitudes(row[None], np.arange(125))[:, 0] * levels
        expected = bell[round(float(row[0]), 2)] * np.exp(-row[0] * np.arange(125) * HOP / RATE)
        np.testing.assert_allclose(20 * np.log10(told / expected)[4:40], 0.0, atol=1.0)


def test_a_low_notes_tones_without_a_seat_are_left_in_it() -> None:
    """All 64 partials of a low note sound; only what is louder than they matter takes one's place."""
    attack = np.minimum(np.arange(4 * RATE) / (0.1 * RATE), 1.0).astype(np.float32)
    audio = attack * note({1.5: 0.03, 2.5: 0.001}, hertz=70.0)  # -12 and -41 dB of the level
    analysis = analyse_note(Sound(audio, 70.0, np.full(125, 0.086)), sample_rate_hz=RATE, hop=HOP, harmonics=64)
    assert analysis.tones[:2, 0] == pytest.approx([1.5, 0.0], abs=1e-3)
    carrier = np.exp(2j * np.pi * 70.0 * np.outer([1.5, 2.5], np.arange(4 * RATE)[INNER]) / RATE)
    np.testing.assert_allclose(2 * np.abs(np.mean(analysis.plain[INNER] * carrier, axis=1)), [0.0, 0.001], atol=5e-4)


@pytest.mark.parametrize("hertz", [8000.0, 12_000.0])
def test_a_note_too_high_for_any_partial_is_analysed_too(hertz: float) -> None:
    audio = note({0.05: 0.1}, hertz=hertz)
    assert find_tones(audio, find_clock(audio, hertz, RATE, 16)).places.min() > 0.0


def test_no_tone_is_higher_than_the_partials_that_are_played() -> None:
    """A low note's 65th partial is none, nor what is too high to be played."""
    audio = note({17.0: 0.01, 20.4: 0.01, 3.4: 0.01}, hertz=110.0)
    assert find_tones(audio, find_clock(audio, 110.0, RATE, 16)).places == pytest.approx([3.4], abs=2e-3)
    audio = note({7700 / 440: 0.02, 3.4: 0.01})
    assert find_tones(audio, find_clock(audio, 440.0, RATE, 64)).places == pytest.approx([3.4], abs=2e-3)


def test_a_bell_without_a_prime_gets_no_clock_from_what_its_tones_leave() -> None:
    """As a tubular bell: with its tones off, the rounds would go to and fro between a clock that wavers and none."""
    (audio,) = render_notes(Path(DataConfig().soundfont), 14, [67], 100)
    sound = Sound(audio, float(midi_to_hertz(67.0)), np.full(125, 0.1))
    analysis = analyse_note(sound, sample_rate_hz=RATE, hop=HOP, harmonics=64)
    steps = np.diff(analysis.phase).astype(np.int64)
    assert np.ptp(steps) <= 1
    assert np.mean((0.1 * analysis.rest) ** 2) < 0.02 * np.mean(audio**2)


def test_a_notes_analysis_has_tones_and_the_note_without_them() -> None:
    t = np.arange(4 * RATE) / RATE
    plain = note({}) * np.exp(-t)
    tone = 0.1 * np.exp(-3.0 * t) * np.cos(2 * np.pi * 1.5 * 440.0 * t)
    levels = 0.08 * np.exp(-np.arange(125) * HOP / RATE)
    audio = (plain + tone).astype(np.float32)
    analysis = analyse_note(Sound(audio, 440.0, levels), sample_rate_hz=RATE, hop=HOP, harmonics=16)
    assert np.mean((analysis.plain - plain)[INNER] ** 2) < 1e-3 * np.mean(tone[INNER] ** 2)
    assert np.mean((analysis.rest * levels.repeat(HOP))[INNER] ** 2) < 1e-2 * np.mean(tone[INNER] ** 2)
    assert analysis.tones[0, 0] == pytest.approx(1.5, abs=1e-3)
    assert not analysis.tones[1:, 0].any()
    told = tone_amplitudes(analysis.tones, np.arange(125))[:, 0] * levels
    expected = 0.1 * np.exp(-3.0 * np.arange(125) * HOP / RATE)
    np.testing.assert_allclose(20 * np.log10(told / expected)[2:60], 0.0, atol=1.0)


def test_a_church_organs_mixture_has_a_fifth() -> None:
    """From C5 on; it is 9 dB below the note."""
    (audio,) = render_notes(Path(DataConfig().soundfont), 19, [72], 100)
    found = find_tones(audio, find_clock(audio, midi_to_hertz(72.0), RATE, 64))
    assert found.places[0] == pytest.approx(1.5, abs=0.002)
    assert np.mean(found.audio[0] ** 2) == pytest.approx(10 ** (-10.3 / 10) * np.mean(audio**2), rel=0.2)
