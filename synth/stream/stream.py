"""The incremental decoder as a user holds it: voices that remember, advanced block by block."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

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
        """Sound of embeddings [V, F, 16]: [V, F * hop] float32 samples. With fewer than its voices, the others rest.

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
        count, frames, _ = z.shape
        own = None
        if stretch is not None and self.config.harmonics:
            own = _finite("stretch", stretch, (count, self.config.harmonics), widened=True)
        if tones is not None and own is None:
            raise ValueError("tones go with a stretch, and with a size that has partials")
        beside = None if tones is None else _finite("tones", tones, (count, frames, self.config.harmonics))
        if not 0.0 <= temperature < np.inf:
            raise ValueError(f"the temperature must be a number of 0 or more, not {temperature}")
        if not np.all((np.asarray(seed) >= 0) & (np.asarray(seed) < 2**32)):
            raise ValueError(f"seeds are from 0 to {2**32 - 1}, not {seed}")
        if not np.issubdtype(np.asarray(seed).dtype, np.integer) or np.shape(seed) not in ((), (count,)):
            raise ValueError(f"seed must be a whole number, or {count} of them, not {seed}")
        own_seeds = np.asarray(seed, np.int64) + (0 if np.ndim(seed) else np.arange(count))
        seeds = (own_seeds % 2**32).astype(np.uint32)
        note = _Note(z, pitch, own, beside, jnp.asarray(self._all(seeds)), temperature)
        pieces = []
        for taken, inputs in self._blocks(note, frames * self.sizes.hop, block):
            pieces.append(self.advance(inputs)[:count])
            if progress is not None:
                pieces[-1].block_until_ready()
                progress(taken.stop)
        return jnp.concatenate(pieces, axis=1)

    def score(self, audio: ArrayLike, z: ArrayLike, *, pitch_hz: ArrayLike | None = None, block: int = 512) -> Array:
        """Probabilities [V, T, 256] of each sample's mu-law bin, teacher-forced through the caches.

        `audio` is [V, T] with T at most F * hop for embeddings [V, F, 16]. Equals softmax(model.logits).
        """
        z, pitch = self._checked(z, pitch_hz)
        if len(z) != self.voices:
            raise ValueError(f"a score is of all {self.voices} voices, not of {len(z)}")
        if np.ndim(audio) != 2 or not 0 < np.shape(audio)[1] <= z.shape[1] * self.sizes.hop:
            most = z.shape[1] * self.sizes.hop
            raise ValueError(f"audio must be [{self.voices}, 1 to {most} samples], not {list(np.shape(audio))}")
        samples = np.shape(audio)[1]
        audio = jnp.asarray(_finite("audio", audio, (self.voices, samples)))
        gain = scale = jnp.ones_like(audio)
        if self.sizes.mixtures:
            last_columns = self.conditioning(jnp.asarray(z), pitch)[..., -3:]
            scale, rest, gain = jnp.moveaxis(upsample(self.config, last_columns)[:, :samples], -1, 0)
            scale = scale * rest
        forced = audio / gain if self.sizes.mixtures else mulaw.encode(audio).astype(jnp.float32) / 128.0
        note = _Note(z, pitch, None, None, jnp.zeros(self.voices, jnp.uint32), 1.0)
        pieces = []
        for taken, inputs in self._blocks(note, samples, block):
            outputs, prediction, self.state = self.kernel.score(
                self.sizes, self.weights, self.state, inputs, forced[:, taken]
            )
            if self.sizes.mixtures:
                mix = heads.mixture(outputs, prediction, scale[:, taken])
                outputs = heads.bin_log_probabilities(mix, gain[:, taken])
            pieces.append(jax.nn.softmax(outputs))
        return jnp.concatenate(pieces, axis=1)

    def _checked(self, z: ArrayLike, pitch_hz: ArrayLike | None) -> tuple[np.ndarray, Array | None]:
        """Embeddings [V, F, C] of as many voices as they are, and the pitches of all the stream's."""
        channels = self.config.embedding_channels
        shape = np.shape(z)
        if len(shape) != 3 or not 1 <= shape[0] <= self.voices or not shape[1] or shape[2] != channels:
            raise ValueError(f"z must be [{self.voices}, frames, {channels}], not {list(shape)}")
        z = _finite("z", z, shape)
        pitch = require_pitch(self.config, pitch_hz, len(z))
        if pitch is None:
            return z, None
        hertz = _finite("pitch_hz", pitch, (len(z),))
        if not (hertz > 0.0).all():
            raise ValueError("pitch_hz must be more than 0")
        return z, jnp.asarray(self._all(hertz))

    def _all(self, values: np.ndarray) -> np.ndarray:
        """Values [v, ...] of the first voices, the last one's for those that rest too: [V, ...]."""
        return np.concatenate([values, np.repeat(values[-1:], self.voices - len(values), axis=0)])

    def _blocks(self, note: _Note, samples: int, block: int) -> Iterator[tuple[slice, Block]]:
        """The inputs of a note from its beginning, block by block, and where each block lies.

        The conditioning is computed for a few frames at a time (a second of it is 4 MB a voice at the paper's size),
        always the same few whatever the block size, so that the audio is the same to the bit.
        """
        if block < 1:
            raise ValueError(f"a block has at least one sample, not {block}")
        hop = self.sizes.hop
        resting = np.arange(self.voices) >= len(note.z)
        begin = jnp.asarray(np.where(resting, samples, 0), jnp.int32)

        def seen(frames: np.ndarray, first: int) -> Array:
            """Some frames, held at the end: always as many."""
            some = frames[:, first : first + CHUNK_FRAMES + 1]
            missing = CHUNK_FRAMES + 1 - some.shape[1]
            return jnp.asarray(self._all(np.pad(some, ((0, 0), (0, missing), (0, 0)), mode="edge")))

        stretch = None if note.stretch is None else jnp.asarray(self._all(note.stretch))
        for chunk in range(0, samples, CHUNK_FRAMES * hop):
            first = chunk // hop
            tones = None if note.tones is None else seen(note.tones, first)
            frames = self.conditioning(seen(note.z, first), note.pitch_hz, stretch, tones)
            end = min(chunk + CHUNK_FRAMES * hop, samples)
            clock = self._clock(note.pitch_hz, chunk, end)
            temperature = jnp.full((self.voices, end - chunk), note.temperature, jnp.float32)
            for start in range(chunk, end, block):
                taken = slice(start, min(start + block, end))
                here = slice(taken.start - chunk, taken.stop - chunk)
                position = jnp.full(self.voices, here.start, jnp.int32)
                fresh = jnp.full(self.voices, int(start == 0), jnp.int32)
                yield taken, Block(frames, position, clock[:, here], begin, fresh, note.seeds, temperature[:, here])

    def _clock(self, pitch: Array | None, start: int, end: int) -> Array:
        if pitch is None:
            return jnp.zeros((self.voices, end - start), jnp.uint32)
        return steady_clock(pitch, end - start, self.config.sample_rate_hz, start)


class _Note(NamedTuple):
    """What voices play from its beginning on; the first ones, of all that a stream has."""

    z: np.ndarray  # [v, F, C]
    pitch_hz: Array | None  # [V]
    stretch: np.ndarray | None  # [v, H]
    tones: np.ndarray | None  # [v, F, H]
    seeds: Array  # [V] uint32
    temperature: float


def _finite(name: str, value: ArrayLike, shape: tuple[int, ...], *, widened: bool = False) -> np.ndarray:
    """An argument as float32 of that shape, or, `widened`, of one that broadcasting makes so. Raises ValueError."""
    array = np.asarray(value, np.float32)
    fits = array.shape == shape
    if widened and array.ndim <= len(shape):
        fits = all(own in (1, wanted) for own, wanted in zip(array.shape[::-1], shape[::-1], strict=False))
    if not fits:
        raise ValueError(f"{name} must be {list(shape)}, not {list(array.shape)}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite")
    return np.broadcast_to(array, shape)
