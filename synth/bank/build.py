"""Build a bank: encode notes, and find where a held note can loop."""

from __future__ import annotations

import numpy as np

from synth.bank.bank import Bank
from synth.wavenet import WaveNet

LOOP_SECONDS = (1.6, 2.85)  # of NSynth's notes, whose key is held for 3 seconds: settled, and clear of the release


def build_bank(
    model: WaveNet, audio: np.ndarray, *, instruments: tuple[str, ...], pitches: np.ndarray, velocities: np.ndarray
) -> Bank:
    """A bank of notes [I, P, V, T] float32, held for 3 of their 4 seconds."""
    i, p, v, samples = audio.shape
    flat = audio.reshape(-1, samples)
    z = np.concatenate([np.asarray(model.encode(flat[n : n + 25])) for n in range(0, len(flat), 25)])
    frames_per_second = model.config.sample_rate_hz / model.config.hop
    loop = tuple(round(seconds * frames_per_second) for seconds in LOOP_SECONDS)
    return Bank(
        instruments=instruments,
        pitches=np.asarray(pitches),
        velocities=np.asarray(velocities),
        embeddings=z.reshape(i, p, v, *z.shape[1:]),
        loop=(loop[0], loop[1]),
    )
