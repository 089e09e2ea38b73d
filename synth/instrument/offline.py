"""An instrument faster than real time: a timeline of messages in, the whole audio out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import mido
import numpy as np
import samplerate

from synth.instrument.rack import Plays

BLOCK_FRAMES = 256
LONGEST_TAIL_SECONDS = 60.0


def render(
    instrument: Plays,
    timeline: Sequence[tuple[float, Any]],
    *,
    duration_seconds: float | None = None,
    end_seconds: float = 0.0,
    block_frames: int = BLOCK_FRAMES,
    progress: Callable[[float], None] = lambda _: None,
) -> np.ndarray:
    """Play messages at times in seconds: [frames, 2] float32 at the instrument's rate.

    Without a duration, the audio ends when the last voice has fallen silent and effects have ended, but not before
    `end_seconds`. Notes that nobody ends are released there, or after the last message; what sounds a minute later is
    cut. `progress` is called with the seconds rendered so far.
    """
    rate = instrument.sample_rate_hz
    events = sorted(((round(seconds * rate), message) for seconds, message in timeline), key=lambda event: event[0])
    end = max(events[-1][0] + 1 if events else 0, round(end_seconds * rate))
    releases = [
        mido.Message("control_change", channel=channel, control=control)
        for channel in range(16)
        for control in (64, 66, 123)  # pedals up, keys up
    ]
    if duration_seconds is None:
        events += [(end, message) for message in releases]
        limit = end + round(LONGEST_TAIL_SECONDS * rate)
    else:
        limit = round(duration_seconds * rate)
    blocks = []
    index = 0
    for start in range(0, limit, block_frames):
        due = []
        while index < len(events) and events[index][0] < start + block_frames:
            due.append((events[index][0] - start, events[index][1]))
            index += 1
        blocks.append(instrument.process(due, block_frames))
        progress(min(start + block_frames, limit) / rate)
        if duration_seconds is None and index == len(events) and not instrument.ringing:
            break
    if not blocks:
        return np.zeros((0, 2), np.float32)
    return np.concatenate(blocks)[:limit]


def resampled(audio: np.ndarray, rate_hz: int, wanted_hz: int) -> np.ndarray:
    """Audio [frames, C] at another rate."""
    if wanted_hz == rate_hz or not len(audio):
        return audio
    return np.asarray(samplerate.resample(audio, wanted_hz / rate_hz, "sinc_best"), np.float32)
