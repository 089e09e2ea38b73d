"""Embeddings fitted to their notes.

An encoder guesses, at once and for any note, which 16 numbers the decoder should get. Once a note is to go into a bank
there is time to look for better ones: some steps of gradient descent on what frames tell, from the encoder's guess on.
(What an encoder loses against this is known as its amortisation gap; Cremer, Li and Duvenaud 2018, section 2.)
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

from synth.bank import Recorded
from synth.pitch import midi_to_hertz
from synth.training.analysis import Features, analyse_all
from synth.training.crops import Notes
from synth.training.loss import frame_loss
from synth.wavenet import SpectralEncoder, WaveNet

STEPS = 100  # after twice as many a frame tells 2 % better
BATCH = 16  # notes fitted at once
LEARNING_RATE = 0.05  # at the beginning; a tenth at the end
CLOSENESS = 0.5  # nats for a channel that has moved by 1: blends need embeddings where the decoder has learnt


def refined(
    model: WaveNet, notes: Iterable[Recorded], *, expected: int, steps: int = STEPS
) -> Iterator[tuple[Recorded, np.ndarray]]:
    """Notes with their embeddings [F, 16], fitted to what `frame_loss` wants frames to tell; the level stays.

    `expected` notes, about, and for so many it pays or not to analyse them in several processes. A model that embeds
    by a temporal encoder tells nothing of a frame by itself: its embeddings are the encoder's.
    """
    encoder, config = model.encoder, model.config
    if not isinstance(encoder, SpectralEncoder) or not steps:
        for note in notes:
            yield note, np.asarray(model.encode(note.audio[None]))[0]
        return
    features, rest_features = jax.jit(encoder.features), jax.jit(encoder.rest_features)
    under_way: deque[tuple[Recorded, Features]] = deque()

    def heard() -> Iterator[Features]:
        for note in notes:
            levels, mel = (np.asarray(part)[0] for part in features(note.audio[None]))
            under_way.append((note, Features(note.audio, float(midi_to_hertz(note.pitch)), levels, mel)))
            yield under_way[-1][1]

    def analysed() -> Iterator[tuple[Recorded, Notes]]:
        sizes = {"sample_rate_hz": config.sample_rate_hz, "hop": config.hop, "harmonics": config.harmonics}
        for analysis in analyse_all(heard(), expected=expected, **sizes):
            note, seen = under_way.popleft()
            rest_levels, rest_mel = (np.asarray(part)[0] for part in rest_features(analysis.rest[None]))
            told = analysis.amplitudes, rest_levels, rest_mel
            yield note, Notes(*map(jnp.asarray, (seen.levels, seen.mel, *told, np.float32(seen.pitch_hz))))

    ready = analysed()
    while batch := list(itertools.islice(ready, BATCH)):
        own, targets = zip(*batch, strict=True)
        full = [*targets, *targets[-1:] * (BATCH - len(targets))]  # one shape, compiled once
        embeddings = refine(model, jax.tree.map(lambda *notes: jnp.stack(notes), *full), steps=steps)
        yield from zip(own, np.asarray(embeddings), strict=False)


@nnx.jit(static_argnames="steps")
def refine(model: WaveNet, notes: Notes, *, steps: int) -> Array:
    """The embeddings [N, F, 16] of notes with a spectral encoder, from the encoder's on in so many steps of Adam."""
    decoder = model.decoder
    encoded = model.spectral.embed(notes.levels, notes.mel)
    level, guess = encoded[..., :1], encoded[..., 1:]

    def loss(timbre: Array) -> Array:
        frames = decoder.frame_conditioning(jnp.concatenate([level, timbre], axis=-1), notes.pitch_hz)
        told = decoder.frame_prediction(frames, notes.pitch_hz)
        nats = frame_loss(model.config, told, notes) + CLOSENESS * jnp.mean(jnp.square(timbre - guess))
        return nats * float(guess.shape[0] * guess.shape[1])  # a frame's gradient is its own, whatever its company

    optimizer = optax.adam(optax.linear_schedule(LEARNING_RATE, LEARNING_RATE / 10, steps))

    def step(carried: tuple[Array, optax.OptState], _: None) -> tuple[tuple[Array, optax.OptState], None]:
        timbre, state = carried
        updates, state = optimizer.update(jax.grad(loss)(timbre), state)
        return (timbre + updates, state), None

    (timbre, _), _ = lax.scan(step, (guess, optimizer.init(guess)), length=steps)
    return jnp.concatenate([level, timbre], axis=-1)
