"""The stream in real time: one compiled call a block, from embeddings' frames to samples, on preallocated arrays."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from synth.kernels import Backend, Block, Sizes, State
from synth.stream.pack import ConditioningWeights, conditioning
from synth.stream.stream import Stream
from synth.wavenet import WaveNet, WaveNetConfig


class PlayerBlock:
    """The inputs of one block, to be filled a voice at a time; voices that are not set are idle."""

    def __init__(self, voices: int, samples: int, config: WaveNetConfig) -> None:
        self.hop = config.hop
        # From anywhere inside a frame, so many frames cover the block and the one after it.
        self.window = (samples + config.hop - 2) // config.hop + 2
        self.z = np.zeros((voices, self.window, config.embedding_channels), np.float32)
        self.pitch_hz = np.full(voices, 440.0, np.float32)
        self.position = np.zeros(voices, np.int32)
        self.clock = np.zeros((voices, samples), np.uint32)
        self.begin = np.full(voices, samples, np.int32)
        self.fresh = np.zeros(voices, np.int32)
        self.seed = np.zeros(voices, np.uint32)
        self.temperature = np.ones(voices, np.float32)

    def set(
        self,
        slot: int,
        *,
        frames: np.ndarray,
        position: int,
        begin: int,
        fresh: bool,
        pitch_hz: float,
        seed: int,
        temperature: float,
    ) -> None:
        """A voice that sounds: `frames` [window, 16] from the one that holds its first sample, the rest as `Block`."""
        self.z[slot] = frames
        self.position[slot] = position
        self.begin[slot] = begin
        self.fresh[slot] = fresh
        self.pitch_hz[slot] = pitch_hz
        self.seed[slot] = seed
        self.temperature[slot] = temperature


class Player:
    """A stream whose voices are set block by block."""

    def __init__(self, model: WaveNet, *, voices: int, backend: str = "auto", precision: str = "auto") -> None:
        self._stream = Stream(model, voices=voices, backend=backend, precision=precision)
        self._config = model.config
        self._voices = voices
        self._blocks: dict[int, PlayerBlock] = {}

    @property
    def backend(self) -> str:
        return self._stream.backend

    @property
    def precision(self) -> str:
        return self._stream.precision

    def new_block(self, samples: int) -> PlayerBlock:
        """A block with all voices idle. Blocks of one length share their arrays: fill, advance, forget."""
        block = self._blocks.get(samples)
        if block is None:
            block = self._blocks[samples] = PlayerBlock(self._voices, samples, self._config)
        block.begin[:] = samples
        return block

    def advance(self, block: PlayerBlock) -> np.ndarray:
        """Decode the block: [V, T] float32."""
        stream = self._stream
        # The arrays are read before this returns, hence may be filled again afterwards.
        inputs = (block.position, block.clock, block.begin, block.fresh, block.seed, block.temperature)
        audio, stream.state = _advance(
            stream.kernel,
            stream.sizes,
            self._config,
            stream.weights,
            stream.conditioning_weights,
            stream.state,
            block.z,
            block.pitch_hz,
            inputs,
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
    z: Array,
    pitch_hz: Array,
    inputs: tuple[Array, ...],
) -> tuple[Array, State]:
    frames = conditioning(config, sizes, conditioning_weights, z, pitch_hz if config.clock_harmonics else None)
    return kernel.generate(sizes, weights, state, Block(frames, *(jnp.asarray(value) for value in inputs)))
