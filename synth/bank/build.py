"""Build a bank: encode notes, and find where a held note can loop."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np

from synth.bank.bank import FRAMES_PER_SECOND, LARGEST_EMBEDDING, Bank
from synth.bank.vibrato import Vibrato, find_vibrato
from synth.errors import WavekeysError
from synth.pitch import midi_to_hertz
from synth.tones import COLUMNS, MOST_TONES, tone_amplitudes, tone_rows
from synth.wavenet import WaveNet
from synth.wavenet.encoder import LEVEL_DB_PER_UNIT

KEY_UP_SECONDS = 3.0  # NSynth's notes are held so long
SETTLED_SECONDS = (0.3, 1.9)  # a sustain begins between these
MARGIN_FRAMES = 5  # by which the encoder foresees the release
FAINT, LET_GO = 1e-3, 0.03  # of the loudest frame (-60 and -30 dB): a note has ended, it still sounded
DYING_DB = 12.0  # a second, that a note falls by which dies away, as a steel drum's
ENDING_FRAMES = 8  # a quarter of a second, in which a note that was let go or cut off ends
SOUNDING_DB = 40.0  # below the loudest frame
UNREST = 1.15  # a sustain may be so much more restless than its last second


def build_bank(
    model: WaveNet, audio: np.ndarray, *, instruments: tuple[str, ...], pitches: np.ndarray, velocities: np.ndarray
) -> Bank:
    """A bank of notes [I, P, V, T] float32, held for 3 of their 4 seconds."""
    i, p, v, samples = audio.shape
    flat = audio.reshape(-1, samples)
    z = np.concatenate([np.asarray(model.encode(flat[n : n + 25])) for n in range(0, len(flat), 25)])
    embeddings = z.reshape(i, p, v, *z.shape[1:])
    hertz = midi_to_hertz(np.broadcast_to(np.asarray(pitches, np.float64)[:, None], (i, p, v)).reshape(-1))
    rate = model.config.sample_rate_hz
    vibrato = [find_vibrato(note, own_hertz, rate) for note, own_hertz in zip(flat, hertz.tolist(), strict=True)]
    release = round(KEY_UP_SECONDS * FRAMES_PER_SECOND)
    return Bank(
        instruments=instruments,
        pitches=np.asarray(pitches),
        velocities=np.asarray(velocities),
        embeddings=embeddings,
        loops=find_loops(embeddings, release),
        vibrato=np.array(vibrato, np.float32).reshape(i, p, v, 3),
        stretch=np.zeros((i, p, v, 1), np.float32),
        tuning=np.zeros((i, p, v), np.float32),
        tones=np.zeros((i, p, v, 0, COLUMNS), np.float32),
        release=release,
    )


class Recorded(NamedTuple):
    """A note to go into a bank."""

    instrument: str
    pitch: int  # MIDI number
    velocity: int
    audio: np.ndarray  # [T] float32, 4 s

    @property
    def label(self) -> str:
        return f"{self.instrument}, pitch {self.pitch}, velocity {self.velocity}"


class Embedded(NamedTuple):
    """What is known of such a note but for its vibrato."""

    frames: np.ndarray  # [F, 16]
    stretch: np.ndarray  # [H] float32, as in `Bank.stretch`
    tuning: float  # cents
    tones: np.ndarray  # [MOST_TONES, COLUMNS] float32


class _Note(NamedTuple):
    """What goes into the bank."""

    embeddings: np.ndarray
    vibrato: Vibrato
    stretch: np.ndarray
    tuning: float
    tones: np.ndarray


Embed = Callable[[Iterable[Recorded]], Iterable[tuple[Recorded, Embedded]]]
"""Notes to notes as they are embedded, in order."""


def encoded(model: WaveNet, notes: Iterable[Recorded]) -> Iterator[tuple[Recorded, Embedded]]:
    """Notes with the embeddings that the model's encoder gives them; all partials in tune and in place, no tones."""
    on_multiples, no_tones = np.zeros(1, np.float32), np.zeros((MOST_TONES, COLUMNS), np.float32)
    for note in notes:
        yield note, Embedded(np.asarray(model.encode(note.audio[None]))[0], on_multiples, 0.0, no_tones)


def is_strange(model: WaveNet, audio: np.ndarray) -> bool:
    """Whether the encoder finds no timbre in most of what sounds of a note [T]: it has learnt nothing like it."""
    z = np.asarray(model.encode(audio[None]))[0]
    sounds = z[:, 0] > z[:, 0].max() - SOUNDING_DB / LEVEL_DB_PER_UNIT
    return bool((z[sounds, 1:] == 0.0).all(axis=1).mean() > 0.5)


