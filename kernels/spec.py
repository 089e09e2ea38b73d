"""What every kernel computes with: sizes, weights, the voices' state, and the inputs of one block.

Axis letters: V voices, T samples of a block, L layers, R residual, S skip, K filter taps, F frames, O outputs.
"""

from __future__ import annotations

import dataclasses
from typing import Generic, NamedTuple, TypeVar

import jax.numpy as jnp
import numpy as np
from jax import Array

from synth.errors import WavekeysError

A = TypeVar("A", Array, np.ndarray)

HISTORY = 64  # past inputs that a voice remembers: a power of two, at least the taps and the prediction order


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sizes:
    """The numbers that shape the decoder's arithmetic; hashable, hence usable as a static argument of `jax.jit`."""

    dilations: tuple[int, ...]  # one a layer
    filter_width: int
    residual: int
    skip: int
    outputs: int
    input_taps: int
    clock_harmonics: int
    hop: int  # samples between two frames of the conditioning
    smooth: bool  # conditioning on straight lines between frames instead of held
    mixtures: int  # 0: softmax over mu-law bins
    prediction_order: int
    harmonics: int  # partials of the clock that the conditioning gives amplitudes to

    @property
    def layers(self) -> int:
        return len(self.dilations)

    @property
    def cache_offsets(self) -> tuple[int, ...]:
        """First row of each layer's ring in a voice's cache, and the number of rows at the end."""
        offsets = [0]
        for dilation in self.dilations:
            offsets.append(offsets[-1] + (self.filter_width - 1) * dilation)
        return tuple(offsets)

    @property
    def multiply_adds(self) -> int:
        """Multiplications with weights for one sample of one voice; nobody reads the last layer's residual."""
        features = self.input_taps + 2 * self.clock_harmonics
        layer = self.residual * (self.filter_width * 2 * self.residual + self.residual + self.skip)
        head = self.skip * (self.skip + self.outputs)
        return features * self.residual + self.residual * self.skip + self.layers * layer - self.residual**2 + head

    @property
    def conditioning(self) -> int:
        """Columns of a frame: gates [L * 2R], first head layer [S], then with a mixture predictor coefficients [P],
        amplitudes of the harmonics [H], how many turns a sample each is off its multiple of the clock [H], scale, rest,
        gain. A sample is gain * (harmonics + rest * draw).
        """
        mixture = self.prediction_order + 2 * self.harmonics + 3 if self.mixtures else 0
        return self.layers * 2 * self.residual + self.skip + mixture


class Weights(NamedTuple, Generic[A]):
    """The decoder's weights, biases folded together where they add up. All float32."""

    start: A  # [input_taps, R], tap 0 the oldest
    start_bias: A  # [R]
    clock: A  # [2 * harmonics, R]: sines, then cosines
    skip_start: A  # [R, S]
    taps: A  # [L, K, R, 2R], tap 0 the oldest; their biases are in the conditioning
    residual: A  # [L, R, R]
    residual_bias: A  # [L, R]
    skip: A  # [L, R, S]
    skip_bias: A  # [S], of all layers together
    out1: A  # [S, S]; its bias is in the conditioning
    logits: A  # [S, O]
    logits_bias: A  # [O]


def check_room(backend: str, *rooms: tuple[str, int, int]) -> None:
    """Raise WavekeysError for a model beyond what a kernel has room for; what, how much, and how much at most."""
    for what, size, most in rooms:
        if size > most:
            raise WavekeysError(f"backend {backend} plays models of up to {most} {what}, not {size}; try --backend jax")


def finite(weights: Weights[Array]) -> Weights[np.ndarray]:
    """The same as float32 in NumPy. Raises WavekeysError for a weight that is not a number."""
    arrays = {name: np.asarray(value, np.float32) for name, value in weights._asdict().items()}
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise WavekeysError(f"the model's weights {name!r} are not all finite: it cannot be played")
    return Weights(**arrays)


class State(NamedTuple):
    """Everything the voices remember between blocks. A voice is reset by giving it age 0; nothing is cleared."""

    cache: Array  # [V, rows, R] float32: each layer's past inputs, a ring indexed by `step` modulo its length
    history: Array  # [V, HISTORY] float32: past inputs, a ring indexed by `step`. With a mixture they are what was
    # drawn, without the harmonics, in units of the rest; else mu-law codes / 128.
    strayed: Array  # [V, H] uint32, 2**32 a turn: how far partials have come from their multiples of the clock
    age: Array  # [V] uint32: samples since the voice began
    step: Array  # [] uint32: samples since the stream began. Once in 2**32 of them (74 hours at 16 kHz) it wraps, and
    # rings whose lengths are no powers of two (filters of 4 taps, not of 2 or 3) then lose their place.


class Block(NamedTuple):
    """The inputs of one block of T samples.

    A voice that rests within a note must begin anew: its rings go on without it.
    """

    conditioning: Array  # [V, F, columns] float32
    position: Array  # [V] int32: the block's first sample, counted from the first frame
    clock: Array  # [V, T] uint32 phases, 2**32 a turn; ignored without a clock
    begin: Array  # [V] int32: the voice is silent, and its state rests, before this sample of the block; T: idle
    fresh: Array  # [V] int32: nonzero where the voice begins anew
    seed: Array  # [V] uint32
    temperature: Array  # [V, T] float32


def initial_state(sizes: Sizes, voices: int) -> State:
    """Voices that have never sounded."""
    return State(
        jnp.zeros((voices, sizes.cache_offsets[-1], sizes.residual)),
        jnp.zeros((voices, HISTORY)),
        jnp.zeros((voices, sizes.harmonics), jnp.uint32),
        jnp.zeros(voices, jnp.uint32),
        jnp.zeros((), jnp.uint32),
    )
