"""Standard MIDI Files as timelines."""

from __future__ import annotations

import dataclasses
import io
import re
from collections.abc import Iterator
from pathlib import Path

import mido
from mido.midifiles import KeySignatureError

from synth.errors import WavekeysError

_FRAMES_PER_SECOND = {24: 24.0, 25: 25.0, 29: 30_000 / 1001, 30: 30.0}  # of SMPTE time code; 29 is drop frame
_KEY_SIGNATURE = re.compile(rb"\xff\x59\x02..", re.DOTALL)
LONGEST_HOURS = 6
TAKE_MARK = "wavekeys take "  # begins the text that tells what played a take, which may go on with notes begun before


@dataclasses.dataclass(frozen=True, kw_only=True)
class Song:
    """What a Standard MIDI File holds of interest here, in the order of its time."""

    path: Path
    events: list[tuple[float, mido.Message | mido.MetaMessage]]  # channel messages and texts, with times in seconds
    end_seconds: float  # where its longest track ends

    @property
    def timeline(self) -> list[tuple[float, mido.Message]]:
        """The channel messages."""
        return [(seconds, message) for seconds, message in self.events if not message.is_meta]


def open_song(path: Path) -> Song:
    """Read a Standard MIDI File of type 0 or 1, tempo changes applied; ticks are parts of a beat or of a frame."""
    try:
        song = _parsed(_chunks(path.read_bytes()))
        if song.type == 2:
            raise WavekeysError(f"{path}: a type 2 MIDI file holds independent songs; save it as type 0 or 1")
        seconds, events = 0.0, []
        for passed, message in _steps(song):
            seconds += passed
            if message.type == "text" or not (message.is_meta or message.type == "sysex"):
                events.append((seconds, message))
    except FileNotFoundError:
        raise WavekeysError(f"no MIDI file at {path}") from None
    except IsADirectoryError:
        raise WavekeysError(f"{path}: a folder, not a MIDI file") from None
    except EOFError:
        raise WavekeysError(f"{path}: not a readable Standard MIDI File (it ends too early)") from None
    except (OSError, ValueError, KeyError, IndexError) as error:
        told = str(error) if " " in str(error) and not isinstance(error, LookupError) else "a damaged event"
        raise WavekeysError(f"{path}: not a readable Standard MIDI File ({told})") from None
    if seconds > LONGEST_HOURS * 3600:
        raise WavekeysError(f"{path}: it lasts {seconds / 3600:,.0f} hours; at most {LONGEST_HOURS} can be played")
    takes = (message.is_meta and message.text.startswith(TAKE_MARK) for _, message in events)
    if not any(message.type == "note_on" for _, message in events) and not any(takes):
        raise WavekeysError(f"{path}: it holds no notes")
    return Song(path=path, events=events, end_seconds=seconds)


def read_song(path: Path) -> list[tuple[float, mido.Message]]:
    """The channel messages of a Standard MIDI File with their times in seconds."""
    return open_song(path).timeline


def _parsed(data: bytes) -> mido.MidiFile:
    """The file as mido reads it, which refuses keys of more than seven accidentals; nothing here plays by the key."""
    try:
        return mido.MidiFile(file=io.BytesIO(data), clip=True)
    except KeySignatureError:
        return mido.MidiFile(file=io.BytesIO(_KEY_SIGNATURE.sub(b"\xff\x59\x02\0\0", data)), clip=True)


def _chunks(data: bytes) -> bytes:
    """What a file says, without what is around it (RIFF's RMID) or between, which readers are to skip (SMF 1.0).

    The header tells the number of tracks that there are, whatever it told.
    """
    if data[:4] == b"RIFF" and data[8:12] == b"RMID":
        data = data[max(data.find(b"MThd"), 0) :]
    if data[:4] != b"MThd":
        return data
    at, header, tracks = 0, b"", []
    while at < len(data):
        end = at + 8 + int.from_bytes(data[at + 4 : at + 8], "big")
        if data[at : at + 4] == b"MTrk":
            tracks.append(data[at:end])
        elif not at:
            header = data[:end]
        at = end
    return b"".join([header[:10], min(len(tracks), 0xFFFF).to_bytes(2, "big"), header[12:], *tracks])


def _steps(song: mido.MidiFile) -> Iterator[tuple[float, mido.Message | mido.MetaMessage]]:
    """All tracks' messages as one, each with the seconds since the one before."""
    division = song.ticks_per_beat
    # Below 0, SMPTE time code: minus the frames a second in the upper byte, the ticks a frame in the lower one.
    frames, ticks = (-(division >> 8), division & 0xFF) if division < 0 else (0, division)
    if not ticks:
        raise ValueError("time in no ticks")
    if not frames:
        yield from ((message.time, message) for message in song)
        return
    if frames not in _FRAMES_PER_SECOND:
        raise ValueError(f"time code of {frames} frames a second")
    second = _FRAMES_PER_SECOND[frames] * ticks
    yield from ((message.time / second, message) for message in mido.merge_tracks(song.tracks))
