"""Brightness: a tilt of the partials by octaves, which leaves their power as it was."""

from __future__ import annotations

import numpy as np
import pytest

from synth.stream.player import _tilted

PARTIALS = np.random.default_rng(3).exponential(0.05, (5, 1, 32)).astype(np.float32)


@pytest.mark.parametrize("decibels", [-12.0, -3.0, 0.5, 12.0])
def test_each_octave_is_so_much_louder_and_all_together_are_as_loud(decibels: float) -> None:
    tilted = np.asarray(_tilted(PARTIALS, np.full((5, 1, 1), decibels, np.float32), np.zeros((5, 1, 32), np.float32)))
    np.testing.assert_allclose(np.sum(tilted**2, axis=-1), np.sum(PARTIALS**2, axis=-1), rtol=1e-5)
    gain = tilted / PARTIALS
    for octave in (1, 2, 4, 8, 16, 32):
        steps = 20 * np.log10(gain[..., octave - 1] / gain[..., 0])
        np.testing.assert_allclose(steps, decibels * np.log2(octave), atol=1e-3)


def test_a_tone_in_a_partials_place_is_tilted_by_its_own() -> None:
    """Of seven, and of a tone an octave above the third in the place of the last."""
    even, stretch = np.ones((1, 1, 8), np.float32), np.zeros((1, 1, 8), np.float32)
    stretch[..., 7] = 6.0 - 8.0
    tilted = np.asarray(_tilted(even, np.full((1, 1, 1), 6.0, np.float32), stretch))[0, 0]
    assert tilted[7] == pytest.approx(tilted[5])
    assert 20 * np.log10(tilted[7] / tilted[2]) == pytest.approx(6.0, abs=1e-3)


def test_no_tilt_changes_no_bit_and_silence_stays_silent() -> None:
    level = np.zeros((5, 1, 1), np.float32)
    np.testing.assert_array_equal(_tilted(PARTIALS, level, 0 * PARTIALS), PARTIALS)
    np.testing.assert_array_equal(_tilted(0 * PARTIALS, level + 12, 0 * PARTIALS), 0 * PARTIALS)
