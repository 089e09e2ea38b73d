"""What frames tell the decoder."""

from __future__ import annotations

from collections.abc import Callable

import jax
import numpy as np
import pytest

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


@pytest.mark.parametrize(
    "audio", [np.full((1, 640), np.nan, np.float32), np.zeros((1, 640), np.int16), np.zeros((0, 640))]
)
def test_what_is_no_sound_is_not_encoded(tiny_model: Callable[[str], WaveNet], audio: np.ndarray) -> None:
    with pytest.raises(ValueError, match="audio must be"):
        tiny_model("live").encode(audio)
