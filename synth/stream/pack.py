"""From a model to what the kernels compute with: sizes, folded weights, and tables of conditioning."""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from synth.kernels import Sizes, Weights
from synth.pitch import HIGHEST_PARTIAL
from synth.wavenet import WaveNet, WaveNetConfig
from synth.wavenet.decoder import frame_conditioning, frame_prediction

HIGHEST_TURNS = 0.49  # of a stretched partial, a sample


def sizes_of(config: WaveNetConfig, granule: int = 1) -> Sizes:
    """The kernels' sizes; widths are rounded up to multiples of `granule`, by channels that stay 0."""

    def up(width: int) -> int:
        return -(-width // granule) * granule

    return Sizes(
        dilations=config.dilations,
        filter_width=config.filter_width,
        residual=up(config.residual),
        skip=up(config.skip),
        outputs=config.outputs,
        input_taps=config.input_taps,
        clock_harmonics=config.clock_harmonics,
        hop=config.hop,
        smooth=config.smooth_conditioning,
        mixtures=config.mixtures,
        prediction_order=config.prediction_order,
        harmonics=up(config.harmonics),
    )


def _widen(array: Array, *axes: tuple[int, int]) -> Array:
    """Pad with zeros: each (axis, width)."""
    padding = [(0, 0)] * array.ndim
    for axis, width in axes:
        padding[axis] = (0, width - array.shape[axis])
    return jnp.pad(array, padding)


def _widen_gates(array: Array, width: int) -> Array:
    """Pad both halves, filters and gates, of the last axis [2R]."""
    halves = array.reshape(*array.shape[:-1], 2, -1)
    return _widen(halves, (-1, width)).reshape(*array.shape[:-1], 2 * width)


def weights_of(model: WaveNet, sizes: Sizes) -> Weights:
    """The decoder's weights with biases folded; `taps` and `out1` leave theirs to the conditioning."""
    config, decoder = model.config, model.decoder
    r, s = sizes.residual, sizes.skip
    start_bias = decoder.startconv.biases[...]
    clock = jnp.zeros((0, config.residual))
    if config.clock_harmonics:
        clock = decoder.clock.W[0, 0]
        start_bias = start_bias + decoder.clock.biases[...]
    return Weights(
        start=_widen(decoder.startconv.W[0, :, 0], (1, r)),
        start_bias=_widen(start_bias, (0, r)),
        clock=_widen(clock, (1, r)),
        skip_start=_widen(decoder.skip_start.W[0, 0], (0, r), (1, s)),
        taps=_widen_gates(_widen(jnp.stack([conv.W[0] for conv in decoder.dilatedconv]), (2, r)), r),
        residual=_widen(jnp.stack([conv.W[0, 0] for conv in decoder.res]), (1, r), (2, r)),
        residual_bias=_widen(jnp.stack([conv.biases[...] for conv in decoder.res]), (1, r)),
        skip=_widen(jnp.stack([conv.W[0, 0] for conv in decoder.skip]), (1, r), (2, s)),
        skip_bias=_widen(decoder.skip_start.biases[...] + sum(conv.biases[...] for conv in decoder.skip), (0, s)),
        out1=_widen(decoder.out1.W[0, 0], (0, s), (1, s)),
        logits=_widen(decoder.logits.W[0, 0], (0, s)),
        logits_bias=decoder.logits.biases[...],
    )


class ConditioningWeights(NamedTuple):
    """What turns an embedding's frame into the kernels' conditioning: one matrix for all layers."""

    columns: Array  # [C, L * 2R + S], the gates of each layer and the first head layer
    columns_bias: Array  # [L * 2R + S], with the biases that `Weights` leaves to the conditioning
    frame_hidden: tuple[tuple[Array, Array], ...]  # matrix and bias of each layer, none without a mixture
    prediction: Array  # [width, P + 2], empty without a mixture
    prediction_bias: Array
    harmonic: Array  # [width, H], empty without a mixture
    harmonic_bias: Array  # [H]


def conditioning_weights_of(model: WaveNet, sizes: Sizes) -> ConditioningWeights:
    config, decoder = model.config, model.decoder
    maps = [*decoder.cond_map, decoder.cond_map_out1]
    targets = [*decoder.dilatedconv, decoder.out1]

    has_mixture = config.head == "logistics"

    def affine_of(layer: str) -> tuple[Array, Array]:
        if not has_mixture:
            return jnp.zeros((0, 0)), jnp.zeros(0)
        conv = getattr(decoder, layer)
        return conv.W[0, 0], conv.biases[...]

    def widened(columns: list[Array]) -> Array:
        *gates, head = columns
        wide = [_widen_gates(gate, sizes.residual) for gate in gates]
        return jnp.concatenate([*wide, _widen(head, (-1, sizes.skip))], axis=-1)

    return ConditioningWeights(
        widened([cond.W[0, 0] for cond in maps]),
        widened([cond.biases[...] + conv.biases[...] for cond, conv in zip(maps, targets, strict=True)]),
        tuple((layer.W[0, 0], layer.biases[...]) for layer in decoder.frame_hidden) if has_mixture else (),
        *affine_of("prediction"),
        *affine_of("harmonic"),
    )


@functools.partial(jax.jit, static_argnums=(0, 1))
def conditioning(
    config: WaveNetConfig,
    sizes: Sizes,
    weights: ConditioningWeights,
    z: Array,
    pitch_hz: Array | None,
    stretch: Array | None = None,
    tones: Array | None = None,
) -> Array:
    """Conditioning frames for the kernels: [V, F, 16], [V], [V, H], [V, F, H] -> [V, F, columns].

    See `Sizes.conditioning` for the columns, `with_tones` for the tones.

    A voice's are the same to the bit alone and in company. XLA rounds by where in an array a number stands, so voices
    are computed one after the other, each by the same code. It would unroll a loop of one: a voice alone goes twice.
    """
    if z.shape[0] == 1:
        twice = jax.tree.map(lambda array: jnp.repeat(array, 2, axis=0), (z, pitch_hz, stretch, tones))
        return conditioning(config, sizes, weights, *twice)[:1]

    def of_voice(voice: tuple[Array, Array | None, Array | None, Array | None]) -> Array:
        z, pitch_hz, stretch, tones = jax.tree.map(lambda array: array[None], voice)
        frames = frame_conditioning(config, z, pitch_hz)
        layers, head = layer_columns(weights, frames), head_columns(config, sizes, weights, frames, pitch_hz, stretch)
        if tones is not None and stretch is not None and pitch_hz is not None:
            head = with_tones(config, sizes, head, tones, stretch[:, None], pitch_hz[:, None])
        return jnp.concatenate([layers, head], axis=-1)[0]

    return lax.map(of_voice, (z, pitch_hz, stretch, tones))


def layer_columns(weights: ConditioningWeights, frames: Array) -> Array:
    """What frames [V, F, C] add to the layers and to the head's first one: [V, F, L * 2R + S], affine in the frames."""
    return _affine(frames, weights.columns, weights.columns_bias)


def head_columns(
    config: WaveNetConfig,
    sizes: Sizes,
    weights: ConditioningWeights,
    frames: Array,
    pitch_hz: Array | None,
    stretch: Array | None = None,
    *,
    clock_hz: Array | None = None,
) -> Array:
    """The columns behind those of the layers, which only a mixture has: [V, F, P + 2H + 3].

    A model's partials are multiples of the clock; how far a note's are off them, `stretch` [V, H], only a bank knows.
    What the clock turns by, `clock_hz` [V], is the pitch where it is not told.
    """
    if config.head != "logistics":
        return frames[..., :0]
    hidden = frames
    for matrix, bias in weights.frame_hidden:
        hidden = jax.nn.silu(_affine(hidden, matrix, bias))
    raw = _affine(hidden, weights.prediction, weights.prediction_bias)
    log_amplitudes = _affine(hidden, weights.harmonic, weights.harmonic_bias)
    frame = frame_prediction(config, frames, raw, log_amplitudes, pitch_hz)
    amplitudes = _widen(frame.amplitudes, (-1, sizes.harmonics))
    scalars = (scalar[..., None] for scalar in (frame.scale, frame.rest, frame.gain))
    detuning = jnp.zeros_like(amplitudes)
    if stretch is not None and pitch_hz is not None:
        turned_by = pitch_hz if clock_hz is None else clock_hz
        detuning = jnp.broadcast_to(_detuning(config, sizes, stretch, turned_by)[:, None], amplitudes.shape)
    return jnp.concatenate([frame.coefficients, amplitudes, detuning, *scalars], axis=-1)


def _detuning(config: WaveNetConfig, sizes: Sizes, stretch: Array, pitch_hz: Array) -> Array:
    """How many turns a sample partials are off their multiples of a pitch [N]: [N, H] multiples -> [N, columns].

    None is moved beyond what can sound; those that are there without it are silent.
    """
    pitch = pitch_hz[:, None] / config.sample_rate_hz
    k = jnp.arange(1, stretch.shape[-1] + 1, dtype=jnp.float32)
    highest = jnp.maximum(HIGHEST_TURNS / pitch - k[None], 0.0)
    return _widen(jnp.minimum(stretch, highest) * pitch, (-1, sizes.harmonics))


def with_tones(
    config: WaveNetConfig, sizes: Sizes, head: Array, tones: Array, stretch: Array, pitch_hz: Array
) -> Array:
    """Head's columns [V, F, P + 2H + 3] with tones in the place of partials: their amplitudes, where they are not 0.

    Args:
      tones: [V, F, H] amplitudes, in units of the level.
      stretch: [V, F or 1, H], as many multiples of the pitch as each is off that of the partial in whose place it is.
      pitch_hz: [V, F or 1].
    """
    amplitudes = slice(sizes.prediction_order, sizes.prediction_order + config.harmonics)
    place = jnp.arange(1, config.harmonics + 1, dtype=jnp.float32).reshape(1, 1, -1) + stretch
    audible = place * pitch_hz[..., None] < HIGHEST_PARTIAL * config.sample_rate_hz
    told = head[..., amplitudes]
    return head.at[..., amplitudes].set(jnp.where(tones > 0, jnp.where(audible, tones, 0.0), told))


def _affine(x: Array, matrix: Array, bias: Array) -> Array:
    product = jnp.matmul(x, matrix, precision=lax.Precision.HIGHEST)  # float32, on accelerators too
    return product + jnp.broadcast_to(bias, (*x.shape[:-1], matrix.shape[-1]))