def bank_of_notes(
    model: WaveNet,
    notes: Iterable[Recorded],
    embed: Embed | None = None,
    *,
    again: Callable[[Recorded], None] = lambda _: None,
) -> Bank:
    """A bank of whatever notes there are, which are embedded as they come; by the model's encoder if not by `embed`.

    It has every pitch and velocity that any instrument has. Where an instrument lacks one, its nearest pitch stands in,
    and of that the nearest velocity; of two notes alike the first counts, and the other is told to `again`. Notes that
    end early are held as `held_frames` says.
    """
    release = round(KEY_UP_SECONDS * FRAMES_PER_SECOND)
    embed = embed or functools.partial(encoded, model)
    found: dict[str, dict[tuple[int, int], _Note]] = {}
    for note, (frames, stretch, tuning, tones) in embed(_first_of_each(notes, again)):
        if not np.abs(frames).max() <= LARGEST_EMBEDDING:
            raise WavekeysError(f"{note.label}: its embedding is beyond what a bank can say; leave it out")
        vibrato = find_vibrato(note.audio, float(midi_to_hertz(note.pitch)), model.config.sample_rate_hz)
        order = held_frames(note.audio, len(frames), release)
        held = _Note(frames[order], vibrato, stretch, tuning, _tones_in(order, tones))
        found.setdefault(note.instrument, {})[note.pitch, note.velocity] = held
    if not found:
        raise WavekeysError("a bank has at least one note")
    pitches = sorted({pitch for own in found.values() for pitch, _ in own})
    velocities = sorted({velocity for own in found.values() for _, velocity in own})

    def nearest(own: dict[tuple[int, int], _Note], pitch: int, velocity: int) -> _Note:
        return own[min(own, key=lambda there: (abs(there[0] - pitch), abs(there[1] - velocity)))]

    notes_of = [[[nearest(own, p, v) for v in velocities] for p in pitches] for own in found.values()]
    arrays = {
        part: np.array([[[getattr(note, part) for note in row] for row in rows] for rows in notes_of], np.float32)
        for part in _Note._fields
    }
    most = int((arrays["tones"][..., 0] > 0).sum(axis=-1).max())
    arrays["tones"] = arrays["tones"][..., :most, :]
    return Bank(
        instruments=tuple(found),
        pitches=np.array(pitches),
        velocities=np.array(velocities),
        loops=find_loops(arrays["embeddings"], release),
        release=release,
        **arrays,
    )


def _tones_in(order: np.ndarray, tones: np.ndarray) -> np.ndarray:
    """Tones [K, COLUMNS] of a note whose frames come in another order [F]."""
    if np.array_equal(order, np.arange(len(order))):
        return tones
    there, told = tones[:, 0] > 0, np.zeros_like(tones)
    told[there] = tone_rows(tones[there, 0], tone_amplitudes(tones[there], order).T, np.ones(len(order), bool))
    return told


def _first_of_each(notes: Iterable[Recorded], again: Callable[[Recorded], None]) -> Iterator[Recorded]:
    """The notes without those that were there before, which are told to `again`."""
    seen = set()
    for note in notes:
        if note[:3] in seen:
            again(note)
        else:
            seen.add(note[:3])
            yield note


def held_frames(audio: np.ndarray, frames: int, release: int) -> np.ndarray:
    """Which frame of a note [T] sounds at each frame [F] of one that is held until `release`: numbers [F].

    A note that was let go or cut off before is prolonged: its sustain goes to and fro, then its end follows. One that
    has died away by itself, or was about to, stays as it is.
    """
    as_recorded = np.arange(frames)
    level = np.sqrt(np.mean(np.square(audio[: frames * (len(audio) // frames)]).reshape(frames, -1), axis=1))
    sounding = np.flatnonzero(level > FAINT * level.max())
    if not sounding.size:
        return as_recorded
    end = int(sounding[-1]) + 1
    last = end - ENDING_FRAMES
    first = round(SETTLED_SECONDS[0] * FRAMES_PER_SECOND)
    if end >= release or last <= first + 1 or level[last:end].max() < LET_GO * level.max():
        return as_recorded
    span = last - first
    decibels = 20.0 * np.log10(level[first : last + 1] + FAINT * level.max())
    if np.polyfit(np.arange(span + 1), decibels, 1)[0] * FRAMES_PER_SECOND < -DYING_DB:
        return as_recorded
    sustain = first + np.abs(span - np.arange(release - last) % (2 * span))
    return np.concatenate([as_recorded[:last], sustain, np.minimum(last + as_recorded, frames - 1)])[:frames]


def find_loops(embeddings: np.ndarray, release: int) -> np.ndarray:
    """Where each note [..., F, 16] is steady, as first and last frame [..., 2].

    A held note goes to and fro there, so its ends need not match; but nothing of the attack may be in it, or it would
    be heard again and again. So the sustain begins as early as it may while its frames, a straight trend taken off, are
    no more restless than in the last second before the release.
    """
    last = release - MARGIN_FRAMES
    earliest, latest = (round(seconds * FRAMES_PER_SECOND) for seconds in SETTLED_SECONDS)
    flat = embeddings.reshape(-1, *embeddings.shape[-2:])
    firsts = np.array([_settled(note[: last + 1], earliest, latest) for note in flat])
    loops = np.stack([firsts, np.full_like(firsts, last)], axis=-1)
    return loops.reshape(*embeddings.shape[:-2], 2).astype(np.int32)


def _settled(note: np.ndarray, earliest: int, latest: int) -> int:
    allowed = UNREST * _unrest(note[latest:]) + 1e-3
    for first in range(earliest, latest):
        if _unrest(note[first:]) <= allowed:
            return first
    return latest


def _unrest(frames: np.ndarray) -> float:
    """Root mean square around the straight line that fits best."""
    n = np.arange(len(frames)) - 0.5 * (len(frames) - 1)
    centred = frames - frames.mean(axis=0)
    trend = n @ centred / (n @ n)
    return float(np.sqrt(np.mean((centred - n[:, None] * trend) ** 2)))
