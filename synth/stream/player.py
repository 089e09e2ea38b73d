"""The stream in real time: one compiled call a block, from embeddings' frames to samples, on preallocated arrays."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from synth.kernels import Backend, Block, Sizes, State
from synth.stream.pack import ConditioningWeights, head_columns, layer_columns, with_tones
from synth.stream.stream import Stream
from synth.wavenet import WaveNet, WaveNetConfig
from synth.wavenet.decoder import frame_conditioning

CONTROL_PERIOD = 64  # samples from one control point to the next, at most
POINTS_TOGETHER = 4  # whose conditioning is computed at once
KNOWN_POINTS = 2  # of a voice's window, from the block before
LONGEST_BLOCK = 256  # samples; a voice's slot can only go to another between two blocks
OWN_LENGTHS = 4  # of blocks that are compiled for as they come


class Point(NamedTuple):
    """What a voice sounds like at one moment, between two frames of its embedding."""

    frames: np.ndarray  # [2, 16] the frame before and the one after
    fraction: float  # of the way from the one to the other
    pitch_hz: float  # as played, without vibrato
    clock_hz: float  # with it, and with the note's own: what the clock turns by
    learnt_hz: float  # `pitch_hz` within the bank's pitches: beyond those the decoder becomes unstable
    brightness: float  # tilt of the partials, decibels an octave
    stretch: np.ndarray  # [H], how many multiples of the pitch each partial is off its own
    tones: np.ndarray  # [H], amplitudes of tones that are in partials' places, and 0


def last_point(age: int, samples: int, period: int) -> int:
    """The last control point that a voice needs for so many samples from `age` on: the one after the last of them."""
    return (age + samples - 1) // period + 1


A = TypeVar("A", Array, np.ndarray)


class Points(NamedTuple, Generic[A]):
    """As many `Point`s, of whatever voices."""

    frames: A  # [N, 2, 16]
    fraction: A  # [N], like the four that follow
    pitch_hz: A
    clock_hz: A
    learnt_hz: A
    brightness: A
    stretch: A  # [N, H]
    tones: A  # [N, H]


class PlayerBlock:
    """The inputs of one block, to be filled a voice at a time; voices that are not set are idle."""

    def __init__(self, voices: int, samples: int, channels: int, harmonics: int, period: int) -> None:
        self._period = period
        self._samples = samples
        # A voice's window: from anywhere between two points, so many reach as far as what the next block knows.
        self.window = (samples + period - 1) // period + KNOWN_POINTS
        most = voices * self.window
        self.points = Points(  # that are due
            frames=np.zeros((most, 2, channels), np.float32),
            fraction=np.zeros(most, np.float32),
            pitch_hz=np.full(most, 440.0, np.float32),
            clock_hz=np.full(most, 440.0, np.float32),
            learnt_hz=np.full(most, 440.0, np.float32),
            brightness=np.zeros(most, np.float32),
            stretch=np.zeros((most, harmonics), np.float32),
            tones=np.zeros((most, harmonics), np.float32),
        )
        self.rows = np.zeros(most, np.int32)  # of each point in all voices' windows
        self.due = 0
        self.onward = np.zeros(voices, np.int32)  # points from a voice's window to its next
        self.position = np.zeros(voices, np.int32)
        self.clock = np.zeros((voices, samples), np.uint32)
        self.begin = np.full(voices, samples, np.int32)
        self.fresh = np.zeros(voices, np.int32)
        self.seed = np.zeros(voices, np.uint32)
        self.temperature = np.ones((voices, samples), np.float32)

    def clear(self) -> None:
        """All voices idle."""
        self.due = 0
        self.begin[:] = self._samples

    def set(self, slot: int, points: Sequence[Point], *, age: int, seed: int, temperature: float | np.ndarray) -> None:
        """A voice that sounds.

        Args:
          points: those up to `last_point` that earlier blocks did not have.
          age: the voice's at the block's first sample; negative where it begins later in the block.
          temperature: of all samples, or of each: [T].
        """
        first = max(age, 0) // self._period
        row = slot * self.window + last_point(age, self._samples, self._period) + 1 - len(points) - first
        for point in points:
            for array, value in zip(self.points, point, strict=True):
                array[self.due] = value
            self.rows[self.due] = row
            self.due += 1
            row += 1
        self.onward[slot] = (age + self._samples) // self._period - first
        self.position[slot] = age if age < 0 else age % self._period
        self.begin[slot] = max(-age, 0)
        self.fresh[slot] = age <= 0
        self.seed[slot] = seed
        self.temperature[slot] = temperature


class Player:
    """A stream whose voices are set block by block.

    A voice is steered at control points, every `period` samples of its own time, each computed once: between two, the
    conditioning goes in a straight line. Where nothing but the embedding moves, that is the line from frame to frame
    that the model learnt.
    """

    def __init__(self, model: WaveNet, *, voices: int, backend: str = "auto", precision: str = "auto") -> None:
        self._stream = Stream(model, voices=voices, backend=backend, precision=precision)
        self._voices = voices
        self._blocks: dict[int, PlayerBlock] = {}
        self.hop = model.config.hop
        self.period = math.gcd(CONTROL_PERIOD, self.hop)
        self._sizes = dataclasses.replace(self._stream.sizes, hop=self.period)
        self._advance = _compiled()
        known = jnp.zeros((voices, KNOWN_POINTS, self._sizes.conditioning))
        self._known = jax.device_put(known, self._stream.kernel.device())

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
        """The blocks in which to decode so many samples: whole ones, and one more, as long as the lengths are few.

        A host whose blocks are of ever new lengths gets powers of two, so that compiling comes to an end.
        """
        whole, rest = divmod(samples, LONGEST_BLOCK)
        if not rest or rest in self._blocks or len(self._blocks) < OWN_LENGTHS:
            last = [rest] if rest or not whole else []
        else:
            last = [1 << bit for bit in reversed(range(rest.bit_length())) if rest >> bit & 1]
        return [LONGEST_BLOCK] * whole + last

    def new_block(self, samples: int) -> PlayerBlock:
        """A block with all voices idle. Blocks of one length share their arrays: fill, advance, forget."""
        block = self._blocks.get(samples)
        if block is None:
            config = self._stream.config
            widths = config.embedding_channels, config.harmonics
            block = self._blocks[samples] = PlayerBlock(self._voices, samples, *widths, self.period)
        block.clear()
        return block

    def advance(self, block: PlayerBlock) -> np.ndarray:
        """Decode the block: [V, T] float32."""
        stream = self._stream
        # The arrays are read before this returns, hence may be filled again afterwards.
        audio, stream.state, self._known = self._advance(
            stream.kernel,
            self._sizes,
            stream.config,
            block.window,
            stream.weights,
            stream.conditioning_weights,
            stream.state,
            self._known,
            (block.points, block.rows, np.int32(block.due), block.onward),
            (block.position, block.clock, block.begin, block.fresh, block.seed, block.temperature),
        )
        return np.asarray(audio)


@functools.cache
def _compiled() -> Callable[..., tuple[Array, State, Array]]:
    """`_advance` as one program that runs from its first operation to its last in the thread that calls it.

    XLA may put operations in an order in which several could run at once, and gives some to threads of its own: with
    them the kernel, to one that has none of the caller's priority and must be woken, and wake the caller again.
    """
    in_order = {"xla_cpu_scheduler_type": "CPU_SCHEDULER_TYPE_MEMORY_OPTIMIZED"}
    try:
        jax.jit(lambda: 0, compiler_options=in_order)()
    except jax.errors.JaxRuntimeError:
        in_order = {}  # an XLA that has another name for it
    return jax.jit(_advance, static_argnums=(0, 1, 2, 3), donate_argnums=(6, 7), compiler_options=in_order)


def _advance(
    kernel: Backend,
    sizes: Sizes,
    config: WaveNetConfig,
    window: int,
    weights: Any,
    conditioning_weights: ConditioningWeights,
    state: State,
    known: Array,
    steering: tuple[Points[Array], Array, Array, Array],
    inputs: tuple[Array, ...],
) -> tuple[Array, State, Array]:
    """Decode a block. `known` [V, KNOWN_POINTS, columns] is the conditioning at the first points of its windows."""
    points, rows, due, onward = jax.tree.map(jnp.asarray, steering)
    voices, _, columns = known.shape
    windows = jnp.concatenate([known, jnp.zeros((voices, window - KNOWN_POINTS, columns))], axis=1)

    def with_group(group: Array, flat: Array) -> Array:
        # Always as many, so that a point is rounded the same whoever else has one; the last one is there to fill up.
        chosen = jnp.minimum(group * POINTS_TOGETHER + jnp.arange(POINTS_TOGETHER), due - 1)
        computed = _columns(sizes, config, conditioning_weights, jax.tree.map(lambda array: array[chosen], points))
        for point, row in zip(computed, rows[chosen], strict=True):
            flat = lax.dynamic_update_slice_in_dim(flat, point[None], row, 0)
        return flat

    groups = (due + POINTS_TOGETHER - 1) // POINTS_TOGETHER
    windows = lax.fori_loop(0, groups, with_group, windows.reshape(-1, columns)).reshape(windows.shape)
    audio, state = kernel.generate(sizes, weights, state, Block(windows, *(jnp.asarray(value) for value in inputs)))
    return audio, state, jax.vmap(lambda row, by: lax.dynamic_slice_in_dim(row, by, KNOWN_POINTS))(windows, onward)


def _columns(sizes: Sizes, config: WaveNetConfig, weights: ConditioningWeights, points: Points[Array]) -> Array:
    """The kernels' conditioning at N points: [N, columns]."""
    pitch, learnt = (points.pitch_hz, points.learnt_hz) if config.clock_harmonics else (None, None)
    # A size whose conditioning steps from frame to frame is not to be smoothed here either.
    fraction = points.fraction[:, None, None] * float(config.smooth_conditioning)
    # The layers' columns are affine in the embedding, so they may be computed once, between the frames; the head's
    # are not.
    layers = layer_columns(weights, frame_conditioning(config, _between(points.frames, fraction), learnt))
    frames = frame_conditioning(config, points.frames, learnt)
    head = _between(
        head_columns(config, sizes, weights, frames, pitch, points.stretch, clock_hz=points.clock_hz), fraction
    )
    if config.harmonics and pitch is not None:
        stretch = points.stretch[:, None]
        head = with_tones(config, sizes, head, points.tones[:, None], stretch, pitch[:, None])
        first = sizes.prediction_order
        last = first + config.harmonics
        partials = _tilted(head[..., first:last], points.brightness[:, None, None], stretch)
        head = jnp.concatenate([head[..., :first], partials, head[..., last:]], axis=-1)
    return jnp.concatenate([layers, head], axis=-1)[:, 0]


def _tilted(partials: Array, decibels: Array, stretch: Array) -> Array:
    """Partials' amplitudes [B, 1, H], each louder than the one an octave below it by so many decibels [B, 1, 1] more
    than it was; their power stays as it is, since a colour is no loudness."""
    places = jnp.arange(1, partials.shape[-1] + 1, dtype=jnp.float32).reshape(1, 1, -1) + stretch
    octaves = jnp.log2(jnp.maximum(places, 0.125))  # of a tone, too, that is far below the pitch
    tilted = partials * 10.0 ** (decibels * octaves / 20.0)
    before, after = (jnp.sum(jnp.square(a), axis=-1, keepdims=True) + 1e-20 for a in (partials, tilted))
    return tilted * jnp.sqrt(before / after)


def _between(pair: Array, fraction: Array) -> Array:
    """[B, 2, C], [B, 1, 1] -> [B, 1, C], on the straight line from the one to the other."""
    return pair[:, :1] + fraction * (pair[:, 1:] - pair[:, :1])
