"""Build a bank: encode notes, and find where a held note can loop."""

from __future__ import annotations

import numpy as np

from synth.bank.bank import FRAMES_PER_SECOND, Bank
from synth.wavenet import WaveNet

KEY_UP_SECONDS = 3.0  # NSynth's notes are held so long
SETTLED_SECONDS = (0.3, 1.9)  # a sustain begins between these
MARGIN_FRAMES = 5  # by which the encoder foresees the release
UNREST = 1.15  # a sustain may be so much more restless than its last second


def build_bank(
    model: WaveNet, audio: np.ndarray, *, instruments: tuple[str, ...], pitches: np.ndarray, velocities: np.ndarray
) -> Bank:
    """A bank of notes [I, P, V, T] float32, held for 3 of their 4 seconds."""
    i, p, v, samples = audio.shape
    flat = audio.reshape(-1, samples)
    z = np.concatenate([np.asarray(model.encode(flat[n : n + 25])) for n in range(0, len(flat), 25)])
    embeddings = z.reshape(i, p, v, *z.shape[1:])
    release = round(KEY_UP_SECONDS * FRAMES_PER_SECOND)
    return Bank(
        instruments=instruments,
        pitches=np.asarray(pitches),
        velocities=np.asarray(velocities),
        embeddings=embeddings,
        loops=find_loops(embeddings, release),
        release=release,
    )


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
