"""Rainbowgrams: hue tells the instantaneous frequency, brightness the level, as PNG and as SVG."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from synth import WavekeysError
from synth.analysis.rainbowgram import BINS_PER_OCTAVE, RATE_HZ, draw, picture, rainbowgram


def tone(hertz: float, seconds: float = 1.0) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE_HZ)) / RATE_HZ)).astype(np.float32)


def test_a_tone_is_a_bright_line_at_its_pitch_of_one_hue() -> None:
    advance, level = rainbowgram(tone(440.0))
    assert advance.shape == level.shape == (240, 63)
    middle = slice(16, 48)
    a4 = round(BINS_PER_OCTAVE * np.log2(440.0 / 65.406))
    assert (level[:, middle].argmax(axis=0) == a4).all()
    # 440 Hz advances by 7.04 turns in a hop of 256 samples: 0.08 half turns more than whole ones.
    np.testing.assert_allclose(advance[a4, middle], 0.08, atol=0.01)  # measured: within 0.001


def test_seventy_decibels_lie_between_black_and_full_colour() -> None:
    colours = picture(tone(440.0))
    assert colours.shape == (240, 63, 3)
    assert colours.min() == 0.0
    assert colours[:, 32].max() > 0.7


def test_silence_is_black() -> None:
    assert picture(np.zeros(16_000, np.float32)).max() == 0.0


def test_pictures_are_png_and_svg_and_nothing_else(tmp_path: Path) -> None:
    notes = [("a", tone(440.0)), ("b", tone(220.0, 0.75)), ("c", tone(110.0))]
    draw(notes, tmp_path / "a.png", columns=2, row_names=["above", "below"])
    draw(notes, tmp_path / "a.svg", columns=2)
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (tmp_path / "a.svg").read_text()
    with pytest.raises(WavekeysError, match="cannot write the picture"):
        draw(notes, tmp_path / "a.bmpx")
