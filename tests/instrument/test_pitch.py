"""Bends, vibrato and tuning of the factory preset, heard by a pitch tracker."""

from __future__ import annotations

import mido
import numpy as np
import pytest

from synth.analysis import clicks, median_cents
from synth.analysis.compiled import librosa
from synth.bank import load_preset
from synth.instrument import Instrument, render
from synth.instrument.channels import registered_controls
from synth.testing.playing import control, off, on

RATE_HZ = 16_000
BENT = mido.Message("pitchwheel", pitch=8191)
TUNED = tuple(control(number, value) for number, value in registered_controls(2, 66 << 7))  # two semitones up
ALLOWED_CENTS = 10.0
MOVED, SETTLED = 800, 2400  # samples


def held(instrument: Instrument, *before: mido.Message, note: int = 64, seconds: float = 1.4) -> np.ndarray:
    """A note whose controllers move `MOVED` after the first sample of what is given, [T]; it began before."""
    timeline = [(0.0, on(note)), *((0.3, message) for message in before), (seconds, off(note))]
    return render(instrument, timeline, duration_seconds=seconds)[round(0.3 * RATE_HZ) - MOVED :, 0]


@pytest.mark.parametrize(
    ("parameters", "messages", "hertz"),
    [
        ({}, (BENT,), 440.0 * 2 ** ((66 - 69) / 12)),
        ({}, TUNED, 440.0 * 2 ** ((66 - 69) / 12)),
        ({"bend_range_semitones": 1}, (BENT,), 440.0 * 2 ** ((65 - 69) / 12)),
        ({"tuning_a4_hz": 415.0}, (), 415.0 * 2 ** ((64 - 69) / 12)),
        ({"fine_tune_cents": -50}, (), 440.0 * 2 ** ((63.5 - 69) / 12)),
    ],
)
def test_pitch_goes_where_it_was_sent(
    parameters: dict[str, float], messages: tuple[mido.Message, ...], hertz: float
) -> None:
    instrument = Instrument(load_preset(), voices=1, blend={"cello": 1.0})
    for name, value in parameters.items():
        instrument.set(name, value)
    sound = held(instrument, *messages)
    # Measured over 48 bends of all instruments: 7.7 at most, 0.7 in the median.
    assert abs(median_cents(sound[SETTLED:], hertz, RATE_HZ)) < ALLOWED_CENTS
    assert clicks(sound) == 0


def test_vibrato_is_as_deep_and_as_fast_as_it_says() -> None:
    instrument = Instrument(load_preset(), voices=1, blend={"flute": 1.0})
    instrument.set("wheel_vibrato_cents", 50)
    instrument.set("vibrato_rate_hz", 5.0)
    sound = held(instrument, control(1, 127), note=69, seconds=1.9)[SETTLED:]
    hop = 64
    track, voiced, _ = librosa.pyin(
        sound, fmin=350, fmax=550, sr=RATE_HZ, frame_length=512, hop_length=hop, resolution=0.02
    )
    cents = 1200 * np.log2(track / 440.0)[voiced]
    times = (np.arange(len(track)) * hop / RATE_HZ)[voiced]
    waves = np.stack([np.ones_like(times), *(f(2 * np.pi * 5.0 * times) for f in (np.sin, np.cos))], axis=1)
    mean, *both = np.linalg.lstsq(waves, cents, rcond=None)[0]
    depth = np.hypot(*both)
    assert abs(mean) < ALLOWED_CENTS
    # Measured: 2.0, 48.1 and 1.9 cents.
    assert abs(depth - 50) < ALLOWED_CENTS
    assert np.std(cents - waves @ [mean, *both]) < ALLOWED_CENTS
