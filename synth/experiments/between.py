"""What lies between two notes: their sounds mixed, and their embeddings."""

from __future__ import annotations

import numpy as np

from synth.bank import arithmetic
from synth.stream import BatchDecoder
from synth.wavenet import WaveNet


def between(
    model: WaveNet,
    decoder: BatchDecoder,
    first: np.ndarray,
    second: np.ndarray,
    *,
    steps: int,
    pitch: float | None,
    temperature: float = 1.0,
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """From one note [T] to another in even steps: mixtures of their sounds, and sounds of the mixtures of embeddings.

    The ends of the latter are what the model makes of the notes. All use one seed, so that only the embedding changes.
    `pitch` is a MIDI number, for a model with a pitch clock.
    """
    length = max(len(first), len(second))
    pair = np.stack([np.pad(audio, (0, length - len(audio))) for audio in (first, second)])
    mixed = [(1.0 - t) * pair[0] + t * pair[1] for t in np.linspace(0.0, 1.0, steps, dtype=np.float32)]
    begin, end = np.asarray(model.encode(pair))
    z = arithmetic.interpolate(begin, end, steps)
    decoded = decoder.all(list(z), pitches=[pitch] * steps, seeds=[0] * steps, temperature=temperature)
    return mixed, [sound[:length] for sound in decoded]
