"""What training minimises: the negative log likelihood of each next sample, given the true ones before it.

Where the size has harmonics, their amplitudes are also held to those of the note, on a logarithmic scale; where it has
a rest level, that too.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax
from jax import Array, lax

from synth.training.crops import Crop
from synth.wavenet import WaveNet, heads, mulaw
from synth.wavenet.decoder import past
from synth.wavenet.encoder import level

# A crop that begins inside a note starts with empty caches, which a player never has; its first samples do not count.
WARM_UP_SAMPLES = 512
FAINTEST = 3e-4  # of the level, -70 dB: amplitudes below it need not be told apart
AMPLITUDE_WEIGHT = 2.0  # nats for each neper by which amplitudes are wrong, on average
POWER_WEIGHT = 1.0  # nats for each neper by which all partials together are wrong
REST_WEIGHT = 0.5  # nats for each neper by which the rest's level is wrong
WHITE_SHARE = 0.1  # of the noise in the history; the rest has the note's own colour, with gaps that errors could fill


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
    embedding_key, history_key = jax.random.split(key)
    z = z.at[..., 1:].add(embedding_noise * jax.random.normal(embedding_key, (*z.shape[:-1], z.shape[-1] - 1)))
    taken = crop.first_frame[:, None] + jnp.arange(length // config.hop + 1)[None]
    taken = jnp.minimum(taken, z.shape[1] - 1)[..., None]
    frames = jnp.take_along_axis(decoder.frame_conditioning(z, crop.pitch_hz), taken, axis=1)
    frame = decoder.frame_prediction(frames, crop.pitch_hz)
    wanted = jnp.take_along_axis(crop.amplitudes, taken, axis=1)
    # The mixture learns what the partials cannot say even with the note's own amplitudes. Were it to learn what the
    # predicted ones leave, it would continue partials from a past that in playing has its own errors.
    rest = crop.audio - decoder.harmonic_part(frame._replace(amplitudes=wanted), crop.clock)
    unit = lax.stop_gradient(decoder.upsample(frame.rest[..., None])[:, :length, 0])
    white = jax.random.normal(history_key, rest.shape) * jnp.std(crop.noise, axis=1, keepdims=True)
    history = (rest + crop.noise + WHITE_SHARE * white) / unit
    mix = decoder.predict(past(history, decoder.reach), frames, frame, crop.clock)
    counts = (crop.first_frame[:, None] == 0) | (jnp.arange(length) >= WARM_UP_SAMPLES)[None]
    loss = -jnp.mean(heads.log_density(mix, rest / unit) - jnp.log(unit), where=counts)
    if config.harmonics:
        # The likelihood hardly feels a weak partial; an ear does, and a distance in decibels.
        audible = jnp.minimum(0.47 * config.sample_rate_hz / crop.pitch_hz, config.harmonics)[:, None]
        distance = jnp.abs(_log(frame.amplitudes) - _log(wanted)).sum(axis=-1) / audible
        loss += AMPLITUDE_WEIGHT * distance.mean()
        loss += POWER_WEIGHT * jnp.abs(_log(_rms(frame.amplitudes)) - _log(_rms(wanted))).mean()
    if config.rest_level:
        loss += REST_WEIGHT * jnp.abs(_log(frame.rest[:, :-1]) - _log(level(rest, config.hop))).mean()
    return loss


def _log(level: Array) -> Array:
    return jnp.log(level + FAINTEST)


def _rms(amplitudes: Array) -> Array:
    """Of partials with these amplitudes [..., H]: [...]."""
    return jnp.sqrt(jnp.square(amplitudes).sum(axis=-1) / 2.0 + 1e-12)
