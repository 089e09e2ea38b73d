"""From the head's outputs to a sample, as `synth.kernels.sampling`, in operations that a TPU's vector unit has.

Voices are rows; a number of a voice is a column [V, 1]. Cumulative sums are products with a triangle of ones, picks are
sums over a mask: the chip has neither scans nor gathers along a row.
"""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array, lax

from synth.kernels import sampling


def bin_at(logits: Array, count: int, u: Array, temperature: Array) -> Array:
    """The bin at quantile u of softmax of the first `count` of the logits [V, O]: [V, 1] int32."""
    bins = logits.shape[-1]
    lane = lax.broadcasted_iota(jnp.int32, logits.shape, 1)
    held = jnp.where(lane < count, logits, -jnp.inf)
    scaled = (held - held.max(axis=-1, keepdims=True)) / jnp.maximum(temperature, 1e-6)
    row, column = (lax.broadcasted_iota(jnp.int32, (bins, bins), axis) for axis in (0, 1))
    triangle = jnp.where(row <= column, 1.0, 0.0)
    cumulative = jnp.dot(jnp.exp(scaled), triangle, precision=lax.Precision.HIGHEST)
    total = jnp.sum(jnp.where(lane == count - 1, cumulative, 0.0), axis=-1, keepdims=True)
    below = jnp.sum(jnp.where((cumulative <= u * total) & (lane < count), 1.0, 0.0), axis=-1, keepdims=True)
    return jnp.minimum(below.astype(jnp.int32), count - 1)


def logistic(outputs: Array, u: Array, v: Array, temperature: Array) -> Array:
    """A draw from a mixture of logistics, outputs [V, 3 M]: [V, 1], in units of the frame's scale."""
    mixtures = outputs.shape[-1] // 3
    chosen = bin_at(outputs, mixtures, u, temperature)
    lane = lax.broadcasted_iota(jnp.int32, outputs.shape, 1)

    def pick(part: int) -> Array:
        return jnp.sum(jnp.where(lane == chosen + part * mixtures, outputs, 0.0), axis=-1, keepdims=True)

    v = sampling.LOGISTIC_TAIL + v * (1.0 - 2.0 * sampling.LOGISTIC_TAIL)
    quantile = jnp.log(v) - jnp.log(1.0 - v)
    mean = jnp.clip(pick(1), -sampling.LARGEST_MEAN, sampling.LARGEST_MEAN)
    log_scale = jnp.clip(pick(2), sampling.MIN_LOG_SCALE, sampling.MAX_LOG_SCALE)
    return mean + temperature * jnp.exp(log_scale) * quantile
