"""Single notes of an instrument, rendered as a player hears them."""

from __future__ import annotations

import mido
import numpy as np

from synth.analysis import median_cents
from synth.instrument import Instrument, render
from synth.pitch import midi_to_hertz

HELD_SECONDS, LONG_SECONDS, TAIL_SECONDS = 3.0, 10.0, 1.0
STEADY = (0.25, 2.75)  # seconds: where a held note's pitch is tracked


def render_note(instrument: Instrument, pitch: int, velocity: int, held_seconds: float) -> np.ndarray:
    """One note, held and released, and its tail: [T] float32, at full channel volume, as its source was recorded.

    The same note always sounds the same.
    """
    instrument.reset()
    timeline = [
        (0.0, mido.Message("control_change", control=7, value=127)),
        (0.0, mido.Message("note_on", note=pitch, velocity=velocity)),
        (held_seconds, mido.Message("note_off", note=pitch)),
    ]
    return render(instrument, timeline, duration_seconds=held_seconds + TAIL_SECONDS)[:, 0]


def note_cents(note: np.ndarray, pitch: int, rate_hz: int) -> float:
    """How far a held note [T] is from its pitch where it is steady, in cents; not a number without a pitch."""
    return median_cents(cut(note, rate_hz, STEADY), midi_to_hertz(pitch), rate_hz)


def cut(note: np.ndarray, rate_hz: int, seconds: tuple[float, float]) -> np.ndarray:
    return note[round(seconds[0] * rate_hz) : round(seconds[1] * rate_hz)]
