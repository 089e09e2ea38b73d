"""The phase of a recorded note's own fundamental: what the pitch clock shows in training."""

from __future__ import annotations

import numpy as np
from scipy.signal import fftconvolve


def fundamental_clock(audio: np.ndarray, pitch_hz: float, sample_rate_hz: int) -> tuple[np.ndarray, np.ndarray]:
    """Phase and period of the fundamental near `pitch_hz`: [T] -> [T] uint32 in turns of 2**32, [T] float32 samples.

    The note is shifted down by its nominal pitch, low-passed over six periods, and the slow phase that remains
    unwrapped. Where the fundamental is more than 40 dB below its peak (before the onset, after the release) that
    phase is held, so that the clock runs on at the nominal pitch.
    """
    carrier = pitch_hz / sample_rate_hz * np.arange(len(audio), dtype=np.float64)
    width = int(6 * sample_rate_hz / pitch_hz) | 1
    window = np.hanning(width + 2)[1:-1]
    baseband = fftconvolve(audio * np.exp(-2j * np.pi * carrier), window / window.sum(), mode="same")
    magnitude = np.abs(baseband)
    voiced = np.flatnonzero(magnitude > 0.01 * magnitude.max())
    deviation = np.unwrap(np.angle(baseband[voiced])) / (2 * np.pi) if len(voiced) else np.zeros(0)
    held = np.interp(np.arange(len(audio)), voiced, deviation) if len(voiced) else np.zeros(len(audio))
    # A sine's phase is that of -i times its analytic signal: a quarter turn back.
    turns = carrier + held + 0.25
    phase = np.round((turns % 1.0) * 2.0**32).astype(np.uint64).astype(np.uint32)
    # A period never strays more than a semitone from the nominal one, whatever noise does to the phase.
    increment = np.clip(np.gradient(turns), pitch_hz / sample_rate_hz / 1.06, pitch_hz / sample_rate_hz * 1.06)
    return phase, (1.0 / increment).astype(np.float32)
