"""What tests play: messages, and performances by frame."""

from __future__ import annotations

import mido
import numpy as np

from synth.instrument import Instrument


def on(note: int, velocity: int = 100, channel: int = 0) -> mido.Message:
    return mido.Message("note_on", note=note, velocity=velocity, channel=channel)


def off(note: int, channel: int = 0) -> mido.Message:
    return mido.Message("note_off", note=note, channel=channel)


def control(number: int, value: int, channel: int = 0) -> mido.Message:
    return mido.Message("control_change", control=number, value=value, channel=channel)


def play(instrument: Instrument, events: dict[int, list[mido.Message]], frames: int, block: int = 64) -> np.ndarray:
    """Events by frame: the audio [frames, 2], in blocks."""
    pieces = []
    for start in range(0, frames, block):
        size = min(block, frames - start)
        due = [
            (at - start, m) for at, messages in sorted(events.items()) if start <= at < start + size for m in messages
        ]
        pieces.append(instrument.process(due, size))
    return np.concatenate(pieces)
