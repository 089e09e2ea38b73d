"""The incremental decoder in pure JAX: the definition that every other kernel is tested against.

One sample at a time (Paine et al. 2016, "Fast WaveNet"): each layer keeps its past inputs in a ring, so that a step
costs one column of every convolution. It runs on any device.
"""

from __future__ import annotations

import contextlib
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from synth.kernels import sampling
from synth.kernels.clock import clock_features, partials, stray
from synth.kernels.spec import HISTORY, Block, Sizes, State, Weights


class Columns(NamedTuple):
    """One sample's conditioning, taken apart; see `Sizes.conditioning`."""

    gates: Array  # [V, L, 2R]
    out1: Array  # [V, S]
    predictor: Array  # [V, P]
    amplitudes: Array  # [V, H]
    detuning: Array  # [V, H]
    scale: Array  # [V]
    rest: Array  # [V]
    gain: Array  # [V]


def conditioning_at(sizes: Sizes, block: Block, sample: Array) -> Columns:
    """The conditioning of the block's `sample`-th sample, for every voice."""
    position = jnp.maximum(block.position + sample, 0)
    last = block.conditioning.shape[1] - 1
    frame = jnp.minimum(position // sizes.hop, last)
    row = jnp.take_along_axis(block.conditioning, frame[:, None, None], axis=1)[:, 0]
    if sizes.smooth:
        following = jnp.take_along_axis(block.conditioning, jnp.minimum(frame + 1, last)[:, None, None], axis=1)[:, 0]
        fraction = (position % sizes.hop).astype(jnp.float32) * (1.0 / sizes.hop)
        row = row + fraction[:, None] * (following - row)
    voices, gates = row.shape[0], sizes.layers * 2 * sizes.residual
    head = gates + sizes.skip
    harmonics = head + sizes.prediction_order
    return Columns(
        row[:, :gates].reshape(voices, sizes.layers, 2 * sizes.residual),
        row[:, gates:head],
        row[:, head:harmonics],
        row[:, harmonics : harmonics + sizes.harmonics],
        row[:, harmonics + sizes.harmonics : harmonics + 2 * sizes.harmonics],
        row[:, -3],
        row[:, -2],
        row[:, -1],
    )


def inputs_before(state: State, delay: Array) -> Array:
    """The inputs `delay` samples before this one: [V, N] int32 -> [V, N], zeros before the voice began."""
    index = (state.step.astype(jnp.int32) - delay) % HISTORY
    values = jnp.take_along_axis(state.history, index, axis=1)
    return jnp.where(delay <= state.age[:, None].astype(jnp.int32), values, 0.0)


def network(
    sizes: Sizes, weights: Weights, state: State, x: Array, columns: Columns, writes: Array
) -> tuple[Array, Array]:
    """From the first layer's input x [V, R], the head's outputs [V, O] and the caches, written where `writes` [V]."""
    r, cache = sizes.residual, state.cache
    skips = x @ weights.skip_start + weights.skip_bias[None]
    for layer, dilation in enumerate(sizes.dilations):
        length = (sizes.filter_width - 1) * dilation
        offset = sizes.cache_offsets[layer]
        gates = x @ weights.taps[layer, -1] + columns.gates[:, layer]
        for tap in range(sizes.filter_width - 1):
            distance = (sizes.filter_width - 1 - tap) * dilation
            row = offset + ((state.step + jnp.uint32(length - distance)) % length).astype(jnp.int32)
            past = lax.dynamic_slice_in_dim(cache, row, 1, axis=1)[:, 0]
            gates = gates + jnp.where((state.age >= distance)[:, None], past, 0.0) @ weights.taps[layer, tap]
        row = offset + (state.step % length).astype(jnp.int32)
        kept = lax.dynamic_slice_in_dim(cache, row, 1, axis=1)
        cache = lax.dynamic_update_slice_in_dim(cache, jnp.where(writes[:, None, None], x[:, None], kept), row, axis=1)
        gated = jax.nn.sigmoid(gates[:, :r]) * jnp.tanh(gates[:, r:])
        skips = skips + gated @ weights.skip[layer]
        x = x + gated @ weights.residual[layer] + weights.residual_bias[layer][None]
    hidden = jax.nn.relu(skips) @ weights.out1 + columns.out1
    return jax.nn.relu(hidden) @ weights.logits + weights.logits_bias[None], cache


def _step(
    sizes: Sizes, weights: Weights, block: Block, forced: Array | None, state: State, sample: Array
) -> tuple[State, tuple[Array, Array, Array]]:
    """One sample of every voice: the new state, and (audio [V], outputs [V, O], prediction [V])."""
    sounding = sample >= block.begin
    starting = (sample == block.begin) & (block.fresh != 0)
    state = state._replace(
        age=jnp.where(starting, jnp.uint32(0), state.age),
        strayed=jnp.where(starting[:, None], jnp.uint32(0), state.strayed),
    )
    columns = conditioning_at(sizes, block, sample)
    voices = state.age.shape[0]
    reach = jnp.arange(1, max(sizes.input_taps, sizes.prediction_order) + 1, dtype=jnp.int32)
    recent = inputs_before(state, jnp.broadcast_to(reach, (voices, reach.shape[0])))  # the latest first
    x = recent[:, : sizes.input_taps][:, ::-1] @ weights.start + weights.start_bias[None]
    seen = recent[:, : sizes.prediction_order]
    if sizes.clock_harmonics:
        x = x + clock_features(block.clock[:, sample], sizes.clock_harmonics) @ weights.clock
    outputs, cache = network(sizes, weights, state, x, columns, sounding)
    u, v = (sampling.uniform(bits) for bits in sampling.threefry(block.seed, state.age))
    if sizes.mixtures:
        sounds = partials(block.clock[:, sample], sizes.harmonics, state.strayed)
        harmonics = jnp.sum(columns.amplitudes * sounds, axis=-1)
        predicted = jnp.sum(seen * columns.predictor, axis=-1)
        value = predicted + columns.scale * sampling.logistic(outputs, u, v, block.temperature[:, sample])
        value = jnp.clip(value, -sampling.FARTHEST, sampling.FARTHEST)
        heard = jnp.clip(value, -sampling.LARGEST, sampling.LARGEST)
        audio = (harmonics + columns.rest * heard) * columns.gain
        prediction = harmonics + columns.rest * predicted
    else:
        prediction = jnp.zeros_like(u)
        bins = sampling.categorical(outputs, u, block.temperature[:, sample])
        value = (bins.astype(jnp.float32) - 128.0) / 128.0
        audio = sampling.mu_law_decode(bins)
    if forced is not None:
        value = (forced[:, sample] - harmonics) / columns.rest if sizes.mixtures else forced[:, sample]
    now = (state.step % HISTORY).astype(jnp.int32)
    kept = lax.dynamic_slice_in_dim(state.history, now, 1, axis=1)
    written = jnp.where(sounding[:, None], value[:, None], kept)
    strayed = state.strayed + stray(columns.detuning) if sizes.mixtures else state.strayed
    state = State(
        cache,
        lax.dynamic_update_slice_in_dim(state.history, written, now, axis=1),
        jnp.where(sounding[:, None], strayed, state.strayed),
        jnp.where(sounding, state.age + jnp.uint32(1), state.age),
        state.step + jnp.uint32(1),
    )
    return state, (jnp.where(sounding, audio, 0.0), outputs, prediction)


def _exact_products() -> contextlib.AbstractContextManager[None]:
    """Products in float32, also on accelerators, whose matrix units would round their inputs to 10 bits or 7."""
    return jax.default_matmul_precision("highest")


@functools.partial(jax.jit, static_argnums=0, donate_argnums=2)
def generate(sizes: Sizes, weights: Weights, state: State, block: Block) -> tuple[Array, State]:
    """The next T samples of every voice: [V, T] float32, and the state after them."""
    step = functools.partial(_step, sizes, weights, block, None)
    with _exact_products():
        state, (audio, _, _) = lax.scan(step, state, jnp.arange(block.clock.shape[1]))
    return audio.T, state


@functools.partial(jax.jit, static_argnums=0, donate_argnums=2)
def score(sizes: Sizes, weights: Weights, state: State, block: Block, forced: Array) -> tuple[Array, Array, State]:
    """The head's outputs [V, T, O] and the predictions [V, T] (harmonic and linear) for samples `forced` [V, T].

    Forced samples are in units of the level with a mixture, else mu-law codes / 128.
    """
    step = functools.partial(_step, sizes, weights, block, forced)
    with _exact_products():
        state, (_, outputs, prediction) = lax.scan(step, state, jnp.arange(block.clock.shape[1]))
    return outputs.swapaxes(0, 1), prediction.T, state
