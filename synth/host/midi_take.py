"""The take's MIDI: a Standard MIDI File that is valid at every moment while it grows.

Threads: the engine thread calls `push`, which only appends to a deque and counts; it never locks, waits or touches the
disk. One other thread at a time (the recorder's writer thread while playing) calls everything else.

One tick is one sample of the instrument, so that a take renders with every event at the sample at which it was played.
`synth.instrument.takes` writes and reads the text events that say what played it.

A track must end with the event "end of track", which a process that is killed while it overwrites that end would leave
out. So what has been announced changes only in ways that are complete at once: new events and an end of their own are
appended; then the track's length is written, which makes them count; then one byte turns the end before them into an
empty text event. Between the last two steps the track has two ends, and is whole whichever of them a reader stops at.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import operator
import os
import struct
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import mido

from synth.errors import WavekeysError

MAX_DIVISION = 2**15 - 1  # ticks a quarter: 15 bits
MAX_DELTA = 2**28 - 1  # ticks from one event to the next: four digits of 7 bits
MAX_WAITING = 1 << 16  # events: a minute of a MIDI cable that is never silent
LENGTH_AT = 18  # where the track's length is
TRACK_AT = 22  # where the track's events begin
TEXT, TRACK_NAME, END_OF_TRACK, TEMPO = 0x01, 0x03, 0x2F, 0x51


@dataclasses.dataclass(frozen=True, kw_only=True)
class Performer:
    """What a MIDI take has to know of what plays."""

    rate_hz: int  # of the frames in which events are timed
    name: str = ""  # the track's
    header: Callable[[], str] = str  # what brings the same instrument back, in ASCII; asked where the take begins
    as_text: Callable[[object], str | None] = lambda _event: None  # an event that is not MIDI, in ASCII; None: left out

    def __post_init__(self) -> None:
        ticks_of(self.rate_hz)  # refused before any file is touched


class MidiTake:
    """One growing file. A failed `flush` raises OSError, leaves what was written before it valid, and can be repeated.

    Messages that belong to no channel (system exclusive, clock) are left out: they play nothing.
    """

    def __init__(self, path: Path, performer: Performer) -> None:
        self.path = path
        self.overflowed = False  # nothing was flushed for so long that events are missing
        self._as_text = performer.as_text
        self._header: Callable[[], str] | None = performer.header  # None once it is there
        self._waiting: collections.deque[tuple[int, mido.Message | str]] = collections.deque()
        self._pushed_frames = 0  # where the next block begins; stored by the engine thread only
        self._kept_frames = sys.maxsize  # what comes later is left out
        self._unwritten = bytearray()  # events that a flush has encoded
        self._encoded_frames = 0  # time of the last of them
        division, tempo_us = ticks_of(performer.rate_hz)
        track = _delta(0) + _meta(TEMPO, tempo_us.to_bytes(3, "big"))
        if performer.name:
            track += _delta(0) + _meta(TRACK_NAME, performer.name.encode("latin-1", "replace"))
        track += _delta(0) + _meta(END_OF_TRACK)
        self._track_bytes = len(track)
        self._file = path.open("wb", buffering=0)
        try:
            self._write_all(struct.pack(">4sIHHH4sI", b"MThd", 6, 0, 1, division, b"MTrk", len(track)) + track)
        except OSError:
            self._file.close()
            raise

    def push(self, events: Sequence[tuple[int, object]], frames: int) -> None:
        """The next block of `frames`, and its events with their offsets in it, in any order.

        From the engine thread, before the block is rendered: that may change what a command refers to.
        """
        if self._header is not None:
            header, self._header = self._header(), None
            self._waiting.extend([(0, header)] if header else [])
        if len(self._waiting) + len(events) > MAX_WAITING:
            self.overflowed = True  # events that are missing would be heard: the take ends here
        for offset, event in () if self.overflowed else sorted(events, key=operator.itemgetter(0)):
            entry = event if isinstance(event, mido.Message) else self._as_text(event)
            if entry is not None:
                self._waiting.append((self._pushed_frames + offset, entry))
        self._pushed_frames += frames

    def flush(self) -> None:
        """Write the events that have been pushed; without any, the file stays as it is."""
        while self._waiting:
            frame, entry = self._waiting.popleft()
            if frame >= self._kept_frames:
                continue
            if isinstance(entry, str):
                self._unwritten += self._until(frame) + _meta(TEXT, entry.encode("ascii"))
            elif (data := bytes(entry.bytes()))[0] < 0xF0:
                self._unwritten += self._until(frame) + data
        if self._unwritten:
            self._append(end_frame=self._encoded_frames)

    def keep(self, frames: int) -> None:
        """Let the track end after so many frames, or after the last event that has been written already."""
        self._kept_frames = frames

    def sync(self) -> None:
        """Wait until everything written is on the disk."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Write the rest, let the track end where the last block ended, and close. Never fails."""
        if self._file.closed:
            return
        with contextlib.suppress(OSError):
            self.flush()
            self._append(end_frame=max(min(self._pushed_frames, self._kept_frames), self._encoded_frames))
        with contextlib.suppress(OSError):
            self._file.truncate(TRACK_AT + self._track_bytes)
            self.sync()
        self._file.close()

    def _until(self, frame: int) -> bytes:
        """The time from the event before to one at `frame`."""
        ticks = frame - self._encoded_frames
        self._encoded_frames = frame
        far, ticks = divmod(ticks, MAX_DELTA)
        return far * (_delta(MAX_DELTA) + _meta(TEXT)) + _delta(ticks)

    def _append(self, *, end_frame: int) -> None:
        end_at = TRACK_AT + self._track_bytes  # of the track that is announced
        events = bytes(self._unwritten) + self._until(end_frame) + _meta(END_OF_TRACK)
        self._file.seek(end_at)
        self._write_all(events)
        self._track_bytes += len(events)
        os.pwrite(self._file.fileno(), struct.pack(">I", self._track_bytes), LENGTH_AT)
        os.pwrite(self._file.fileno(), bytes([TEXT]), end_at - 2)
        self._unwritten.clear()

    def _write_all(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]


def ticks_of(rate_hz: int) -> tuple[int, int]:
    """Ticks a quarter and microseconds a quarter, such that a tick is exactly one frame at `rate_hz`.

    A quarter lasts a second, or the largest part of one whose ticks fit.
    """
    for parts in (1, 2, 4, 5, 8, 10):  # of a million microseconds
        if rate_hz % parts == 0 and 0 < rate_hz // parts <= MAX_DIVISION:
            return rate_hz // parts, 1_000_000 // parts
    raise WavekeysError(f"a MIDI take needs a tick a sample: no tempo gives that at {rate_hz} Hz")


def _delta(ticks: int) -> bytes:
    """Seven bits a byte, the highest first; all but the last byte have the eighth bit set."""
    digits = [ticks & 0x7F]
    while ticks := ticks >> 7:
        digits.append(ticks & 0x7F | 0x80)
    return bytes(reversed(digits))


def _meta(kind: int, data: bytes = b"") -> bytes:
    return bytes([0xFF, kind]) + _delta(len(data)) + data
