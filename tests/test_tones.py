"""Tones that are no multiples of the pitch: their levels over time, and the partials whose places they have."""

from __future__ import annotations

import numpy as np
import pytest

from synth.tones import COLUMNS, KNOT_FRAMES, MOST_TONES, SEATED, Seats, tone_amplitudes, tone_rows

RATE = 16_000
FRAMES = 125


def row(place: float, decibels: float) -> np.ndarray:
    return np.array([place, *[decibels] * (COLUMNS - 1)], np.float32)


def test_a_course_of_straight_lines_comes_back() -> None:
    knots = np.array([-40.0, -20.0, -12.0, -10.0, -13.0, -20.0, -31.0, -50.0])
    course = 10.0 ** (np.interp(np.arange(FRAMES), KNOT_FRAMES, knots) / 20.0)
    rows = tone_rows(np.array([1.2, 2.5]), np.stack([course, 0.5 * course]), np.ones(FRAMES, bool))
    np.testing.assert_allclose(rows[0], [1.2, *knots], atol=1e-4)
    told = tone_amplitudes(rows, np.arange(2 * FRAMES))
    np.testing.assert_allclose(told[:FRAMES], np.stack([course, 0.5 * course], axis=1), rtol=1e-4)
    np.testing.assert_array_equal(told[FRAMES:], told[-1:].repeat(FRAMES, axis=0))  # nothing changes any more


def test_where_the_note_does_not_sound_a_tone_stays_as_it_was() -> None:
    course = np.full((1, FRAMES), 0.1)
    course[:, 32:] = 1.0
    (found,) = tone_rows(np.ones(1), course, np.arange(FRAMES) < 32)
    np.testing.assert_allclose(found[1:], -20.0, atol=1e-4)
    assert not tone_rows(np.ones(1), course, np.zeros(FRAMES, bool)).any()


def test_no_tone_has_no_amplitude_and_levels_stay_within_what_a_bank_may_say() -> None:
    assert not tone_amplitudes(np.zeros((2, 3, COLUMNS), np.float32), np.arange(4)).any()
    (found,) = tone_rows(np.ones(1), np.linspace(0.0, 50.0, FRAMES)[None], np.ones(FRAMES, bool))
    assert found[1:].min() >= -80.0
    assert found[1:].max() == 6.0


def test_tones_have_the_highest_partials_places() -> None:
    """At C5 they are silent from the fifteenth on, and bent down by two octaves from the 58th."""
    tones = np.stack([[row(1.5, -9.0), row(4.5, -35.0), row(0.0, 0.0)], [row(2.02, -32.0), row(0.0, 0.0), row(0.5, 3)]])
    seats = Seats.of(tones, 523.25, RATE, 64)
    assert list(zip(seats.owner.tolist(), seats.row.tolist(), strict=True)) == [(1, 2), (0, 0), (1, 0), (0, 1)]
    assert seats.seat.tolist() == [60, 61, 62, 63]
    np.testing.assert_allclose(seats.seat + 1 + seats.offset, [0.5, 1.5, 2.02, 4.5], atol=1e-5)
    stretch = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 64)).astype(np.float32)
    there = seats.stretched(stretch)
    np.testing.assert_array_equal(there[:, :60], stretch[:, :60])
    np.testing.assert_array_equal(there[0, 60:], there[1, 60:])
    amplitudes = seats.amplitudes(tone_amplitudes(tones, np.arange(3)))
    assert amplitudes.shape == (2, 3, 64)
    np.testing.assert_allclose(amplitudes[0, :, 61], 10 ** (-9 / 20), rtol=1e-5)
    np.testing.assert_allclose(amplitudes[1, :, 61], SEATED)
    assert not amplitudes[:, :, :60].any()


def test_of_a_low_note_only_loud_tones_have_places_its_highest_partials() -> None:
    tones = np.stack([[row(1.2, -12.0), row(2.3, -40.0), row(1.7, -20.0)]])
    seats = Seats.of(tones, 65.4, RATE, 64)
    assert seats.row.tolist() == [0, 2]
    assert seats.seat.tolist() == [62, 63]


@pytest.mark.parametrize("hertz", [65.4, 125.0, 523.25, 4186.0])
def test_there_are_no_more_tones_than_places(hertz: float) -> None:
    tones = np.stack([[row(1.0 + 0.1 * k, -10.0 - k) for k in range(MOST_TONES)]] * 3)
    for partials in (0, 4, 16, 64):
        seats = Seats.of(tones, hertz, RATE, partials)
        assert len(seats.seat) == min(partials, MOST_TONES)
        assert len(set(seats.seat.tolist())) == len(seats.seat)
        assert all(0 <= index < partials for index in seats.seat)
    assert not len(Seats.of(tones[:, :0], hertz, RATE, 64).seat)
