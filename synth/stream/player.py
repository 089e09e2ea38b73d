"""The stream in real time: one compiled call a block, from embeddings' frames to samples, on preallocated arrays."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from synth.kernels import Backend, Block, Sizes, State
from synth.stream.pack import ConditioningWeights, head_columns, layer_columns
from synth.stream.stream import Stream
from synth.wavenet import WaveNet, WaveNetConfig
from synth.wavenet.decoder import frame_conditioning

CONTROL_PERIOD = 64  # samples from one control point to the next, at most
VOICES_TOGETHER = 4  # whose conditioning is computed at once
OWN_LENGTHS = 4  # of blocks that are compiled for as they come


class Points(NamedTuple):
    """What a voice sounds like from some samples on: N points, each between two frames of its embedding."""

    frames: np.ndarray  # [N, 2, 16] the frame before each point and the one after
    fraction: np.ndarray  # [N] of the way from the one to the other
    pitch_hz: np.ndarray  # [N] as played
    # [N] the nearest that the model knows: beyond what it has learnt it does not keep its balance
    learnt_hz: np.ndarray
    brightness: np.ndarray  # [N] tilt of the partials, decibels an octave


class PlayerBlock:
    """The inputs of one block, to be filled a voice at a time; voices that are not set are idle."""

    def __init__(self, voices: int, samples: int, channels: int, period: int) -> None:
        # From anywhere between two points, so many cover the block and the sample after it.
        self.count = (samples + period - 2) // period + 2
        self.points = Points(  # of each voice
            frames=np.zeros((voices, self.count, 2, channels), np.float32),
            fraction=np.zeros((voices, self.count), np.float32),
            pitch_hz=np.full((voices, self.count), 440.0, np.float32),
            learnt_hz=np.full((voices, self.count), 440.0, np.float32),
            brightness=np.zeros((voices, self.count), np.float32),
        )
        self.position = np.zeros(voices, np.int32)
        self.clock = np.zeros((voices, samples), np.uint32)
        self.begin = np.full(voices, samples, np.int32)
        self.fresh = np.zeros(voices, np.int32)
        self.seed = np.zeros(voices, np.uint32)
        self.temperature = np.ones(voices, np.float32)

    def set(
        self, slot: int, points: Points, *, position: int, begin: int, fresh: bool, seed: int, temperature: float
    ) -> None:
        """A voice that sounds. Its points begin at the one before its first sample; the rest as `Block`."""
        for array, values in zip(self.points, points, strict=True):
            array[slot] = values
        self.position[slot] = position
        self.begin[slot] = begin
        self.fresh[slot] = fresh
        self.seed[slot] = seed
        self.temperature[slot] = temperature


class Player:
    """A stream whose voices are set block by block.

    A voice is steered at control points, every `period` samples of its own time: between two, the conditioning goes in
    a straight line. Where nothing but the embedding moves, that is the line from frame to frame that the model learnt.
    """

    def __init__(self, model: WaveNet, *, voices: int, backend: str = "auto", precision: str = "auto") -> None:
        self._stream = Stream(model, voices=voices, backend=backend, precision=precision)
        self._voices = voices
        self._blocks: dict[int, PlayerBlock] = {}
        self.hop = model.config.hop
        self.period = math.gcd(CONTROL_PERIOD, self.hop)
        self._sizes = dataclasses.replace(self._stream.sizes, hop=self.period)

    @property
    def backend(self) -> str:
        return self._stream.backend

    @property
    def why(self) -> str:
        return self._stream.why

    @property
    def precision(self) -> str:
        return self._stream.precision

    def lengths(self, samples: int) -> list[int]:
        """The blocks in which to decode so many samples: one, as long as the lengths asked for are few.

        A host whose blocks are of ever new lengths gets powers of two, so that compiling comes to an end.
        """
        if not samples or samples in self._blocks or len(self._blocks) < OWN_LENGTHS:
            return [samples]
        return [1 << bit for bit in reversed(range(samples.bit_length())) if samples >> bit & 1]

    def new_block(self, samples: int) -> PlayerBlock:
        """A block with all voices idle. Blocks of one length share their arrays: fill, advance, forget."""
        block = self._blocks.get(samples)
        if block is None:
            channels = self._stream.config.embedding_channels
            block = self._blocks[samples] = PlayerBlock(self._voices, samples, channels, self.period)
        block.begin[:] = samples
        return block

    def advance(self, block: PlayerBlock) -> np.ndarray:
        """Decode the block: [V, T] float32."""
        stream = self._stream
        # The arrays are read before this returns, hence may be filled again afterwards.
        audio, stream.state = _advance(
            stream.kernel,
            self._sizes,
            stream.config,
            stream.weights,
            stream.conditioning_weights,
            stream.state,
            block.points,
            (block.position, block.clock, block.begin, block.fresh, block.seed, block.temperature),
        )
        return np.asarray(audio)


@functools.partial(jax.jit, static_argnums=(0, 1, 2), donate_argnums=5)
def _advance(
    kernel: Backend,
    sizes: Sizes,
    config: WaveNetConfig,
    weights: Any,
    conditioning_weights: ConditioningWeights,
    state: State,
    points: Points,
    inputs: tuple[Array, ...],
) -> tuple[Array, State]:
    _, clock, begin, *_ = inputs
    frames = _steered(sizes, config, conditioning_weights, points, jnp.asarray(begin) < clock.shape[1])
    return kernel.generate(sizes, weights, state, Block(frames, *(jnp.asarray(value) for value in inputs)))


def _steered(
    sizes: Sizes, config: WaveNetConfig, weights: ConditioningWeights, points: Points, sounding: Array
) -> Array:
    """The kernels' conditioning at the points of the voices that sound [V] bool: [V, N, columns].

    A few voices at a time: where none of those sounds there is nothing to compute, and what sounds is computed in the
    same shapes, hence rounded alike, whoever else does.
    """
    together = math.gcd(VOICES_TOGETHER, len(sounding))
    groups = jax.tree.map(lambda array: jnp.asarray(array).reshape(-1, together, *array.shape[1:]), points)
    columns = sizes.conditioning

    def of_group(group: tuple[Points, Array]) -> Array:
        silence = jnp.zeros((together, points.fraction.shape[1], columns))
        return lax.cond(jnp.any(group[1]), lambda: _columns(sizes, config, weights, group[0]), lambda: silence)

    return lax.map(of_group, (groups, sounding.reshape(-1, together))).reshape(len(sounding), -1, columns)


def _columns(sizes: Sizes, config: WaveNetConfig, weights: ConditioningWeights, points: Points) -> Array:
    """The conditioning at the points of some voices: [V, N, columns]."""
    voices, count, pair, channels = points.frames.shape
    z = jnp.asarray(points.frames).reshape(voices * count, pair, channels)
    pitch, learnt = (
        jnp.asarray(hertz).reshape(-1) if config.clock_harmonics else None
        for hertz in (points.pitch_hz, points.learnt_hz)
    )
    # A size whose conditioning steps from frame to frame is not to be smoothed here either.
    fraction = jnp.asarray(points.fraction).reshape(-1, 1, 1) * float(config.smooth_conditioning)
    # The layers' columns are affine in the embedding, so they may be computed once, between the frames; the head's
    # are not.
    layers = layer_columns(weights, frame_conditioning(config, _between(z, fraction), learnt))
    head = _between(head_columns(config, sizes, weights, frame_conditioning(config, z, learnt), pitch), fraction)
    if config.harmonics:
        first = sizes.prediction_order
        last = first + sizes.harmonics
        partials = _tilted(head[..., first:last], jnp.asarray(points.brightness).reshape(-1, 1, 1))
        head = jnp.concatenate([head[..., :first], partials, head[..., last:]], axis=-1)
    return jnp.concatenate([layers, head], axis=-1).reshape(voices, count, -1)


def _tilted(partials: Array, decibels: Array) -> Array:
    """Partials' amplitudes [B, 1, H], each louder than the one an octave below it by so many decibels [B, 1, 1] more
    than it was; their power stays as it is, since a colour is no loudness."""
    octaves = jnp.log2(jnp.arange(1, partials.shape[-1] + 1, dtype=jnp.float32)).reshape(1, 1, -1)
    tilted = partials * 10.0 ** (decibels * octaves / 20.0)
    before, after = (jnp.sum(jnp.square(a), axis=-1, keepdims=True) + 1e-20 for a in (partials, tilted))
    return tilted * jnp.sqrt(before / after)


def _between(pair: Array, fraction: Array) -> Array:
    """[B, 2, C], [B, 1, 1] -> [B, 1, C], on the straight line from the one to the other."""
    return pair[:, :1] + fraction * (pair[:, 1:] - pair[:, :1])
