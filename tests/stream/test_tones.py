"""Tones in the places of partials: where and as loud as they are asked to be, on every backend."""

from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
import pytest

from synth import WaveNet
from synth.stream import Stream

FRAMES, RATE = 100, 16_000


@pytest.mark.parametrize("backend", ["jax", "cpu"])
@pytest.mark.parametrize("hertz", [500.0, 3000.0])
def test_a_tone_takes_the_place_of_a_partial(tiny_model: Callable[[str], WaveNet], backend: str, hertz: float) -> None:
    """The last but one's, some turns a sample away from it; the last's would be too high to sound."""
    model = tiny_model("live")
    z = np.zeros((1, FRAMES, 16), np.float32)
    z[..., 0] = 0.5  # the level: -20 dBFS
    stretch, tones = np.zeros((1, 16), np.float32), np.zeros((1, FRAMES, 16), np.float32)
    places = 0.37, 7600.0 / hertz
    stretch[0, 14:] = places[0] - 15.0, places[1] - 16.0
    tones[..., 14:] = 0.5 * np.linspace(0.0, 1.0, FRAMES)[None, :, None]
    stream = Stream(model, voices=1, backend=backend)
    plain = np.asarray(stream.generate(z, pitch_hz=[hertz]))[0]
    toned = np.asarray(
        Stream(model, voices=1, backend=backend).generate(z, pitch_hz=[hertz], stretch=stretch, tones=tones)
    )[0]
    pitch = jnp.full(1, hertz)
    frame = model.decoder.frame_prediction(model.decoder.frame_conditioning(jnp.asarray(z[:, :1]), pitch), pitch)
    t = np.arange(len(plain)) / RATE
    level = float(frame.gain[0, 0])
    amplitude = np.interp(np.arange(len(t)), np.arange(FRAMES) * 32, tones[0, :, 14])
    difference = level * amplitude * np.cos(2 * np.pi * (places[0] * hertz * t + 15 * 15 / 128))
    for k in (15, 16):
        partial = float(frame.amplitudes[0, 0, k - 1]) * np.cos(2 * np.pi * (k * hertz * t + k * k / 128))
        difference -= level * partial
    np.testing.assert_allclose((toned - plain)[32:], difference[32:], atol=2e-3 * np.abs(difference).max())
