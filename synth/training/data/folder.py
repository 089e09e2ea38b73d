"""A musician's own folder of notes: sound files whose pitch stands in their names or in a table, or is heard.

Names such as `flute_C4_v100.wav`, `Flute F#3.flac`, `flute-060-100.wav`: the instrument, then a note's name (C4 is MIDI
60) or a MIDI number, then a velocity. Velocities as low as `v1`, `v2`, `v3` are layers, from soft to loud. `notes.csv`,
where there is one, says instead: columns `file` and `pitch`, and where wanted `velocity` and `instrument`.
"""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from synth.analysis.compiled import librosa
from synth.errors import UsageError, WavekeysError
from synth.pitch import BETWEEN, END, NAMED, note_number
from synth.sounds import SUFFIXES
from synth.training.config import DataConfig
from synth.training.data.note import BadNote, Note, NoteSource, read_recording

TABLE = "notes.csv"
VELOCITY = 100  # of a note that names none
MOST_LAYERS = 16  # where all velocities in names are as low as that, they only count
HEARD_SECONDS = (0.1, 1.1)  # or from the beginning, of a note that has died away by then
HEARD_ABOVE = 0.1  # of the loudest moment there (-20 dB)
LEAST_SURE = 0.08
_FRAME, _HOP = 2048, 512

_NUMBERED = re.compile(BETWEEN + r"([01]?[0-9]{2})" + END)  # two digits at least: `piano 2` is no pitch
_TAKE = re.compile("0[0-9]")  # behind a pitch: `Flute_C4_02` is the second take, not a velocity
_BUT_A_TAKE = re.compile(r"(?:[-_ .]+0[0-9])?")  # behind a velocity: in `violin_A3_025_forte` 025 is none
_DATE = r"(?<![0-9])(?:19|20)[0-9]{2}[-_. ]?[01][0-9][-_. ]?[0-3][0-9]"
_DATED = re.compile(_DATE + r"(?:[-_ T.]*[0-2][0-9][-_.:]?[0-5][0-9](?:[-_.:]?[0-5][0-9])?)?(?![0-9])")
_COUNTED = re.compile(r"[-_ .]*[0-9]+$")  # `take 2`, `rec001`
LOWEST_NUMBER = 21  # a piano's lowest key: `Track 02` is no pitch either; in a pair, three digits are one, as NSynth's
_SPOKEN_VELOCITY = re.compile(BETWEEN + r"v(?:el)?([0-9]{1,3})" + END, re.IGNORECASE)


class Label(NamedTuple):
    """What is known of a file before it is read."""

    instrument: str
    pitch: int | None  # None: to be heard
    velocity: int


def folder_notes(folder: Path, data: DataConfig, rate_hz: int) -> NoteSource:
    """The notes of a folder and of the folders in it."""
    labels = _table(folder / TABLE) or _labels(folder)
    there = sorted({label.instrument for _, label in labels if isinstance(label, Label)})
    if missing := [name for name in data.only if name not in there]:
        raise UsageError(f"{folder}: no instrument {missing[0]!r}; there are: {', '.join(there)}")

    def read() -> Iterator[Note | BadNote]:
        for path, label in labels:
            name = str(path.relative_to(folder) if path.is_relative_to(folder) else path)
            if isinstance(label, str):
                yield BadNote(name, label)
            elif label.pitch is None or data.takes(label.instrument, label.pitch, label.velocity):
                note = _note(path, name, label, rate_hz)
                if isinstance(note, BadNote) or data.takes(note.instrument, note.pitch, note.velocity):
                    yield note

    return NoteSource(where=str(folder), at_most=len(labels), read=read)


def listed_recordings(folder: Path) -> list[Path]:
    """The files that a folder's table names; none where there is no table."""
    return [path for path, _ in _table(folder / TABLE)]


def label_of(stem: str, otherwise: str) -> Label:
    """What a file's name says; `otherwise` is the instrument of a name that tells none."""
    stem = _DATED.sub("", unicodedata.normalize("NFC", stem))
    spoken = _SPOKEN_VELOCITY.search(stem)
    rest = stem if spoken is None else stem[: spoken.start()] + stem[spoken.end() :]
    named = list(NAMED.finditer(rest))
    # The last two numbers, so that NSynth's own names work: bass_synthetic_033-022-050. Behind a name, C4_64, only one.
    numbers = [match for match in _NUMBERED.finditer(rest) if int(match[1]) <= 127]
    if named:
        behind = [match for match in numbers if match.start() >= named[-1].end() and not _TAKE.fullmatch(match[1])]
        chosen = named[-1:] + [match for match in behind[:1] if _BUT_A_TAKE.fullmatch(rest[match.end() :])]
    else:
        chosen = numbers[-2:] if spoken is None else numbers[-1:]
        is_short = len(chosen) == 1 or (len(chosen) == 2 and len(chosen[0][1]) < 3)
        if is_short and spoken is None and int(chosen[0][1]) < LOWEST_NUMBER:
            chosen = []
    velocity = int(spoken[1]) if spoken else int(chosen[1][1]) if len(chosen) == 2 else VELOCITY
    pitch = note_number(chosen[0][0].lstrip("-_ .")) if chosen else None
    instrument = _instrument(rest[: chosen[0].start()] if chosen else _COUNTED.sub("", rest))
    return Label(instrument or _instrument(otherwise), pitch, min(max(velocity, 1), 127))


