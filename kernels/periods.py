"""The input a whole number of periods ago, at fractional delays: what a long-term predictor and the network may see.

A harmonic sound repeats after a period of its pitch clock. Speech coders have long used this (the adaptive codebook of
CELP; Schroeder and Atal 1985), and neural ones too (QPNet, Wu et al. 2019): a small network need not learn a delay
line.

Delays are in 1/256 of a sample, so that every backend interpolates with the same table row.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import Array

HISTORY = 2048  # past inputs that a voice remembers; a power of two, at least 3 periods of A0 at 16 kHz
STEPS = 256  # fractional delays
WIDTH = 8  # samples that an interpolation weighs
AROUND = (-1, 0, 1)  # samples around each whole period


def interpolation_table() -> np.ndarray:
    """Kaiser-windowed sinc rows [STEPS, WIDTH]: row f weighs delays d - 3 to d + 4 to give d + f / 256."""
    offset = np.arange(WIDTH) - (WIDTH // 2 - 1) - np.arange(STEPS)[:, None] / STEPS
    table = np.sinc(0.95 * offset) * np.i0(6.0 * np.sqrt(np.maximum(0.0, 1.0 - (offset / (WIDTH / 2)) ** 2)))
    return (table / table.sum(axis=1, keepdims=True)).astype(np.float32)


def delays(period: Array, periods: int) -> Array:
    """Delays of the period taps in 1/256 samples: [...] samples -> [..., 3 * periods] int32.

    They stay within the history, and far enough back to interpolate.
    """
    multiples = np.repeat(np.arange(1, periods + 1), len(AROUND)).astype(np.float32)
    around = np.tile(np.array(AROUND, np.float32), periods)
    shape = (*period.shape, len(multiples))
    delay = period[..., None] * jnp.broadcast_to(multiples, shape) + jnp.broadcast_to(around, shape)
    return jnp.round(jnp.clip(delay, WIDTH // 2 + 1, HISTORY - WIDTH) * STEPS).astype(jnp.int32)


def taps(delay: Array) -> tuple[Array, Array]:
    """Whole delays [..., WIDTH] int32 and their weights [..., WIDTH] float32, of fractional delays [...]."""
    whole = (delay // STEPS)[..., None] + jnp.broadcast_to(
        jnp.arange(WIDTH, dtype=jnp.int32) - (WIDTH // 2 - 1), (*delay.shape, WIDTH)
    )
    return whole, jnp.asarray(interpolation_table())[delay % STEPS]
