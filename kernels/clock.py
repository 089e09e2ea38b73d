"""What the decoder makes of the pitch clock's phase: inputs of the first layer, and the partials of the harmonic part.

Phases are uint32, 2**32 a turn: k times a phase is exact, wraps for free, and agrees on every backend.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import Array


def clock_features(phase: Array, harmonics: int) -> Array:
    """sin and cos of the first harmonics of a phase: [...] uint32 -> [..., 2 * harmonics]."""
    k = jnp.arange(1, harmonics + 1, dtype=jnp.uint32)
    angle = _angle(phase[..., None] * jnp.broadcast_to(k, (*phase.shape, harmonics)))
    return jnp.concatenate([jnp.sin(angle), jnp.cos(angle)], axis=-1)


def partials(phase: Array, count: int, strayed: Array | None = None) -> Array:
    """The clock's partials, cos(k * phase + pi k**2 / 64 + strayed) for k = 1 to `count`: [...] uint32 -> [..., count].

    The fixed phases that grow with the square of k keep their sum from peaking (Schroeder 1970). `strayed` [..., count]
    uint32 is how far partials that are no multiples have come from where they would be.
    """
    k = jnp.arange(1, count + 1, dtype=jnp.uint32)
    shape = (*phase.shape, count)
    turns = phase[..., None] * jnp.broadcast_to(k, shape) + jnp.broadcast_to(k * k * jnp.uint32(2**25), shape)
    return jnp.cos(_angle(turns if strayed is None else turns + strayed))


def stray(detuning: Array) -> Array:
    """How far partials detuned by so many turns a sample, less than 32, stray in one: [...] -> [...] uint32.

    To 2**-26 of a turn, a quarter of a thousandth of a hertz, or as closely as float32 tells the detuning.
    """
    return (detuning * jnp.float32(2.0**26)).astype(jnp.int32).astype(jnp.uint32) << jnp.uint32(6)


def _angle(turns: Array) -> Array:
    """Radians in [-pi, pi) of a phase."""
    return turns.astype(jnp.int32).astype(jnp.float32) * (np.pi / 2**31)
