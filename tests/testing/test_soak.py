"""The soak test's own senses: it finds nothing where all is well, and each fault where there is one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from synth.bank import Preset
from synth.instrument import Instrument
from synth.testing.soak import BLOCK_FRAMES, clicks_outside, soak

RATE_HZ = 16_000


@pytest.fixture
def instrument(tiny_preset: Preset) -> Instrument:
    return Instrument(tiny_preset, voices=4, programs={0: tiny_preset, 1: tiny_preset})


def test_an_impatient_player_breaks_nothing_and_is_the_same_each_time(instrument: Instrument) -> None:
    first = soak(instrument, 0.1, programs=2)
    assert (first.stuck_notes, first.not_finite) == (0, 0)
    assert first.notes > 15
    assert first.events > 2 * first.notes
    instrument.reset()
    assert soak(instrument, 0.1, programs=2).events == first.events


def test_a_note_that_stays_is_counted(instrument: Instrument, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Instrument, "_key_up", lambda *_: None)
    assert soak(instrument, 0.05).stuck_notes > 0


def test_what_is_not_a_number_is_counted(instrument: Instrument, monkeypatch: pytest.MonkeyPatch) -> None:
    process = Instrument.process

    def spoilt(self: Instrument, events: Sequence[Any], frames: int) -> np.ndarray:
        audio = process(self, events, frames)
        audio[0, 0] = np.nan
        return audio

    monkeypatch.setattr(Instrument, "process", spoilt)
    monkeypatch.setattr("synth.testing.soak.clicks_outside", lambda *_, **__: 0)  # no measure of what is no sound
    report = soak(instrument, 0.05)
    assert report.not_finite >= 0.03 * 60 * RATE_HZ / BLOCK_FRAMES


def test_a_click_counts_unless_a_key_has_just_gone_down() -> None:
    audio = 0.1 * np.sin(2 * np.pi * 220 * np.arange(RATE_HZ) / RATE_HZ)
    assert clicks_outside(audio, np.array([], np.int64), rate_hz=RATE_HZ) == 0
    audio[8000:] += 0.05  # a step
    assert clicks_outside(audio, np.array([], np.int64), rate_hz=RATE_HZ) > 0
    assert clicks_outside(audio, np.array([2000, 7000]), rate_hz=RATE_HZ) == 0
    assert clicks_outside(audio, np.array([2000, 6000, 9000]), rate_hz=RATE_HZ) > 0
