"""The walk through time on one TPU core: a grid over stretches of samples, the voices' state in VMEM all along.

A step is as in `synth.kernels.reference`, each product one matrix of all voices, [V, K] @ [K, N]. The grid's pipeline
brings the next stretch's `Ahead` while this one is decoded; weights are fetched once, caches at the first stretch, and
they go back at the last. A voice's past is masked by its age, so voices at rest need no case of their own.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.experimental import pallas as pl
from jax.experimental.pallas import tpu as pltpu

from synth.errors import WavekeysError
from synth.kernels import sampling
from synth.kernels.ahead import Ahead, audio_of, first_rows, latest_first, look_ahead, ring
from synth.kernels.spec import HISTORY, Block, Sizes, State, Weights, finite
from synth.kernels.tpu.draw import bin_at, logistic
from synth.kernels.tpu.estimate import STRETCH, VMEM_BYTES, vmem_bytes

DTYPES = {"fp32": jnp.float32, "bf16": jnp.bfloat16}


class Matrices(NamedTuple):
    """What the kernel holds in VMEM; those of the layers, and `out1`, in the precision asked for."""

    start: Array  # [HISTORY, R], the latest input first, zeros beyond the taps
    skip_start: Array  # [R, S]
    taps: Array  # [L, K, R, 2R]
    residual: Array  # [L, R, R]
    residual_bias: Array  # [L, 1, R]
    skip: Array  # [L, R, S]
    skip_bias: Array  # [1, S]
    out1: Array  # [S, S]
    logits: Array  # [S, O]
    logits_bias: Array  # [1, O]


class Packed(NamedTuple):
    """The reference's weights, for what is computed ahead, and the kernel's."""

    weights: Weights
    matrices: Matrices


def prepare(sizes: Sizes, weights: Weights, precision: str = "fp32") -> Packed:
    """Lay the weights out for the kernel. Raises WavekeysError for a weight that is not a number."""
    finite(weights)
    dtype = DTYPES[precision]
    start = jnp.zeros((HISTORY, sizes.residual)).at[: sizes.input_taps].set(weights.start[::-1])
    matrices = Matrices(
        start=start,
        skip_start=weights.skip_start,
        taps=weights.taps.astype(dtype),
        residual=weights.residual.astype(dtype),
        residual_bias=weights.residual_bias[:, None],
        skip=weights.skip.astype(dtype),
        skip_bias=weights.skip_bias[None],
        out1=weights.out1.astype(dtype),
        logits=weights.logits,
        logits_bias=weights.logits_bias[None],
    )
    return Packed(weights, matrices)


def precision_of(packed: Packed) -> str:
    return next(name for name, dtype in DTYPES.items() if packed.matrices.taps.dtype == dtype)


def _times(x: Array, matrix: Array) -> Array:
    """A product in the matrix's type, summed in fp32."""
    precision = lax.Precision.HIGHEST if matrix.dtype == jnp.float32 else lax.Precision.DEFAULT
    return jnp.dot(x.astype(matrix.dtype), matrix, precision=precision, preferred_element_type=jnp.float32)


def _decode(
    sizes: Sizes,
    rows: Any,  # [L] int32 in SMEM: `first_rows`
    ahead: Ahead,  # of this stretch
    forced: Any | None,  # [stretch, V, 1]
    matrices: Matrices,
    state: tuple[Any, Any],  # cache [rows, V, R] and recent inputs [V, HISTORY] before the block, in HBM
    results: tuple[Any, ...],  # those after it, in HBM; of this stretch what was drawn, or outputs and predictions
    kept: tuple[Any, Any],  # the same in VMEM
) -> None:
    r, (cache, recent) = sizes.residual, kept
    number, count = pl.program_id(0), pl.num_programs(0)
    samples = ahead.age.shape[0]

    @pl.when(number == 0)
    def _() -> None:
        pltpu.sync_copy(state[0], cache)
        pltpu.sync_copy(state[1], recent)

    def step(i: Array, _nothing: None) -> None:
        now = number * samples + i
        age = ahead.age[i]
        seen = jnp.where(age > 0, recent[...], 0.0)
        x = ahead.enter[i] + _times(seen, matrices.start[...])
        skips = _times(x, matrices.skip_start[...]) + matrices.skip_bias[...]
        for layer, dilation in enumerate(sizes.dilations):
            length = (sizes.filter_width - 1) * dilation
            offset, row = sizes.cache_offsets[layer], rows[layer] + now
            gates = _times(x, matrices.taps[layer, -1]) + ahead.gates[i, layer]
            for tap in range(sizes.filter_width - 1):
                distance = (sizes.filter_width - 1 - tap) * dilation
                past = cache[offset + (row + length - distance) % length]
                gates = gates + _times(jnp.where(age >= distance, past, 0.0), matrices.taps[layer, tap])
            cache[offset + row % length] = x
            gated = jax.nn.sigmoid(gates[:, :r]) * jnp.tanh(gates[:, r:])
            skips = skips + _times(gated, matrices.skip[layer])
            x = x + _times(gated, matrices.residual[layer]) + matrices.residual_bias[layer]
        hidden = _times(jnp.maximum(skips, 0.0), matrices.out1[...]) + ahead.out1[i]
        outputs = _times(jnp.maximum(hidden, 0.0), matrices.logits[...]) + matrices.logits_bias[...]
        scalars = ahead.scalars[i]
        u, v, temperature, scale, _, harmonics, rest = (scalars[:, k : k + 1] for k in range(scalars.shape[1]))
        if sizes.mixtures:
            predicted = jnp.sum(seen * ahead.coefficients[i], axis=-1, keepdims=True)
            value = predicted + scale * logistic(outputs, u, v, temperature)
            value = jnp.clip(value, -sampling.FARTHEST, sampling.FARTHEST)
        else:
            predicted = jnp.zeros_like(u)
            bins = bin_at(outputs, sizes.outputs, u, temperature)
            value = (bins.astype(jnp.float32) - 128.0) / 128.0
        if forced is None:
            results[2][i] = value
        else:
            value = (forced[i] - harmonics) / rest if sizes.mixtures else forced[i]
            results[2][i] = outputs
            results[3][i] = harmonics + rest * predicted
        lane = lax.broadcasted_iota(jnp.int32, seen.shape, 1)
        recent[...] = jnp.where(lane == 0, value, jnp.roll(seen, 1, axis=1))

    lax.fori_loop(0, samples, step, None)

    @pl.when(number == count - 1)
    def _() -> None:
        pltpu.sync_copy(cache, results[0])
        pltpu.sync_copy(recent, results[1])


