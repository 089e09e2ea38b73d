"""The measures measure: known signals have known values."""

from __future__ import annotations

import numpy as np
import pytest

from synth.analysis import clicks, level_db, log_mel_distance, median_cents

RATE = 16_000
T = np.arange(2 * RATE) / RATE


def harmonic(hertz: float) -> np.ndarray:
    return sum(0.1 / k * np.sin(2 * np.pi * k * hertz * T) for k in range(1, 6)).astype(np.float32)


@pytest.mark.parametrize("cents", [-30.0, 0.0, 12.0])
def test_the_pitch_of_a_tone_is_found_in_cents(cents: float) -> None:
    assert median_cents(harmonic(220.0 * 2 ** (cents / 1200)), 220.0, RATE) == pytest.approx(cents, abs=2.5)


def test_an_octave_error_is_folded_away() -> None:
    assert abs(median_cents(harmonic(440.0), 220.0, RATE)) < 2.5


def test_a_sound_is_at_no_distance_from_itself_and_ten_decibels_from_its_tenth() -> None:
    noise = np.random.default_rng(0).normal(scale=0.1, size=RATE).astype(np.float32)
    assert log_mel_distance(noise, noise, RATE) == 0.0
    assert log_mel_distance(noise, noise * 10**-0.5, RATE) == pytest.approx(10.0, abs=0.05)


def test_a_click_is_counted_and_a_tone_is_not() -> None:
    tone = harmonic(220.0)
    assert clicks(tone) == 0
    broken = tone.copy()
    broken[9000:] += 0.1
    assert clicks(broken) > 0


def test_the_level_of_a_sine_is_three_decibels_below_its_peak() -> None:
    assert level_db(np.sin(2 * np.pi * 100 * T)) == pytest.approx(-3.01, abs=0.01)