def _instrument(text: str) -> str:
    """Its name, in which nothing parts names and weights as in `flute=1,organ=2`."""
    return re.sub("[,= ]+", " ", unicodedata.normalize("NFC", text)).strip("-_ .").lower()


def _layered(velocities: Collection[int]) -> dict[int, int]:
    """The velocities of notes of so many, by what their names tell: the numbers of layers stand for louder ones."""
    told = sorted({*velocities} - {VELOCITY})
    if not told or told[-1] > MOST_LAYERS:
        return {velocity: velocity for velocity in velocities}
    if len(told) == 1:
        return dict.fromkeys(velocities, VELOCITY)
    return {VELOCITY: VELOCITY} | {layer: round(127 * number / len(told)) for number, layer in enumerate(told, 1)}


def heard_pitch(audio: np.ndarray, rate_hz: int) -> int | None:
    """The MIDI number nearest to the pitch of a note [T] (librosa.pyin over a piano's range); None without one.

    Within `HEARD_SECONDS`, while the note is loud: when it has died away, what is left of the room has a pitch of its
    own. What pyin is unsure of counts as none: it gives noise a probability of 0.01, notes of FluidR3 one of 0.18 or
    more.
    """
    first, last = (round(seconds * rate_hz) for seconds in HEARD_SECONDS)
    level = librosa.feature.rms(y=audio[:last], frame_length=_FRAME, hop_length=_HOP)[0]  # around every `_HOP`th sample
    if level[(first + _FRAME // 2) // _HOP + 1 :].max(initial=0.0) < HEARD_ABOVE * level.max():
        first = 0
    heard = audio[first:last]
    track, _, sure = librosa.pyin(heard, fmin=27.0, fmax=4200.0, sr=rate_hz, frame_length=_FRAME, hop_length=_HOP)
    level = librosa.feature.rms(y=heard, frame_length=_FRAME, hop_length=_HOP)[0]
    loud = level >= level.max() * HEARD_ABOVE
    voiced = loud & np.isfinite(track)
    if sure[loud].mean() <= LEAST_SURE or not voiced.any():
        return None
    order = np.argsort(track[voiced])
    weight = np.cumsum((sure * level)[voiced][order])
    middle = track[voiced][order][np.searchsorted(weight, 0.5 * weight[-1])]
    return round(float(librosa.hz_to_midi(middle)))


def _note(path: Path, name: str, label: Label, rate_hz: int) -> Note | BadNote:
    if not path.is_file():
        return BadNote(name, "no such file")
    try:
        audio = read_recording(path, rate_hz, from_onset=True)
    except ValueError as error:
        return BadNote(name, str(error))
    pitch = heard_pitch(audio, rate_hz) if label.pitch is None else label.pitch
    if pitch is None:
        return BadNote(name, "no pitch in its name (such as flute_C4_v100.wav), and none is heard")
    return Note(label.instrument, pitch, label.velocity, audio)


def _labels(folder: Path) -> list[tuple[Path, Label | str]]:
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not paths:
        raise WavekeysError(f"{folder}: no sound files in it ({', '.join(sorted(SUFFIXES))})")
    labels = [label_of(path.stem, path.parent.resolve().name or "notes") for path in paths]
    velocities = _layered([label.velocity for label in labels])
    return [
        (path, label._replace(velocity=velocities[label.velocity])) for path, label in zip(paths, labels, strict=True)
    ]


def _table(path: Path) -> list[tuple[Path, Label | str]]:
    """The files that a table names, each with its label or with what is wrong with its row; none without a table."""
    if not path.is_file():
        return []
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise WavekeysError(f"{path}: not a readable table ({error})") from None
    if not rows or not {"file", "pitch"} <= rows[0].keys():
        raise WavekeysError(f"{path}: a table of notes has columns headed file and pitch, and a row for each note")
    labels: list[tuple[Path, Label | str]] = []
    for cells in rows:
        row = {heading: (cells[heading] or "").strip() for heading in cells if isinstance(cells[heading], str | None)}
        recording = path.parent / row["file"]
        pitch, velocity = note_number(row["pitch"]), note_number(row.get("velocity") or str(VELOCITY))
        instrument = _instrument(row.get("instrument") or path.parent.resolve().name)
        label = Label(instrument, pitch, velocity or 0)
        wrong = f"its row says pitch {row['pitch']!r}, velocity {row.get('velocity')!r}: give a note or 0 to 127"
        if not instrument.isprintable():
            labels.append((recording, f"its row says instrument {instrument!r}: give a name in one line"))
        else:
            labels.append((recording, wrong if pitch is None or not velocity else label))
    return labels