def _call(
    sizes: Sizes, packed: Packed, state: State, block: Block, forced: Array | None, interpret: bool
) -> tuple[State, tuple[Array, ...]]:
    """The state after the block, then audio [V, T], or outputs [V, T, O] and predictions [V, T]."""
    needed = vmem_bytes(sizes, precision_of(packed), block.clock.shape[0])
    if needed > VMEM_BYTES and not interpret:
        raise WavekeysError(
            f"the TPU kernel would need {needed / 2**20:.0f} MiB on the chip for {block.clock.shape[0]} voices and has "
            f"{VMEM_BYTES // 2**20}; use fewer voices, bf16, or --backend jax"
        )
    known, after = look_ahead(sizes, packed.weights, state, block)
    voices, samples = block.clock.shape
    ahead = known._replace(
        age=known.age[..., None],
        sounding=known.sounding[..., None],
        coefficients=jnp.pad(known.coefficients, ((0, 0), (0, 0), (0, HISTORY - sizes.prediction_order))),
    )
    stretch = max(size for size in range(1, STRETCH + 1) if samples % size == 0)

    def of_stretch(array: Any) -> pl.BlockSpec:
        return pl.BlockSpec((stretch, *array.shape[1:]), lambda i: (i, *(0 for _ in array.shape[1:])))

    def whole(array: Array) -> pl.BlockSpec:
        return pl.BlockSpec(array.shape, lambda _: (0,) * array.ndim, pipeline_mode=pl.Buffered(1))

    scored = None if forced is None else forced.T[..., None]
    inputs = (first_rows(sizes, state.step), ahead, scored, packed.matrices)
    before = (state.cache.swapaxes(0, 1), latest_first(state.history, state.step))
    widths = (1,) if scored is None else (sizes.outputs, 1)  # of what each sample yields
    out = [jax.ShapeDtypeStruct((samples, voices, width), jnp.float32) for width in widths]
    in_memory = pl.BlockSpec(memory_space=pl.ANY)
    specs = (
        pl.BlockSpec(memory_space=pltpu.SMEM),
        jax.tree.map(of_stretch, ahead),
        jax.tree.map(of_stretch, scored),
        jax.tree.map(whole, packed.matrices),
    )

    def kernel(inputs: Any, state: Any, *rest: Any) -> None:
        rows, ahead_refs, forced_refs, matrices = inputs
        _decode(sizes, rows, ahead_refs, forced_refs, matrices, state, rest[:-2], (rest[-2], rest[-1]))

    cache, recent, *yielded = pl.pallas_call(
        kernel,
        grid=(samples // stretch,),
        in_specs=(specs, (in_memory, in_memory)),
        out_specs=(in_memory, in_memory, *map(of_stretch, out)),
        out_shape=(*(jax.ShapeDtypeStruct(array.shape, array.dtype) for array in before), *out),
        scratch_shapes=[pltpu.VMEM(array.shape, array.dtype) for array in before],
        compiler_params=pltpu.CompilerParams(dimension_semantics=("arbitrary",), vmem_limit_bytes=VMEM_BYTES),
        interpret=interpret,
    )(inputs, before)
    moved = State(cache.swapaxes(0, 1), ring(recent, after.step), *after)
    if forced is None:
        return moved, (audio_of(sizes, known, yielded[0][..., 0]),)
    outputs, prediction = yielded
    return moved, (outputs.swapaxes(0, 1), prediction[..., 0].T)


@functools.partial(jax.jit, static_argnums=(0,), donate_argnums=2, static_argnames="interpret")
def generate(
    sizes: Sizes, packed: Packed, state: State, block: Block, *, interpret: bool = False
) -> tuple[Array, State]:
    """As `synth.kernels.reference.generate`, with prepared weights."""
    moved, (audio,) = _call(sizes, packed, state, block, None, interpret)
    return audio, moved


@functools.partial(jax.jit, static_argnums=(0,), donate_argnums=2, static_argnames="interpret")
def score(
    sizes: Sizes, packed: Packed, state: State, block: Block, forced: Array, *, interpret: bool = False
) -> tuple[Array, Array, State]:
    """As `synth.kernels.reference.score`, with prepared weights."""
    moved, (outputs, prediction) = _call(sizes, packed, state, block, forced, interpret)
    return outputs, prediction, moved
