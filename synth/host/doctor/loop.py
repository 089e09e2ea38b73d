"""Latency over a loop: notes are played as `play` plays them, and heard again at an input.

Where the two are connected (a cable, or under JACK a connection that is made here) the time from a note's arrival to
its first audible sample is measured and not added up. An input's sample is dated by when its period began, so that what
the device needs beyond its period, on its way out and in, is part of the result.

Threads: `listen` belongs to the main thread. The callback plays and keeps what it hears in memory that exists already.
"""

from __future__ import annotations

import dataclasses
import statistics
import time
from typing import Any

import mido
import numpy as np

from synth.errors import WavekeysError
from synth.host.audio import JACK, DuplexStream, OutputDevice
from synth.host.doctor.jack import connect
from synth.host.engine import Engine, Playable, ring_frames
from synth.host.events import EventQueue
from synth.host.meters import Latency
from synth.host.output import Output
from synth.host.priority import PORTS, in_real_time
from synth.host.ring import Ring

NOTES = 20
AUDIBLE = 1e-3  # -60 dB of full scale
_KEY, _VELOCITY = 72, 100
_HELD_S, _REST_S = 0.08, 0.35
_PATIENCE_S = 5.0
_CALLS_A_SECOND = 4000  # more than any device makes


@dataclasses.dataclass(frozen=True, kw_only=True)
class Heard:
    """What came back."""

    latencies_ms: tuple[float, ...]  # of the notes that were heard
    notes: int  # that were played
    expected: Latency  # what the parts add up to
    underruns: int

    @property
    def median_ms(self) -> float:
        return statistics.median(self.latencies_ms) if self.latencies_ms else float("nan")


class _Ears:
    """The duplex callback: plays `output`, and keeps what the first input channel hears."""

    def __init__(self, output: Output, *, rate_hz: int, seconds: float) -> None:
        self.sound = np.zeros(round(seconds * rate_hz), np.float32)
        self._times = np.zeros((round(seconds * _CALLS_A_SECOND), 2))  # host time of a call, its first frame
        self._output = output
        self._rate_hz = rate_hz
        self._calls = 0
        self._frames = 0

    def __call__(self, indata: np.ndarray, outdata: np.ndarray, frames: int, time_info: Any, status: Any) -> None:
        now_s = time.perf_counter()
        room = min(frames, len(self.sound) - self._frames)
        if room > 0 and self._calls < len(self._times):
            np.copyto(self.sound[self._frames : self._frames + room], indata[:room, 0])
            self._times[self._calls] = now_s - frames / self._rate_hz, self._frames
            self._frames += room
            self._calls += 1
        self._output(outdata, frames, time_info, status)

    def time_of(self, frame: int) -> float:
        """Host time at which that frame was at the input."""
        times = self._times[: self._calls]
        call = int(np.searchsorted(times[:, 1], frame, side="right")) - 1
        return float(times[call, 0] + (frame - times[call, 1]) / self._rate_hz)

    def frame_at(self, time_s: float) -> int:
        """The first frame of the call that was under way at that time."""
        call = int(np.searchsorted(self._times[: self._calls, 0], time_s, side="right")) - 1
        return int(self._times[max(call, 0), 1])


def listen(
    instrument: Playable, device: OutputDevice, *, input_index: int, block_frames: int, spare_blocks: float
) -> Heard:
    """Play some short notes on `device` and hear them at an input. Raises WavekeysError where it cannot be opened."""
    events = EventQueue()
    capacity_frames = ring_frames(
        block_frames=block_frames,
        spare_blocks=spare_blocks,
        source_hz=instrument.sample_rate_hz,
        rate_hz=device.rate_hz,
    )
    ring = Ring(capacity_frames=capacity_frames, channels=2)
    output = Output(ring, rate_hz=device.rate_hz)
    seconds = _PATIENCE_S + 2.0 + NOTES * (_HELD_S + 2 * _REST_S)
    ears = _Ears(output, rate_hz=device.rate_hz, seconds=seconds)
    engine = Engine(
        instrument=instrument,
        block_frames=block_frames,
        spare_blocks=spare_blocks,
        rate_hz=device.rate_hz,
        events=events,
        ring=ring,
        output=output,
    )
    with in_real_time(PORTS):
        stream = DuplexStream(device, input_index, ears)
    try:
        engine.start()
        _wait_for_sound(engine, device)
        if device.host_api == JACK:
            for channel in range(2):
                connect(f"wavekeys:out_{channel}", f"wavekeys:in_{channel}")
        played_s = [_play_note(events, number) for number in range(NOTES)]
        if engine.failure is not None:
            raise WavekeysError(f"the engine failed: {engine.failure}")
        expected = engine.latency(device_s=stream.latency_s)
    finally:
        engine.stop()
        stream.close()
    return Heard(
        latencies_ms=tuple(late for late in (_latency_ms(ears, at_s) for at_s in played_s) if late is not None),
        notes=NOTES,
        expected=expected,
        underruns=output.underruns,
    )


def _wait_for_sound(engine: Engine, device: OutputDevice) -> None:
    deadline_s = time.monotonic() + _PATIENCE_S
    while not engine.target_frames:
        if time.monotonic() > deadline_s:
            raise WavekeysError(f"audio device {device.name!r} was opened for a loop but asks for no sound")
        time.sleep(0.01)
    time.sleep(_REST_S)


def _play_note(events: EventQueue, number: int) -> float:
    """Press and release a key; returns when it was pressed. The rests differ, so notes fall anywhere in a period."""
    pressed_s = time.perf_counter()
    events.deliver(pressed_s, mido.Message("note_on", note=_KEY, velocity=_VELOCITY).bytes())
    time.sleep(_HELD_S)
    events.deliver(time.perf_counter(), mido.Message("note_off", note=_KEY).bytes())
    time.sleep(_REST_S + number * 1.0e-3 * np.e)
    return pressed_s


def _latency_ms(ears: _Ears, pressed_s: float) -> float | None:
    """From a key to its first audible sample; None where nothing was heard, or the note before was heard still."""
    first = ears.frame_at(pressed_s)
    last = ears.frame_at(pressed_s + _HELD_S + _REST_S)
    audible = np.flatnonzero(np.abs(ears.sound[first:last]) > AUDIBLE)
    heard_s = ears.time_of(first + int(audible[0])) if len(audible) else 0.0
    return (heard_s - pressed_s) * 1e3 if heard_s > pressed_s else None
