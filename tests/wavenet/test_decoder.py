"""What frames tell the decoder."""

from __future__ import annotations

from collections.abc import Callable

import jax
import numpy as np

from synth import WaveNet
from synth.wavenet.decoder import LOUDEST


def test_partials_are_no_louder_than_a_frame_can_be(tiny_model: Callable[[str], WaveNet]) -> None:
    """Whatever an embedding says that no encoder has ever given."""
    decoder = tiny_model("live").decoder
    hertz = np.full(2, 110.0, np.float32)
    usual = np.asarray(jax.random.normal(jax.random.key(0), (2, 8, 16)))

    def loudness(embeddings: np.ndarray) -> np.ndarray:
        frame = decoder.frame_prediction(decoder.frame_conditioning(embeddings, hertz), hertz)
        return np.sqrt(np.square(np.asarray(frame.amplitudes)).sum(axis=-1) / 2.0)

    assert loudness(usual).max() < LOUDEST
    wild = loudness(1000.0 * usual)
    assert wild.max() > 0.999 * LOUDEST  # or nothing would have been bounded
    assert wild.max() <= 1.0001 * LOUDEST
