"""The incremental decoder as a user holds it: voices that remember, advanced block by block."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from synth import kernels
from synth.kernels import Block
from synth.stream.pack import conditioning, conditioning_weights_of, sizes_of, weights_of
from synth.wavenet import WaveNet, heads, mulaw
from synth.wavenet.decoder import steady_clock, upsample
from synth.wavenet.model import require_pitch

MOST_VOICES = 256
CHUNK_FRAMES = 32  # of embeddings whose conditioning is computed together


class Stream:
    """An incremental decoder for V voices. It keeps the weights as its kernel has them, not the model.

    A voice's audio depends on the weights, its embeddings, pitch, seed and temperature alone: not on the block size,
    the other voices, or when it began.
    """

    def __init__(self, model: WaveNet, *, voices: int = 1, backend: str = "auto", precision: str = "fp32") -> None:
        if not 1 <= voices <= MOST_VOICES:
            raise ValueError(f"a stream has 1 to {MOST_VOICES} voices, not {voices}")
        self.config = model.config
        self.voices = voices
        self.why = f"{backend}: as asked for"  # this backend
        if backend == "auto":
            from synth.stream.choose import choose, on_processor  # which tries streams

            model = on_processor(model)
            backend, self.why = choose(model, voices=voices, precision=precision)
        self.kernel = kernels.backend(backend)
        self.sizes = sizes_of(self.config, self.kernel.granule)
        self.precision = self.kernel.choose(precision)
        # Everything else that a call takes follows these to their device.
        self.weights, self.conditioning_weights, self.state = jax.device_put(
            (
                self.kernel.prepare(self.sizes, weights_of(model, self.sizes), self.precision),
                conditioning_weights_of(model, self.sizes),
                kernels.initial_state(self.sizes, voices),
            ),
            self.kernel.device(),
        )

    @property
    def backend(self) -> str:
        """The name of the backend in use."""
        return self.kernel.name

    def advance(self, block: Block) -> Array:
        """The next block of every voice, [V, T] float32: what an instrument calls."""
        audio, self.state = self.kernel.generate(self.sizes, self.weights, self.state, block)
        return audio

    def conditioning(
        self, z: Array, pitch_hz: Array | None, stretch: Array | None = None, tones: Array | None = None
    ) -> Array:
        """The kernels' conditioning frames: of [V, F, 16] embeddings, [V] hertz, [V, H] stretches, [V, F, H] tones."""
        return conditioning(self.config, self.sizes, self.conditioning_weights, z, pitch_hz, stretch, tones)

    def generate(
        self,
        z: ArrayLike,
        seed: int | ArrayLike = 0,
        temperature: float = 1.0,
        *,
        pitch_hz: ArrayLike | None = None,
        stretch: ArrayLike | None = None,
        tones: ArrayLike | None = None,
        block: int = 512,
        progress: Callable[[int], None] | None = None,
    ) -> Array:
        """Sound of embeddings [V, F, 16]: [V, F * hop] float32 samples.

        Args:
          seed: one for all voices (voice v then uses seed + v) or one each [V].
          temperature: 1 draws from the model's distribution, 0 takes the likeliest sample.
          pitch_hz: [V] hertz, where the size has a pitch clock.
          stretch: [V, H], by how many multiples of the pitch each partial is off its own, as `Bank.stretch`; or None.
          tones: [V, F, H], amplitudes of tones that are in partials' places (`Seats`), and 0; or None. With stretches.
          block: samples a kernel call; it does not change the result.
          progress: is told after each block how many samples of every voice are done.
        """
        z, pitch = self._checked(z, pitch_hz)
        wanted = (*z.shape[:2], self.config.harmonics)
        if tones is not None and (stretch is None or np.shape(tones) != wanted):
            raise ValueError(f"tones must be {list(wanted)}, beside stretches, not {list(np.shape(tones))}")
        if not temperature >= 0.0:
            raise ValueError(f"the temperature must be 0 or more, not {temperature}")
        if not np.all((np.asarray(seed) >= 0) & (np.asarray(seed) < 2**32)):
            raise ValueError(f"seeds are from 0 to {2**32 - 1}, not {seed}")
        if not np.issubdtype(np.asarray(seed).dtype, np.integer) or np.shape(seed) not in ((), (self.voices,)):
            raise ValueError(f"seed must be a whole number, or {self.voices} of them, not {seed}")
        seeds = jnp.asarray(seed, jnp.uint32)
        seeds = seeds if seeds.ndim else seeds + jnp.arange(self.voices, dtype=jnp.uint32)
        blocks = self._blocks(z, pitch, z.shape[1] * self.sizes.hop, block, seeds, temperature, stretch, tones)
        pieces = []
        for taken, inputs in blocks:
            pieces.append(self.advance(inputs))
            if progress is not None:
                pieces[-1].block_until_ready()
                progress(taken.stop)
        return jnp.concatenate(pieces, axis=1)

    def score(self, audio: ArrayLike, z: ArrayLike, *, pitch_hz: ArrayLike | None = None, block: int = 512) -> Array:
        """Probabilities [V, T, 256] of each sample's mu-law bin, teacher-forced through the caches.

        `audio` is [V, T] with T at most F * hop for embeddings [V, F, 16]. Equals softmax(model.logits).
        """
        z, pitch = self._checked(z, pitch_hz)
        audio = jnp.asarray(audio, jnp.float32)
        if audio.ndim != 2 or not audio.shape[1]:
            raise ValueError(f"audio must be [{self.voices}, samples], not {list(audio.shape)}")
        samples = audio.shape[1]
        if audio.shape[0] != self.voices or samples > z.shape[1] * self.sizes.hop:
            raise ValueError(f"audio {audio.shape} does not fit embeddings {z.shape} of hop {self.sizes.hop}")
        gain = scale = jnp.ones_like(audio)
        if self.sizes.mixtures:
            last_columns = self.conditioning(z, pitch)[..., -3:]
            scale, rest, gain = jnp.moveaxis(upsample(self.config, last_columns)[:, :samples], -1, 0)
            scale = scale * rest
        forced = audio / gain if self.sizes.mixtures else mulaw.encode(audio).astype(jnp.float32) / 128.0
        seeds = jnp.zeros(self.voices, jnp.uint32)
        pieces = []
        for taken, inputs in self._blocks(z, pitch, samples, block, seeds, 1.0):
            outputs, prediction, self.state = self.kernel.score(
                self.sizes, self.weights, self.state, inputs, forced[:, taken]
            )
            if self.sizes.mixtures:
                mix = heads.mixture(outputs, prediction, scale[:, taken])
                outputs = heads.bin_log_probabilities(mix, gain[:, taken])
            pieces.append(jax.nn.softmax(outputs))
        return jnp.concatenate(pieces, axis=1)

    def _checked(self, z: ArrayLike, pitch_hz: ArrayLike | None) -> tuple[Array, Array | None]:
        z = jnp.asarray(z, jnp.float32)
        channels = self.config.embedding_channels
        if z.ndim != 3 or z.shape[0] != self.voices or z.shape[2] != channels or not z.shape[1]:
            raise ValueError(f"z must be [{self.voices}, frames, {channels}], not {list(z.shape)}")
        pitch = require_pitch(self.config, pitch_hz, self.voices)
        if not jnp.isfinite(z).all() or (pitch is not None and not (jnp.isfinite(pitch) & (pitch > 0.0)).all()):
            raise ValueError("z and pitch_hz must be finite, and pitch_hz more than 0")
        return z, pitch

    def _clock(self, pitch: Array | None, samples: int) -> Array:
        if pitch is None:
            return jnp.zeros((self.voices, samples), jnp.uint32)
        return steady_clock(pitch, samples, self.config.sample_rate_hz)

    def _blocks(
        self,
        z: Array,
        pitch: Array | None,
        samples: int,
        block: int,
        seeds: Array,
        temperature: float,
        stretch: ArrayLike | None = None,
        tones: ArrayLike | None = None,
    ) -> Iterator[tuple[slice, Block]]:
        """The inputs of a note from its beginning, block by block, and where each block lies.

        The conditioning is computed for a few frames at a time (a second of it is 4 MB a voice at the paper's size),
        always the same few whatever the block size, so that the audio is the same to the bit.
        """
        if block < 1:
            raise ValueError(f"a block has at least one sample, not {block}")
        hop = self.sizes.hop
        clock = self._clock(pitch, samples)
        begin = jnp.zeros(self.voices, jnp.int32)
        temperatures = jnp.full((self.voices, samples), temperature, jnp.float32)
        known = None
        if stretch is not None and self.config.harmonics:
            known = jnp.broadcast_to(jnp.asarray(stretch, jnp.float32), (self.voices, self.config.harmonics))

        def prolonged(frames: Array) -> Array:
            return jnp.concatenate([frames, jnp.repeat(frames[:, -1:], CHUNK_FRAMES, axis=1)], axis=1)

        padded = prolonged(z)
        beside = None if known is None or tones is None else prolonged(jnp.asarray(tones, jnp.float32))
        for chunk in range(0, samples, CHUNK_FRAMES * hop):
            first = chunk // hop
            seen = slice(first, first + CHUNK_FRAMES + 1)
            frames = self.conditioning(padded[:, seen], pitch, known, None if beside is None else beside[:, seen])
            end = min(chunk + CHUNK_FRAMES * hop, samples)
            for start in range(chunk, end, block):
                taken = slice(start, min(start + block, end))
                position, fresh = begin + (start - chunk), begin + int(start == 0)
                yield taken, Block(frames, position, clock[:, taken], begin, fresh, seeds, temperatures[:, taken])
