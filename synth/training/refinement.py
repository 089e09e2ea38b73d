"""Embeddings fitted to their notes.

An encoder guesses, at once and for any note, which 16 numbers the decoder should get. Once a note is to go into a bank
there is time to look for better ones: some steps of gradient descent on what frames tell, from the encoder's guess on.
(What an encoder loses against this is known as its amortisation gap; Cremer, Li and Duvenaud 2018, section 2.)

It is the partials that are fitted frame by frame. A note's noise differs from frame to frame by chance, and followed
one by one these frames would make it crackle; its course is what the encoder tells, and how loud it is in each band
what the note says in the median.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable, Iterator

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax import Array, lax
from scipy.ndimage import maximum_filter1d

from synth.bank import Embedded, Recorded, encoded
from synth.pitch import midi_to_hertz
from synth.training.analysis import SILENT, Analysis, Sound, analyse_all
from synth.training.crops import Listener, Notes
from synth.training.loss import FAINTEST, frame_loss, linear_mel_power
from synth.wavenet import SpectralEncoder, WaveNet
from synth.wavenet.decoder import FramePrediction

STEPS = 100
BATCH = 16  # notes fitted at once
LEARNING_RATE = 0.05  # at the beginning; a tenth at the end
CLOSENESS = 0.5  # nats for a channel that has moved by 1: blends need embeddings where the decoder has learnt
STEADINESS = 2.0  # nats for one that has moved by 1 more than in the frame before
# Square root of the power in all mel bands, of the level's. No frame of the factory bank has more than 16.
LOUDEST_NOISE = 40.0
TRUSTED_DB = 3.0  # by which the encoder's noise may be off in a note's median: within that it stays as it is
BURST = 10.0  # times what there is around a frame: more than that it cannot have meant
BURST_FRAMES = 3  # on either side


def refined(
    model: WaveNet, notes: Iterable[Recorded], *, expected: int, steps: int = STEPS
) -> Iterator[tuple[Recorded, Embedded]]:
    """Notes with embeddings fitted to their partials' amplitudes (the level stays), where those are, and other tones.

    `expected` is about how many notes will come: many are analysed in several processes. A model that embeds by a
    temporal encoder tells nothing of a frame by itself: its embeddings are the encoder's.
    """
    encoder, config = model.encoder, model.config
    if not isinstance(encoder, SpectralEncoder) or not steps:
        yield from encoded(model, notes)
        return
    listener = Listener(encoder)
    under_way: deque[Recorded] = deque()

    def sounds() -> Iterator[Sound]:
        for note in notes:
            under_way.append(note)
            yield Sound(note.audio, float(midi_to_hertz(note.pitch)), listener.levels(note.audio))

    def analysed() -> Iterator[tuple[Recorded, Analysis, Notes[np.ndarray]]]:
        sizes = {"sample_rate_hz": config.sample_rate_hz, "hop": config.hop, "harmonics": config.harmonics}
        for analysis in analyse_all(sounds(), expected=expected, **sizes):
            note = under_way.popleft()
            mel, rest_levels, rest_mel = listener.features(analysis)
            pitch_hz = np.array(midi_to_hertz(note.pitch), np.float32)
            wanted = Notes(analysis.levels, mel, analysis.amplitudes, rest_levels, rest_mel, pitch_hz)
            yield note, analysis, wanted

    ready = analysed()
    while batch := list(itertools.islice(ready, BATCH)):
        own, analyses, wanted = zip(*batch, strict=True)
        full = [*wanted, *wanted[-1:] * (BATCH - len(wanted))]  # one shape, compiled once
        told = refine(model, Notes(*map(np.stack, zip(*full, strict=True))), steps=steps)
        for note, fitted, noise, analysis, true in zip(own, *map(np.asarray, told), analyses, wanted, strict=False):
            frames = without_bursts(fitted, noise, np.sqrt(true.rest_mel.sum(axis=-1)))
            yield note, Embedded(frames, analysis.stretch, analysis.tuning, analysis.tones)


def without_bursts(frames: np.ndarray, noise: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Frames [F, 16] with the timbre of the nearest that can be, where one tells noise [F] unlike the note's [F].

    A sound that breaks off is like nothing that an encoder has learnt, and what it makes of it can be anything.
    """
    numbers = np.arange(len(frames))
    nearby = maximum_filter1d(true, 2 * BURST_FRAMES + 1)
    good = np.flatnonzero(noise <= np.clip(BURST * nearby, 1.0, LOUDEST_NOISE))
    if len(good) in (0, len(frames)):
        return frames
    nearest = good[np.abs(numbers[:, None] - good).argmin(axis=1)]
    return np.concatenate([frames[:, :1], frames[nearest, 1:]], axis=1)


@nnx.jit(static_argnames="steps")
def refine(model: WaveNet, wanted: Notes[np.ndarray], *, steps: int) -> tuple[Array, Array]:
    """The embeddings [N, F, 16] of N notes with a spectral encoder, from the encoder's on in so many steps of Adam.

    And how loud the noise is that they tell [N, F], in units of the level.
    """
    decoder = model.decoder
    levels, mel, amplitudes, rest_levels, rest_mel, pitch_hz = map(jnp.asarray, wanted)

    def told(embeddings: Array) -> FramePrediction:
        return decoder.frame_prediction(decoder.frame_conditioning(embeddings, pitch_hz), pitch_hz)

    encoded = model.spectral.embed(levels, mel)
    level, guess = encoded[..., :1], encoded[..., 1:]
    by_encoder = told(encoded)
    sounds = levels > SILENT * levels.max(axis=1, keepdims=True)
    noise = (
        _steadily(by_encoder.rest[..., None], rest_levels[..., None], sounds)[..., 0],
        jnp.square(_steadily(jnp.sqrt(linear_mel_power(model.config, by_encoder)), jnp.sqrt(rest_mel), sounds)),
    )
    notes = Notes(levels, mel, amplitudes, *noise, pitch_hz)

    def loss(timbre: Array) -> Array:
        moved = timbre - guess
        nats = frame_loss(model.config, told(jnp.concatenate([level, timbre], axis=-1)), notes)
        nats += CLOSENESS * jnp.mean(jnp.square(moved))
        nats += STEADINESS * jnp.mean(jnp.square(jnp.diff(moved, axis=1)))
        return nats * float(guess.shape[0] * guess.shape[1])  # a note's gradient is its own, whatever its company

    optimizer = optax.adam(optax.linear_schedule(LEARNING_RATE, LEARNING_RATE / 10, steps))

    def step(carried: tuple[Array, optax.OptState], _: None) -> tuple[tuple[Array, optax.OptState], None]:
        timbre, state = carried
        updates, state = optimizer.update(jax.grad(loss)(timbre), state)
        return (timbre + updates, state), None

    (timbre, _), _ = lax.scan(step, (guess, optimizer.init(guess)), length=steps)
    found = jnp.concatenate([level, timbre], axis=-1)
    return found, jnp.sqrt(linear_mel_power(model.config, told(found)).sum(axis=-1))


def _steadily(told: Array, true: Array, sounds: Array) -> Array:
    """What is told of levels [N, F, C], each channel's of a note so many times as great as to be true in the median.

    Within `TRUSTED_DB`, and over the frames that sound [N, F]: [N, F, C].
    """
    ratio = jnp.log(true + FAINTEST) - jnp.log(told + FAINTEST)
    median = jnp.nanmedian(jnp.where(sounds[..., None], ratio, jnp.nan), axis=1, keepdims=True)
    trusted = TRUSTED_DB * np.log(10.0) / 20.0
    return told * jnp.exp(median - jnp.clip(median, -trusted, trusted))
