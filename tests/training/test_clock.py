"""The pitch clock of a note, and the places of its partials."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from synth.pitch import midi_to_hertz
from synth.training.analysis import Sound, analyse_note
from synth.training.clock import clock_turns, find_clock
from synth.training.config import DataConfig
from synth.training.soundfont import render_notes

RATE = 16_000


def test_the_clock_follows_the_notes_vibrato() -> None:
    t = np.arange(RATE) / RATE
    turns = 261.0 * t + 2.0 * np.sin(2 * np.pi * 5.0 * t) / (2 * np.pi * 5.0)  # +-2 Hz, 5 times a second
    found = clock_turns(np.cos(2 * np.pi * turns).astype(np.float32), 261.63, RATE)
    assert np.abs(found - turns)[2000:14_000].max() < 0.02  # measured: 0.004 turns


def test_a_fifth_above_the_fundamental_is_not_taken_for_it() -> None:
    """As an organ's, which is louder; so the fundamental would be played there."""
    t = np.arange(2 * RATE) / RATE
    note = 1e-4 * np.random.default_rng(0).standard_normal(len(t))
    note += sum(a * np.cos(2 * np.pi * 260.0 * k * t) for k, a in {1.0: 0.05, 1.499: 0.06, 2.0: 0.1, 3.0: 0.1}.items())
    places = find_clock(note, 260.0, RATE, 3).places
    np.testing.assert_allclose(places.heard, [1, 2, 3], atol=0.002)
    np.testing.assert_allclose(places.stretch, 0.0, atol=0.002)


def test_a_quint_is_no_second_partial_gone_astray() -> None:
    """As a bell's, which is louder."""
    t = np.arange(2 * RATE) / RATE
    note = 1e-4 * np.random.default_rng(0).standard_normal(len(t))
    note += sum(a * np.cos(2 * np.pi * 260.0 * k * t) for k, a in {1.0: 0.1, 1.51: 0.1, 2.003: 0.05}.items())
    assert find_clock(note, 260.0, RATE, 3).places.heard[1] == pytest.approx(2.003, abs=0.002)


def test_a_thump_near_the_fundamental_is_not_the_pitch() -> None:
    """A shamisen's skin, 75 cents sharp; of the string's own fundamental there is hardly anything."""
    (audio,) = render_notes(Path(DataConfig().soundfont), 106, [43], 100)
    sound = Sound(audio, float(midi_to_hertz(43.0)), np.full(125, 0.1))
    analysis = analyse_note(sound, sample_rate_hz=RATE, hop=512, harmonics=64)
    assert abs(analysis.tuning) < 3.0
    np.testing.assert_allclose(analysis.stretch[1:10], 0.0, atol=0.05)
