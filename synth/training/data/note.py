"""One note of a set, and what makes any recording one: mono, at the set's rate, 4 seconds from its onset."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
import soxr
from scipy.ndimage import uniform_filter1d

from synth.errors import WavekeysError
from synth.sounds import LOUDEST
from synth.training.soundfont import NOTE_SECONDS

CANCELLED = 1e-3  # of the loudest channel's power (-30 dB): the mean of channels with opposite signs is not the sound
SILENT = 1e-4  # a note whose largest sample is below this (-80 dBFS) has no sound
ONSET = 3e-3  # of the loudest moment (-50 dB): a recording begins where it is first this loud,
ABOVE_ROOM, AT_MOST = 3.0, 0.1  # and so many times as loud as what is before the note; but where it has come to -20 dB
MOMENT_SECONDS = 0.005
LONGEST_SECONDS = 600.0  # of a recording, that are read
SHORTEST_SECONDS = 0.032  # a frame of the embedding
LEAD_SECONDS = 0.005  # kept of what is before that
FADE_SECONDS = 0.05  # at the end of a recording that goes on after 4 s


class Note(NamedTuple):
    """A note as every source gives it."""

    instrument: str
    pitch: int  # MIDI number
    velocity: int
    audio: np.ndarray  # [T] float32, 4 s
    held_out: bool = False  # of an instrument that the set itself keeps for validation


class BadNote(NamedTuple):
    """A note that cannot be used."""

    name: str
    reason: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class NoteSource:
    """Notes to be read one by one."""

    where: str  # for messages
    at_most: int  # notes that `read` gives, bad ones too
    read: Callable[[], Iterator[Note | BadNote]]


def good_notes(source: NoteSource, bad: Callable[[BadNote], None]) -> Iterator[Note]:
    """A source's notes; the bad ones are told to `bad`. If all are bad, or there are none, that is an error."""
    good, first = 0, None
    for note in source.read():
        if isinstance(note, BadNote):
            first = first or note
            bad(note)
        else:
            good += 1
            yield note
    if not good:
        why = f"none of its notes can be used; {first.name}: {first.reason}" if first else "no note there is asked for"
        raise WavekeysError(f"{source.where}: {why}")


def read_recording(path: Path, rate_hz: int, *, from_onset: bool) -> np.ndarray:
    """A sound file of any rate and channels as a note [4 s] float32. Raises ValueError with what is wrong with it."""
    try:
        with soundfile.SoundFile(path) as file:
            own_rate_hz = file.samplerate
            longest = min(file.frames, round(LONGEST_SECONDS * own_rate_hz))
            audio = file.read(longest, dtype="float32", always_2d=True)
    except (OSError, soundfile.LibsndfileError) as error:
        if not path.exists():
            raise ValueError("there is no such file") from None
        raise ValueError(f"not a readable sound file ({getattr(error, 'error_string', error)})") from None
    return as_note(audio, own_rate_hz, rate_hz, from_onset=from_onset)


def as_note(audio: np.ndarray, own_rate_hz: int, rate_hz: int, *, from_onset: bool) -> np.ndarray:
    """Samples [T, channels] of any rate as a note [4 s] float32. Raises ValueError with what is wrong with them.

    Shorter ones are followed by silence. With `from_onset` the silence before the first sound is taken away.
    """
    if not len(audio):
        raise ValueError("empty")
    if not np.abs(audio).max() < LOUDEST:
        raise ValueError("holds numbers that are not finite, or no sound's")
    mono = audio.mean(axis=1)
    powers = np.square(audio).mean(axis=0)
    if np.square(mono).mean() < CANCELLED * powers.max():
        mono = audio[:, powers.argmax()]
    if from_onset:
        mono = mono[max(0, _onset(mono, own_rate_hz) - round(LEAD_SECONDS * own_rate_hz)) :]
    length = round(NOTE_SECONDS * rate_hz)
    if own_rate_hz != rate_hz:
        mono = soxr.resample(mono, own_rate_hz, rate_hz, quality="VHQ")
    if len(mono) > length:
        mono = mono[:length].copy()
        fade = round(FADE_SECONDS * rate_hz)
        mono[-fade:] *= 0.5 + 0.5 * np.cos(np.pi * np.arange(fade) / fade)
    if np.abs(mono).max(initial=0.0) < SILENT:
        raise ValueError("silent")
    if len(mono) < SHORTEST_SECONDS * rate_hz:
        raise ValueError(f"only {1e3 * len(mono) / rate_hz:.0f} ms long")
    return np.pad(mono, (0, length - len(mono))).astype(np.float32)


def _onset(mono: np.ndarray, rate_hz: int) -> int:
    """The sample at which a recording [T] rises out of its room and its offset."""
    centred = mono - mono.mean(dtype=np.float64)
    power = uniform_filter1d(np.square(centred), max(1, round(MOMENT_SECONDS * rate_hz)), mode="nearest")
    level = np.sqrt(np.maximum(power, 0.0))
    loudest = int(level.argmax())
    room = float(level[: loudest + 1].min())
    threshold = level[loudest] * max(ONSET, min(ABOVE_ROOM * room / max(level[loudest], 1e-12), AT_MOST))
    return int(np.argmax(level >= threshold))
