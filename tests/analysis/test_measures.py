"""The measures measure: known signals have known values."""

from __future__ import annotations

import numpy as np
import pytest

from synth.analysis import (
    attack_ms,
    centroid_hz,
    clicks,
    crackle_db,
    folded,
    level_db,
    log_mel_distance,
    loudness_db,
    median_cents,
    multi_scale_distance,
    noise_db,
    spectral_cents,
)

RATE = 16_000
T = np.arange(2 * RATE) / RATE


def harmonic(hertz: float) -> np.ndarray:
    return sum(0.1 / k * np.sin(2 * np.pi * k * hertz * T) for k in range(1, 6)).astype(np.float32)


@pytest.mark.parametrize("cents", [-30.0, 0.0, 12.0])
def test_the_pitch_of_a_tone_is_found_in_cents(cents: float) -> None:
    assert median_cents(harmonic(220.0 * 2 ** (cents / 1200)), 220.0, RATE) == pytest.approx(cents, abs=2.5)


def test_an_octave_error_is_folded_away() -> None:
    assert abs(median_cents(harmonic(440.0), 220.0, RATE)) < 2.5


def test_what_is_left_when_a_note_has_died_away_has_no_pitch() -> None:
    """Most of this note is a faint tone a quarter tone higher."""
    note = harmonic(220.0) * np.exp(-30.0 * T) + 1e-5 * harmonic(226.0)
    assert median_cents(note.astype(np.float32), 220.0, RATE) == pytest.approx(0.0, abs=2.5)


@pytest.mark.parametrize("pitch_hz", [8.7, 12_000.0])
def test_a_pitch_beyond_what_pyin_can_hear_is_none(pitch_hz: float) -> None:
    assert np.isnan(median_cents(harmonic(220.0), pitch_hz, RATE))


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


def test_the_first_and_the_last_pulse_of_a_sound_are_no_clicks_and_a_pulse_alone_is() -> None:
    pulses = np.where(np.arange(RATE) % 160 == 0, 0.1, 0.0) + np.random.default_rng(0).normal(scale=1e-5, size=RATE)
    beginning = np.where(np.arange(RATE) < 8000, 1e-4, 1.0) * pulses  # its first pulse is the last but two of a window
    alone = np.where(np.arange(RATE) > 8100, 1e-4, 1.0) * beginning
    assert clicks(beginning) == clicks(beginning[::-1]) == 0
    assert clicks(alone) > 0


def test_the_level_of_a_sine_is_three_decibels_below_its_peak() -> None:
    assert level_db(np.sin(2 * np.pi * 100 * T)) == pytest.approx(-3.01, abs=0.01)


@pytest.mark.parametrize("cents", [-41.0, 0.0, 12.0])
def test_the_second_opinion_on_a_pitch_is_as_good(cents: float) -> None:
    assert spectral_cents(harmonic(220.0 * 2 ** (cents / 1200)), 220.0, RATE) == pytest.approx(cents, abs=1.0)


@pytest.mark.parametrize(("cents", "within"), [(1195.0, -5.0), (-590.0, -590.0), (605.0, -595.0)])
def test_intervals_are_folded_into_an_octave(cents: float, within: float) -> None:
    assert folded(cents) == pytest.approx(within)


def test_the_multi_scale_distance_is_none_from_itself_and_grows_with_noise() -> None:
    tone = harmonic(220.0)
    noise = np.random.default_rng(0).normal(size=len(tone)).astype(np.float32)
    near, far = (multi_scale_distance(tone, tone + level * noise) for level in (1e-3, 1e-2))
    assert multi_scale_distance(tone, tone) == 0.0
    assert 0.0 < near < far


@pytest.mark.parametrize("level_db_below", [20.0, 40.0])
def test_noise_between_the_partials_is_found_at_its_level(level_db_below: float) -> None:
    tone = harmonic(220.0)
    noise = np.random.default_rng(0).normal(size=len(tone)).astype(np.float32)
    noise *= 10.0 ** ((level_db(tone) - level_db_below - level_db(noise)) / 20.0)
    # A fifth of the spectrum lies under the partials' lobes: 1 dB of the noise is not counted.
    assert noise_db(tone + noise, 220.0, RATE) == pytest.approx(-level_db_below, abs=1.5)
    assert noise_db(tone, 220.0, RATE) < -60.0


def test_a_burst_between_the_partials_is_a_crackle_and_steady_or_decaying_noise_is_none() -> None:
    noise = np.random.default_rng(0).normal(scale=1e-3, size=len(T))
    burst = np.where((T > 1.0) & (T < 1.04), 10.0 ** (15.0 / 20.0), 1.0)
    steady, decaying, bursting = (
        crackle_db((harmonic(220.0) + noise * course).astype(np.float32), 220.0, RATE)
        for course in (1.0, np.exp(-2.0 * T), burst)
    )
    assert max(steady, decaying) < 5.0  # measured: 1.4, 2.2
    assert bursting > 11.0  # measured: 14.8


def test_loudness_follows_the_ear_and_not_the_level_alone() -> None:
    low, high = (np.sin(2 * np.pi * hertz * T).astype(np.float32) for hertz in (50.0, 1000.0))
    assert loudness_db(low, RATE) - loudness_db(high, RATE) == pytest.approx(-30.2, abs=1.0)  # IEC 61672's table


@pytest.mark.parametrize("rise_ms", [20.0, 200.0])
def test_an_attack_is_timed_to_where_it_is_near_its_peak(rise_ms: float) -> None:
    tone = harmonic(440.0) * np.minimum(T / (rise_ms / 1e3), 1.0).astype(np.float32)
    # Half the amplitude is reached half-way.
    assert attack_ms(tone, RATE) == pytest.approx(rise_ms / 2, abs=6.0)


def test_a_brighter_sound_has_a_higher_centroid() -> None:
    dull, bright = (np.sin(2 * np.pi * hertz * T).astype(np.float32) for hertz in (500.0, 2000.0))
    assert centroid_hz(dull, RATE) == pytest.approx(500.0, rel=0.1)
    assert centroid_hz(bright, RATE) == pytest.approx(2000.0, rel=0.1)
