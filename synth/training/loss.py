"""What training minimises: the negative log likelihood of each next sample, given the true ones before it.

Where the size has harmonics, their amplitudes are also held to those of the note, on a logarithmic scale.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax
from jax import Array

from synth.training.crops import Crop
from synth.wavenet import WaveNet, heads, mulaw
from synth.wavenet.decoder import past

# A crop that begins inside a note starts with empty caches, which a player never has; its first samples do not count.
WARM_UP_SAMPLES = 512
FAINTEST = 3e-4  # of the level, -70 dB: amplitudes below it need not be told apart
AMPLITUDE_WEIGHT = 2.0  # nats for each neper by which amplitudes are wrong, on average


def crop_loss(model: WaveNet, crop: Crop, *, embedding_noise: float, key: Array) -> Array:
    """Mean negative log likelihood over a batch of crops, in nats a sample.

    For the softmax head it is NSynth's cross-entropy over 256 mu-law bins; for the logistic head the density of the
    sample in units of the note's level, hence comparable between runs but not between heads.
    """
    config, decoder = model.config, model.decoder
    if config.head == "softmax":
        z = model.encoder(crop.audio)
        codes = mulaw.encode(crop.audio)
        recent = past(codes.astype(jnp.float32) / 128.0, config.input_taps)
        outputs = decoder.outputs(recent, decoder.upsample(decoder.frame_conditioning(z, crop.pitch_hz)), None)
        return optax.softmax_cross_entropy_with_integer_labels(outputs, codes + 128).mean()

    length = crop.audio.shape[1]
    z = model.encoder.embed(crop.levels, crop.mel)
    z = z.at[..., 1:].add(embedding_noise * jax.random.normal(key, (*z.shape[:-1], z.shape[-1] - 1)))
    taken = crop.first_frame[:, None] + jnp.arange(length // config.hop + 1)[None]
    taken = jnp.minimum(taken, z.shape[1] - 1)[..., None]
    frames = jnp.take_along_axis(decoder.frame_conditioning(z, crop.pitch_hz), taken, axis=1)
    frame = decoder.frame_prediction(frames, crop.pitch_hz)
    rest = crop.audio - decoder.harmonic_part(frame, crop.clock)
    mix = decoder.predict(past(rest + crop.noise, decoder.reach), frames, frame, crop.clock)
    counts = (crop.first_frame[:, None] == 0) | (jnp.arange(length) >= WARM_UP_SAMPLES)[None]
    likelihood = -jnp.mean(heads.log_density(mix, rest), where=counts)
    # The likelihood hardly feels a weak partial; an ear does, and a distance in decibels.
    wanted = jnp.take_along_axis(crop.amplitudes, taken, axis=1)
    distance = jnp.abs(jnp.log(frame.amplitudes + FAINTEST) - jnp.log(wanted + FAINTEST))
    return likelihood + AMPLITUDE_WEIGHT * distance.mean() if config.harmonics else likelihood
