"""The take: what went to the ring, and if asked each instrument's share of it and the MIDI that made it, in files.

Threads: the main thread builds, starts and closes; the engine thread calls `push` and `push_events`, which only copy
into rings and append to a deque, and never lock, wait or allocate array data; the writer thread owns the files. A disk
that stalls is bridged for `BUFFER_S`. A disk that is full, or any other error, ends the recording with one message:
all its files end together, what was recorded so far stays valid and playing goes on.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from synth.atomic import file_name
from synth.errors import WavekeysError
from synth.host.midi_take import MidiTake, Performer
from synth.host.ring import Ring
from synth.host.wav import EncodingName, WavWriter

BUFFER_S = 10.0
WRITE_EVERY_S = 0.1  # the most that a killed process loses, with the engine's own block
SYNC_EVERY_S = 3.0  # the most that a power cut loses


class Recorder:
    """Records [T, C] float32 blocks at the device rate; see `wav` for the format.

    A file that exists is never overwritten: an earlier take is set aside, all its files under the same free number.

    Args:
      path: of the mix, TAKE.wav.
      report: is told, in one line, why a recording stopped; called by the writer thread.
      encoding: of all audio files, a key of `wav.ENCODINGS`.
      stems: names of instruments; each has its share in TAKE-<name>.wav, frame by frame in step with the mix.
      performer: what plays; with it, what was played is in TAKE.mid.
      former_stems: names of instruments whose shares an earlier take of this name may have left; they go with it.
    """

    def __init__(
        self,
        path: Path,
        *,
        sample_rate_hz: int,
        channels: int,
        report: Callable[[str], None],
        encoding: EncodingName = "pcm24",
        stems: Sequence[str] = (),
        performer: Performer | None = None,
        former_stems: Sequence[str] = (),
    ) -> None:
        refuse_unwritable(path)
        self.path = path
        self.stem_paths = [stem_path(path, name) for name in stems]
        self.midi_path = None if performer is None else path.with_suffix(".mid")
        self.failure: str | None = None
        self.farewell = ""  # the same with what is kept, in one line
        self._sample_rate_hz = sample_rate_hz
        self._report = report
        self._stop = False
        self._overflowed = False
        capacity = 1 << int(BUFFER_S * sample_rate_hz - 1).bit_length()
        audio_paths = [path, *self.stem_paths]
        self._rings = [Ring(capacity_frames=capacity, channels=channels) for _ in audio_paths]
        self._chunk = np.empty((capacity // 8, channels), np.float32)
        self._writers: list[WavWriter] = []  # of the mix, then of the stems
        self._midi: MidiTake | None = None
        self._midi_rate_hz = performer.rate_hz if performer else 0
        own = [*audio_paths, *([self.midi_path] if self.midi_path else [])]
        former = [stem for stem in (stem_path(path, name) for name in former_stems) if stem not in own]
        try:
            self.set_aside = _set_aside(own, former if path.is_file() else [])
            for number, audio_path in enumerate(audio_paths):
                writer = WavWriter(
                    audio_path,
                    sample_rate_hz=sample_rate_hz,
                    channels=channels,
                    encoding=encoding,
                    dither_seed=number,
                )
                self._writers.append(writer)
            if performer is not None and self.midi_path is not None:
                self._midi = MidiTake(self.midi_path, performer)
        except OSError as error:
            self._close_files()
            raise WavekeysError(_cannot_write(path, error)) from error
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)

    @property
    def recorded_s(self) -> float:
        """Length of what is in the files, in seconds."""
        return min(writer.frames for writer in self._writers) / self._sample_rate_hz

    def start(self) -> None:
        self._thread.start()

    def push_events(self, events: Sequence[tuple[int, object]], frames: int) -> None:
        """Hand over the events of the instrument's next block of `frames`; from the engine thread, before it plays."""
        if self._midi is not None and self.failure is None and not self._overflowed:
            self._midi.push(events, frames)

    def push(self, block: np.ndarray, stems: Sequence[np.ndarray] = ()) -> None:
        """Hand over one block [T, C] of the mix, and as much of each stem; from the engine thread."""
        if self.failure is not None or self._overflowed:
            return
        room = min(ring.free_frames for ring in self._rings)
        for ring, audio in zip(self._rings, (block, *stems), strict=True):
            ring.write(audio[:room])
        if room < len(block):
            self._overflowed = True  # a hole would shift everything after it: the writer ends the take here

    def close(self) -> None:
        """Write what is still waiting and close the files. Neither `push` nor `push_events` may follow."""
        self._stop = True
        if self._thread.ident is not None:
            self._thread.join()
        self._close_files()

    def _run(self) -> None:
        synced_s = time.monotonic()
        try:
            while True:
                last_round = self._stop  # read before draining: nothing is pushed after it was set
                self._drain()
                if self._overflowed or (self._midi is not None and self._midi.overflowed):
                    self._end(f"the disk did not take anything for {BUFFER_S:.0f} s")
                    return
                if last_round:
                    return
                if time.monotonic() - synced_s >= SYNC_EVERY_S:
                    for file in self._files():
                        file.sync()
                    synced_s = time.monotonic()
                time.sleep(WRITE_EVERY_S)
        except Exception as error:  # whatever it is, who plays must hear of it
            number = error.errno if isinstance(error, OSError) else None
            self._end(os.strerror(number) if number else str(error) or type(error).__name__)

    def _drain(self) -> None:
        # The rings are filled one after the other: what all of them hold by now is as long in each.
        waiting = min(ring.fill_frames for ring in self._rings)
        while waiting:
            piece = self._chunk[:waiting]
            for ring, writer in zip(self._rings, self._writers, strict=True):
                ring.read_into(piece)
                writer.append(piece)
            waiting -= len(piece)
        if self._midi is not None:
            self._midi.flush()

    def _end(self, reason: str) -> None:
        frames = min(writer.frames for writer in self._writers)
        with contextlib.suppress(OSError):
            for writer in self._writers:
                writer.keep(frames)
        if self._midi is not None:
            self._midi.keep(frames * self._midi_rate_hz // self._sample_rate_hz)
        kept = f"the {self.recorded_s:.1f} s until here are kept, playing goes on"
        self.farewell = f"recording stopped: {self.path}: {reason}; {kept}"
        self.failure = reason  # last: others look at it
        self._report(self.farewell)

    def _close_files(self) -> None:
        for file in self._files():
            file.close()

    def _files(self) -> list[WavWriter | MidiTake]:
        return [*self._writers, *([self._midi] if self._midi is not None else [])]


def refuse_unwritable(path: Path) -> None:
    """Raise one line if a take clearly cannot be written at `path`. Creates and changes nothing."""
    folder = path.parent
    if path.is_dir():
        raise WavekeysError(f"cannot record to {path}: it is a folder; name a file, such as {path / 'take.wav'}")
    if path.exists() and not path.is_file():
        raise WavekeysError(f"cannot record to {path}: it is no file, but a device or a pipe; name a file")
    if not folder.is_dir():
        raise WavekeysError(f"cannot record to {path}: there is no folder {folder}; make it first (mkdir -p {folder})")
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise WavekeysError(f"cannot record to {path}: no permission to write there; choose another folder")


def stem_path(path: Path, instrument: str) -> Path:
    """Where an instrument's share of the take at `path` is."""
    return path.with_name(f"{path.stem}-{file_name(instrument)}{path.suffix}")


def _set_aside(paths: Sequence[Path], former: Sequence[Path]) -> Path | None:
    """Rename what is there of an earlier take, in the way of this one or not; returns what the first of its files is
    called now."""
    if len(set(paths)) < len(paths):
        twice = next(path for path in paths if paths.count(path) > 1)
        mend = "rename an instrument" if paths[0].suffix.lower() == ".wav" else "end it in .wav"
        raise WavekeysError(f"cannot record to {paths[0]}: two files of this take would be {twice.name}; {mend}")
    paths = [*paths, *dict.fromkeys(former)]
    earlier = [path for path in paths if path.is_file() and path.stat().st_size > 0]
    number = 1
    while any(_aside(path, number).exists() for path in paths):
        number += 1
    renamed = [path.rename(_aside(path, number)) for path in earlier]
    return renamed[0] if renamed else None


def _aside(path: Path, number: int) -> Path:
    return path.with_name(f"{path.stem}-earlier{number}{path.suffix}")


def _cannot_write(path: Path, error: OSError) -> str:
    return f"cannot record to {error.filename or path}: {error.strerror or error}; choose a place that can be written"
