"""The take: what went to the ring, written to a WAV file by a thread of its own.

Threads: the main thread builds, starts and closes; the engine thread calls `push`, which only copies into a
ring and never locks, waits or allocates array data; the writer thread owns the file. A disk that stalls is
bridged for `BUFFER_S`. A disk that is full, or any other error, ends the recording with one message; what was
recorded so far stays valid and playing goes on.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from synth.errors import WavekeysError
from synth.host.ring import Ring
from synth.host.wav import MAX_DATA_BYTES, WavWriter

BUFFER_S = 10.0
WRITE_EVERY_S = 0.1  # the most that a killed process loses, with the engine's own block
SYNC_EVERY_S = 3.0  # the most that a power cut loses


class Recorder:
    """Records [T, C] float32 blocks at the device rate; see `wav` for the format.

    A file that exists is never overwritten: an earlier take is set aside under a free name beside the new one.
    A take that outgrows one WAV file (4 GiB, four hours of 48 kHz stereo) goes on in `TAKE-part2.wav`.
    """

    def __init__(
        self,
        path: Path,
        *,
        sample_rate_hz: int,
        channels: int,
        report: Callable[[str], None],
        max_data_bytes: int = MAX_DATA_BYTES,
    ) -> None:
        refuse_unwritable(path)
        self.path = path
        self.failure: str | None = None
        self._sample_rate_hz = sample_rate_hz
        self._channels = channels
        self._max_data_bytes = max_data_bytes
        self._report = report
        self._part = 1
        self._finished_frames = 0  # in the parts before this one
        self._stop = False
        self._overflowed = False
        capacity = 1 << int(BUFFER_S * sample_rate_hz - 1).bit_length()
        self._ring = Ring(capacity_frames=capacity, channels=channels)
        self._chunk = np.empty((capacity // 8, channels), np.float32)
        try:
            self.set_aside = _set_aside(path)
            self._writer = self._open(path)
        except OSError as error:
            raise WavekeysError(_cannot_write(path, error)) from error
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)

    @property
    def recorded_s(self) -> float:
        """Length of what is in the file or files, in seconds."""
        return (self._finished_frames + self._writer.frames) / self._sample_rate_hz

    def start(self) -> None:
        self._thread.start()

    def push(self, block: np.ndarray) -> None:
        """Hand over one block [T, C]; from the engine thread."""
        if self.failure is None and not self._overflowed and self._ring.write(block) < len(block):
            self._overflowed = True  # a hole would shift everything after it: the writer ends the take here

    def close(self) -> None:
        """Write what is still waiting and close the file. No `push` may follow."""
        self._stop = True
        if self._thread.ident is not None:
            self._thread.join()
        self._writer.close()

    def _run(self) -> None:
        synced_s = time.monotonic()
        try:
            while True:
                last_round = self._stop  # read before draining: nothing is pushed after it was set
                self._drain()
                if self._overflowed:
                    self._end(f"the disk did not take anything for {BUFFER_S:.0f} s")
                    return
                if last_round:
                    return
                if time.monotonic() - synced_s >= SYNC_EVERY_S:
                    self._writer.sync()
                    synced_s = time.monotonic()
                time.sleep(WRITE_EVERY_S)
        except OSError as error:
            self._end(os.strerror(error.errno) if error.errno else str(error))

    def _drain(self) -> None:
        while self._ring.fill_frames:
            if not self._writer.room_frames:
                self._next_part()
            count = self._ring.read_into(self._chunk[: self._writer.room_frames])
            self._writer.append(self._chunk[:count])

    def _next_part(self) -> None:
        path = self.path.with_name(f"{self.path.stem}-part{self._part + 1}{self.path.suffix}")
        _set_aside(path)
        following = self._open(path)
        self._writer.close()
        self._finished_frames += self._writer.frames
        self._part += 1
        self._writer = following

    def _open(self, path: Path) -> WavWriter:
        return WavWriter(
            path,
            sample_rate_hz=self._sample_rate_hz,
            channels=self._channels,
            max_data_bytes=self._max_data_bytes,
        )

    def _end(self, reason: str) -> None:
        self.failure = reason
        self._report(
            f"recording stopped: {self._writer.path}: {reason}; "
            f"the {self.recorded_s:.1f} s until here are kept, playing goes on"
        )


def refuse_unwritable(path: Path) -> None:
    """Raise one line if a take clearly cannot be written at `path`. Creates and changes nothing."""
    folder = path.parent
    if path.is_dir():
        raise WavekeysError(f"cannot record to {path}: it is a folder; name a file, such as {path / 'take.wav'}")
    if not folder.is_dir():
        raise WavekeysError(f"cannot record to {path}: there is no folder {folder}; make it first (mkdir -p {folder})")
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise WavekeysError(f"cannot record to {path}: no permission to write there; choose another folder")


def _set_aside(path: Path) -> Path | None:
    if not path.is_file() or path.stat().st_size == 0:
        return None
    number = 1
    while (aside := path.with_name(f"{path.stem}-earlier{number}{path.suffix}")).exists():
        number += 1
    return path.rename(aside)


def _cannot_write(path: Path, error: OSError) -> str:
    return f"cannot record to {path}: {error.strerror or error}; choose a place that can be written"
