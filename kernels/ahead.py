"""What a block's samples need that does not depend on the samples: computed for the whole block before its first step.

The accelerators' kernels walk through time, all voices at once, and should do nothing there that can be done ahead: the
conditioning on its way between two frames, the pitch clock's share of the first layer, the partials' sum, the uniforms,
and how far back each voice may look. XLA computes them in a few wide operations on the same device.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from synth.kernels import sampling
from synth.kernels.clock import clock_features, partials, stray
from synth.kernels.reference import conditioning_at
from synth.kernels.spec import HISTORY, Block, Sizes, State, Weights

SCALARS = ("u", "v", "temperature", "scale", "gain", "harmonics", "rest")  # the last axis of `Ahead.scalars`
_OLD = 2**30  # an age beyond every dilation that still fits 32 signed bits


class Ahead(NamedTuple):
    """Inputs of each sample, time first. A voice that has not begun computes what nobody hears."""

    age: Array  # [T, V] int32: samples since the voice began, at most 2**30
    sounding: Array  # [T, V] int32: 0 before the voice's first sample of the block
    enter: Array  # [T, V, R]: the first layer's input but for the past samples' share
    gates: Array  # [T, L, V, 2R]
    out1: Array  # [T, V, S]
    coefficients: Array  # [T, V, P] of the linear prediction
    scalars: Array  # [T, V, len(SCALARS)]


class After(NamedTuple):
    """What is known ahead of the `State` after a block."""

    strayed: Array  # [V, H] uint32
    age: Array  # [V] uint32
    step: Array  # [] uint32


def look_ahead(sizes: Sizes, weights: Weights, state: State, block: Block) -> tuple[Ahead, After]:
    """What a block's samples need, and what will be after them."""
    samples = block.clock.shape[1]
    sample = jnp.arange(samples, dtype=jnp.int32)
    columns = jax.vmap(lambda t: conditioning_at(sizes, block, t))(sample)
    sounding = sample[:, None] >= block.begin[None]
    starting = (block.fresh != 0) & (block.begin < samples)
    before = jnp.where(starting, jnp.uint32(0), state.age)
    since = jnp.maximum(sample[:, None] - block.begin[None], 0).astype(jnp.uint32)
    age = before[None] + since
    clock = block.clock.T
    enter = jnp.broadcast_to(weights.start_bias, (*clock.shape, sizes.residual))
    if sizes.clock_harmonics:
        features = clock_features(clock, sizes.clock_harmonics)
        enter = enter + jnp.matmul(features, weights.clock, precision=lax.Precision.HIGHEST)
    u, v = (sampling.uniform(bits) for bits in sampling.threefry(jnp.broadcast_to(block.seed, age.shape), age))
    strayed = jnp.where(starting[:, None], jnp.uint32(0), state.strayed)
    if sizes.mixtures:
        by = jnp.where(sounding[..., None], stray(columns.detuning), jnp.uint32(0))
        come = strayed[None] + jnp.cumsum(by, axis=0, dtype=jnp.uint32)
        strayed = come[-1]
        harmonics = jnp.sum(columns.amplitudes * partials(clock, sizes.harmonics, come - by), axis=-1)
        scalars = [u, v, block.temperature.T, columns.scale, columns.gain, harmonics, columns.rest]
    else:
        ones = jnp.ones_like(u)
        scalars = [u, v, block.temperature.T, ones, ones, jnp.zeros_like(u), ones]
    ahead = Ahead(
        jnp.minimum(age, jnp.uint32(_OLD)).astype(jnp.int32),
        sounding.astype(jnp.int32),
        enter,
        columns.gates.swapaxes(1, 2),
        columns.out1,
        columns.predictor,
        jnp.stack(scalars, axis=-1),
    )
    heard = jnp.maximum(samples - block.begin, 0).astype(jnp.uint32)
    return ahead, After(strayed, before + heard, state.step + jnp.uint32(samples))


def audio_of(sizes: Sizes, ahead: Ahead, value: Array) -> Array:
    """Audio [V, T] of what was drawn [T, V], in the units of `State.history`."""
    if sizes.mixtures:
        _, _, _, _, gain, harmonics, rest = jnp.moveaxis(ahead.scalars, -1, 0)
        audio = (harmonics + rest * jnp.clip(value, -sampling.LARGEST, sampling.LARGEST)) * gain
    else:
        audio = sampling.mu_law_decode((value * 128.0).astype(jnp.int32) + 128)
    return jnp.where(ahead.sounding > 0, audio, 0.0).T


def first_rows(sizes: Sizes, step: Array) -> Array:
    """The row of each layer's ring that `step` comes to: [L] int32."""
    lengths = [(sizes.filter_width - 1) * dilation for dilation in sizes.dilations]
    return jnp.stack([step % jnp.uint32(length) for length in lengths]).astype(jnp.int32)


def latest_first(history: Array, step: Array) -> Array:
    """The ring of past inputs [V, HISTORY] that is indexed by `step`, as a row with the latest first."""
    index = (step.astype(jnp.int32) - 1 - jnp.arange(HISTORY, dtype=jnp.int32)) % HISTORY
    return history[:, index]


def ring(recent: Array, step: Array) -> Array:
    """`latest_first`, undone for a stream that has come to `step`."""
    index = (step.astype(jnp.int32) - 1 - jnp.arange(HISTORY, dtype=jnp.int32)) % HISTORY
    return jnp.zeros_like(recent).at[:, index].set(recent)
