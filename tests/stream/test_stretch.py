"""Partials that are no multiples of the pitch stand where they are asked to be, for as long as a note sounds."""

from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
import pytest

from synth import WaveNet
from synth.stream import Stream

FRAMES, HZ, RATE = 700, 500.0, 16_000


@pytest.mark.parametrize("backend", ["jax", "cpu"])
def test_stretched_partials_and_those_on_multiples_differ_by_what_they_should(
    tiny_model: Callable[[str], WaveNet], backend: str
) -> None:
    """The rest does not hear the partials, so all else is the same."""
    model = tiny_model("live")
    random = np.random.default_rng(0)
    z = random.normal(scale=0.3, size=(1, 1, 16)).astype(np.float32).repeat(FRAMES, axis=1)
    z[..., 0] = 0.5  # the level: -20 dBFS
    stretch = random.uniform(-0.5, 0.5, size=16)
    stretch[13:] = 0.6  # the fifteenth would be at 7.8 kHz
    plain, stretched = (
        Stream(model, voices=1, backend=backend).generate(z, pitch_hz=[HZ], stretch=at, block=100)[0]
        for at in (None, stretch[None])
    )
    hertz = jnp.full(1, HZ)
    frame = model.decoder.frame_prediction(model.decoder.frame_conditioning(jnp.asarray(z[:, :1]), hertz), hertz)
    t = np.arange(len(plain)) / RATE
    difference = np.zeros(len(t))
    for k, amplitude in enumerate(np.asarray(frame.amplitudes[0, 0]).tolist(), 1):
        moved = min(k + stretch[k - 1], max(0.49 * RATE / HZ, k)) * HZ
        for hertz_there, sign in ((moved, 1), (k * HZ, -1)):
            turns = hertz_there * t + k * k / 128
            difference += sign * float(frame.gain[0, 0]) * amplitude * np.cos(2 * np.pi * turns)
    assert np.abs(difference).max() > 0.01
    np.testing.assert_allclose(stretched - plain, difference, atol=2e-3 * np.abs(difference).max())


def test_a_partial_that_would_fold_is_held_below(tiny_model: Callable[[str], WaveNet]) -> None:
    stream = Stream(tiny_model("live"), voices=1, backend="jax")
    sound = stream.generate(np.zeros((1, 8, 16), np.float32), pitch_hz=[2500.0], stretch=np.full((1, 16), 0.5))
    assert np.isfinite(sound).all()
