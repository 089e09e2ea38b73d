"""Mu-law companding to 256 bins, as NSynth does it (magenta/models/nsynth/utils.py).

A code k is an integer from -128 to 127; the network sees k / 128, a label is k + 128. NSynth does not clip, so
that a sample of +1.0 gets the invalid label 256 there; here it gets 255.
"""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from synth.kernels import sampling

MU = 255.0
LEVELS = 256


def encode(audio: ArrayLike) -> Array:
    """Codes (int32, -128 to 127) of samples in [-1, 1]; samples outside are clipped. Any shape."""
    x = jnp.asarray(audio, jnp.float32)
    companded = jnp.sign(x) * jnp.log(1.0 + MU * jnp.abs(x)) / jnp.log(1.0 + MU)
    return jnp.clip(jnp.floor(companded * 128.0), -128, 127).astype(jnp.int32)


def decode(codes: ArrayLike) -> Array:
    """Samples (float32) at the centres of the bins; code 0 is exactly 0. Any shape."""
    return sampling.mu_law_decode(jnp.asarray(codes, jnp.int32) + 128)


def edges() -> Array:
    """The 255 inner edges between the 256 bins, as samples [255], rising."""
    companded = jnp.arange(-127, 128, dtype=jnp.float32) / 128.0
    return jnp.sign(companded) / MU * (jnp.exp(jnp.abs(companded) * jnp.log1p(MU)) - 1.0)
