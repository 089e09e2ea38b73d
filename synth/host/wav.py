"""A WAV file that is valid at every moment while it grows.

Threads: one at a time, no other restriction (the recorder's writer thread while playing). Blocks on the disk.

24-bit PCM unless another encoding is chosen: every sequencer and Python's `wave` read it (float and extensible headers
are refused by `wave` before Python 3.12), it holds the float32 mix to within half of its last bit, and unlike 16 bits
it leaves a quiet take enough room to be turned up later. 48 kHz stereo costs 17 MB a minute.

libsndfile writes the sizes in the header only when a file is closed, and offers no public way to do it earlier; a
killed process would leave a file that says it is empty. Here the header is rewritten after every append: less than
100 bytes in one call, a few microseconds. What has been appended belongs to the kernel, so it survives the process at
once and a power cut after `sync`.

Sizes in a WAV file are 32 bits wide. A file that outgrows them becomes an RF64 (EBU Tech 3306): the chunk `JUNK`,
which every reader skips, has kept the place of `ds64`, where the sizes are 64 bits wide.
"""

from __future__ import annotations

import dataclasses
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np

from synth.errors import WavekeysError

EncodingName = Literal["pcm16", "pcm24", "float32"]

UNKNOWN_SIZE = 2**32 - 1  # what RF64 has where a 32-bit size was
DS64_BYTES = 28


def pcm16(audio: np.ndarray, random: np.random.Generator) -> bytes:
    """float32 [T, C] in -1..1 -> interleaved little-endian 16-bit PCM, with dither.

    The dither's distribution is a triangle two steps wide (TPDF), which makes neither the mean nor the power of the
    error follow the signal: a fading note ends in steady hiss instead of a buzz (Lipshitz, Wannamaker, Vanderkooy,
    "Quantization and dither: a theoretical survey", JAES 40, 1992).
    """
    first, second = np.moveaxis(random.random((*audio.shape, 2), np.float32), -1, 0)
    scaled = np.rint(audio * np.float32(2**15) + (first - second))
    whole: np.ndarray = np.clip(scaled, -(2**15), 2**15 - 1).astype("<i2")
    return whole.tobytes()


def pcm24(audio: np.ndarray, _random: np.random.Generator | None = None) -> bytes:
    """float32 [T, C] in -1..1 -> interleaved little-endian 24-bit PCM; 1.0 becomes the largest value.

    Without dither: the error is 140 dB below full scale, under the noise of every converter.
    """
    scaled = np.rint(audio * np.float32(2**23))
    whole = np.clip(scaled, -(2**23), 2**23 - 1).astype("<i4")
    return whole.reshape(-1, 1).view(np.uint8)[:, :3].tobytes()


def float32(audio: np.ndarray, _random: np.random.Generator | None = None) -> bytes:
    """float32 [T, C] -> the same samples, interleaved, little-endian."""
    return audio.astype("<f4").tobytes()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Encoding:
    """How samples lie in the file."""

    format_tag: int  # 1: PCM, 3: IEEE float; what is not PCM needs a longer `fmt ` chunk, and a `fact` chunk
    sample_bytes: int
    encode: Callable[[np.ndarray, np.random.Generator], bytes]
    shown: str


ENCODINGS: dict[str, Encoding] = {
    "pcm16": Encoding(format_tag=1, sample_bytes=2, encode=pcm16, shown="16 bits"),
    "pcm24": Encoding(format_tag=1, sample_bytes=3, encode=pcm24, shown="24 bits"),
    "float32": Encoding(format_tag=3, sample_bytes=4, encode=float32, shown="32-bit float"),
}


class WavWriter:
    """One growing file. A failed append raises OSError and leaves every whole frame before it in a valid file.

    Args:
      encoding: a key of `ENCODINGS`.
      dither_seed: of 16 bits' dither. The same audio and seed give the same file, so that takes can be compared byte
        by byte; files that will be mixed with each other need different ones, or their dithers add up.
    """

    def __init__(
        self,
        path: Path,
        *,
        sample_rate_hz: int,
        channels: int,
        encoding: EncodingName = "pcm24",
        dither_seed: int = 0,
    ) -> None:
        if encoding not in ENCODINGS:
            raise WavekeysError(f"unknown WAV encoding {encoding!r}; one of {', '.join(ENCODINGS)}")
        self.path = path
        self.frames = 0  # whole frames that the header announces
        self._encoding = ENCODINGS[encoding]
        self._random = np.random.default_rng(dither_seed)
        self._sample_rate_hz = sample_rate_hz
        self._channels = channels
        self._frame_bytes = channels * self._encoding.sample_bytes
        self._header_bytes = len(self._header())
        self._file = path.open("wb", buffering=0)
        try:
            self._write_all(self._header())
        except OSError:
            self._file.close()
            raise

    def append(self, audio: np.ndarray) -> None:
        """Append float32 `audio` [T, C] in -1..1 and announce it in the header."""
        try:
            self._write_all(self._encoding.encode(audio, self._random))
        finally:
            # After an error too: what reached the disk before it counts, down to the last whole frame.
            self.frames = (self._file.tell() - self._header_bytes) // self._frame_bytes
            self._announce()

    def keep(self, frames: int) -> None:
        """Announce only the first `frames`; nothing may be appended after that."""
        self.frames = min(self.frames, frames)
        self._announce()

    def sync(self) -> None:
        """Wait until everything appended is on the disk."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Cut off what is not announced, sync, and close. Never fails: what can be kept has been announced."""
        if self._file.closed:
            return
        try:
            self._file.truncate(self._header_bytes + self._padded(self.frames * self._frame_bytes))
            self.sync()
        except OSError:
            pass
        self._file.close()

    def _write_all(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]

    def _announce(self) -> None:
        os.pwrite(self._file.fileno(), self._header(), 0)

    def _header(self) -> bytes:
        data_bytes = self.frames * self._frame_bytes
        form = self._format()
        # Up to the data: the form's name, the place of ds64, the format, the data chunk's own head.
        riff_bytes = 4 + (8 + DS64_BYTES) + len(form) + 8 + self._padded(data_bytes)
        if riff_bytes < UNKNOWN_SIZE:
            head = struct.pack("<4sI4s4sI28x", b"RIFF", riff_bytes, b"WAVE", b"JUNK", DS64_BYTES)
            return head + form + struct.pack("<4sI", b"data", data_bytes)
        head = struct.pack("<4sI4s4sI", b"RF64", UNKNOWN_SIZE, b"WAVE", b"ds64", DS64_BYTES)
        sizes = struct.pack("<QQQI", riff_bytes, data_bytes, self.frames, 0)  # 0: no other chunk is that large
        return head + sizes + form + struct.pack("<4sI", b"data", UNKNOWN_SIZE)

    def _format(self) -> bytes:
        """The chunk `fmt `, and `fact` where the encoding needs it."""
        is_pcm = self._encoding.format_tag == 1
        form = struct.pack(
            "<4sIHHIIHH",
            *(b"fmt ", 16 if is_pcm else 18, self._encoding.format_tag, self._channels, self._sample_rate_hz),
            *(self._sample_rate_hz * self._frame_bytes, self._frame_bytes, 8 * self._encoding.sample_bytes),
        )
        if is_pcm:
            return form
        no_extension = struct.pack("<H", 0)
        return form + no_extension + struct.pack("<4sII", b"fact", 4, min(self.frames, UNKNOWN_SIZE))

    @staticmethod
    def _padded(data_bytes: int) -> int:
        """A chunk of an odd size is followed by a byte that does not count."""
        return data_bytes + data_bytes % 2
