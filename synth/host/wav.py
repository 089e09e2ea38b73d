"""A WAV file that is valid at every moment while it grows.

Threads: one at a time, no other restriction (the recorder's writer thread while playing). Blocks on the disk.

24-bit PCM, plain format tag 1: every sequencer and Python's `wave` read it (float and extensible headers are
refused by `wave` before Python 3.12), it holds the float32 mix to within half of its last bit, and unlike 16 bits it
leaves a quiet take enough room to be turned up later. 48 kHz stereo costs 17 MB a minute.

libsndfile writes the sizes in the header only when a file is closed, and offers no public way to do it earlier; a
killed process would leave a file that says it is empty. Here the sizes are rewritten after every append: 44
bytes, a few microseconds. What has been appended belongs to the kernel, so it survives the process at once and
a power cut after `sync`.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np

HEADER_BYTES = 44
SAMPLE_BYTES = 3
MAX_DATA_BYTES = 2**32 - 2**16  # the sizes in the header are 32 bits wide


class WavWriter:
    """One growing file. A failed append raises OSError and leaves every whole frame before it in a valid file."""

    def __init__(self, path: Path, *, sample_rate_hz: int, channels: int, max_data_bytes: int = MAX_DATA_BYTES) -> None:
        self.path = path
        self.frames = 0  # whole frames that the header announces
        self._sample_rate_hz = sample_rate_hz
        self._channels = channels
        self._frame_bytes = channels * SAMPLE_BYTES
        self._max_frames = max_data_bytes // self._frame_bytes
        self._file = path.open("wb", buffering=0)
        try:
            self._write_all(self._header())
        except OSError:
            self._file.close()
            raise

    @property
    def room_frames(self) -> int:
        """Frames that may still be appended before the header's sizes overflow."""
        return self._max_frames - self.frames

    def append(self, audio: np.ndarray) -> None:
        """Append float32 `audio` [T, C] in -1..1 and announce it in the header."""
        try:
            self._write_all(pcm24(audio))
        finally:
            # After an error too: what reached the disk before it counts, down to the last whole frame.
            self.frames = (self._file.tell() - HEADER_BYTES) // self._frame_bytes
            os.pwrite(self._file.fileno(), self._header(), 0)

    def sync(self) -> None:
        """Wait until everything appended is on the disk."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Cut a partial last frame off, sync, and close. Never fails: what can be kept has been announced."""
        if self._file.closed:
            return
        try:
            self._file.truncate(HEADER_BYTES + self.frames * self._frame_bytes)
            self.sync()
        except OSError:
            pass
        self._file.close()

    def _write_all(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]

    def _header(self) -> bytes:
        data_bytes = self.frames * self._frame_bytes
        bytes_per_s = self._sample_rate_hz * self._frame_bytes
        return struct.pack(
            "<4sI4s4sIHHIIHH4sI",
            *(b"RIFF", HEADER_BYTES - 8 + data_bytes, b"WAVE"),
            *(b"fmt ", 16, 1, self._channels, self._sample_rate_hz, bytes_per_s, self._frame_bytes, 8 * SAMPLE_BYTES),
            *(b"data", data_bytes),
        )


def pcm24(audio: np.ndarray) -> bytes:
    """float32 [T, C] in -1..1 -> interleaved little-endian 24-bit PCM; 1.0 becomes the largest value."""
    scaled = np.rint(audio * np.float32(2**23))
    whole = np.clip(scaled, -(2**23), 2**23 - 1).astype("<i4")
    return whole.reshape(-1, 1).view(np.uint8)[:, :SAMPLE_BYTES].tobytes()
