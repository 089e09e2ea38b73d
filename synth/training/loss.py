"""What training minimises: the negative log likelihood of each next sample, given the true ones before it.

For the live sizes the samples are those of the note without its partials. The partials' amplitudes and the level of
that rest are held to the note's own, on a logarithmic scale.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array, lax

from synth.pitch import HIGHEST_PARTIAL
from synth.training.crops import Crop, Notes
from synth.wavenet import SpectralEncoder, WaveNet, WaveNetConfig, heads, mulaw
from synth.wavenet.decoder import FramePrediction, past
from synth.wavenet.encoder import mel_filterbank

# A crop that begins inside a note starts with empty caches, which a player never has; its first samples do not count.
WARM_UP_SAMPLES = 512
FAINTEST = 1e-4  # of the level, -80 dB: amplitudes below it need not be told apart
AMPLITUDE_WEIGHT = 2.0  # nats for each neper by which amplitudes are wrong, on average
POWER_WEIGHT = 1.0  # nats for each neper by which all partials together are wrong
REST_WEIGHT = 0.5  # nats for each neper by which the rest's level is wrong
COLOUR_WEIGHT = 1.0  # nats for each neper by which the linear prediction's spectrum is wrong, on average
WHITE_SHARE = 0.1  # of the noise in the history; the rest has the note's own colour, with gaps that errors could fill


def crop_loss(
    model: WaveNet, crop: Crop, *, embedding_noise: float, key: Array, frames_alone: Array | bool = False
) -> Array:
    """Mean negative log likelihood over a batch of crops, in nats a sample.

    For the softmax head it is NSynth's cross-entropy over 256 mu-law bins; for the logistic head the density of the
    sample in units of the note's level, hence comparable between runs but not between heads, and `frame_loss`; with
    `frames_alone` [] that only.
    """
    config, decoder = model.config, model.decoder
    if config.head == "softmax":
        z = model.encoder(crop.audio)
        codes = mulaw.encode(crop.audio)
        recent = past(codes.astype(jnp.float32) / 128.0, config.input_taps)
        frames = decoder.frame_conditioning(z, crop.notes.pitch_hz[:, 0])
        outputs = decoder.outputs(recent, decoder.upsample(frames), None)
        return optax.softmax_cross_entropy_with_integer_labels(outputs, codes + 128).mean()

    notes = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), crop.notes)
    z = model.spectral.embed(notes.levels, notes.mel)
    embedding_key, history_key = jax.random.split(key)
    z = z.at[..., 1:].add(embedding_noise * jax.random.normal(embedding_key, (*z.shape[:-1], z.shape[-1] - 1)))
    note_frames = decoder.frame_conditioning(z, notes.pitch_hz)
    told = decoder.frame_prediction(note_frames, notes.pitch_hz)
    nats = lax.cond(
        frames_alone, lambda: jnp.float32(0.0), lambda: _rest_nats(model, crop, note_frames, told, history_key)
    )
    return nats + frame_loss(config, told, notes)


def _rest_nats(model: WaveNet, crop: Crop, note_frames: Array, told: FramePrediction, key: Array) -> Array:
    """Mean negative log likelihood of the crops' samples, given all their notes' frames [B * N, F, C]."""
    config, decoder = model.config, model.decoder
    batch, length = crop.audio.shape
    taken = crop.first_frame[:, None] + jnp.arange(length // config.hop + 1)[None]
    taken = jnp.minimum(taken, note_frames.shape[1] - 1)

    def of_crops(leaf: Array) -> Array:
        """Of all notes' frames [B * N, F, ...] those that a crop needs, [B, frames + 1, ...]."""
        own = leaf.reshape(batch, -1, *leaf.shape[1:])[:, 0]
        return jax.vmap(lambda note, numbers: note[numbers])(own, taken)

    frames, frame = jax.tree.map(of_crops, (note_frames, told))
    # The mixture learns the note without its partials. Were it to learn what the predicted ones leave, it would
    # continue partials from a past that in playing has its own errors.
    rest = crop.audio
    unit = lax.stop_gradient(decoder.upsample(frame.rest[..., None])[:, :length, 0])
    white = jax.random.normal(key, rest.shape) * jnp.std(crop.noise, axis=1, keepdims=True)
    heard = (rest + crop.noise + WHITE_SHARE * white) / unit
    # Noise in what the network hears makes it careful: in playing it hears itself. The linear prediction is stable.
    mix = decoder.predict(past(rest / unit, decoder.reach), frames, frame, crop.clock, heard=past(heard, decoder.reach))
    counts = (crop.first_frame[:, None] == 0) | (jnp.arange(length) >= WARM_UP_SAMPLES)[None]
    return -jnp.mean(heads.log_density(mix, rest / unit) - jnp.log(unit), where=counts)


def frame_loss(config: WaveNetConfig, told: FramePrediction, notes: Notes[Array]) -> Array:
    """How far what frames tell is from what they should, in nats: amplitudes, the rest's level and its colour.

    The likelihood hardly feels a weak partial or a wrong colour; an ear does, and a distance in decibels. And the
    linear prediction, stable whatever comes back to it, is to explain all of the colour that it can.
    """
    audible = jnp.clip(HIGHEST_PARTIAL * config.sample_rate_hz / notes.pitch_hz, 1.0, config.harmonics)[:, None]
    amplitudes = jnp.abs(_log(told.amplitudes) - _log(notes.amplitudes)).sum(axis=-1) / audible
    power = jnp.abs(_log(_rms(told.amplitudes)) - _log(_rms(notes.amplitudes)))
    rest = jnp.abs(_log(told.rest) - _log(notes.rest_levels))
    linear, wanted = (jnp.log(mel + FAINTEST**2) / 2.0 for mel in (linear_mel_power(config, told), notes.rest_mel))
    return (
        AMPLITUDE_WEIGHT * amplitudes.mean()
        + POWER_WEIGHT * power.mean()
        + REST_WEIGHT * rest.mean()
        + COLOUR_WEIGHT * jnp.abs(linear - wanted).mean()
    )


def linear_mel_power(config: WaveNetConfig, told: FramePrediction) -> Array:
    """`SpectralEncoder.mel_power` that the noise of the linear prediction alone has in the mean: [N, F, mels]."""
    fft = SpectralEncoder.FFT
    turns = np.outer(np.arange(1, config.prediction_order + 1), np.arange(fft // 2 + 1) / fft)
    real = 1.0 - told.coefficients @ jnp.asarray(np.cos(2 * np.pi * turns), jnp.float32)
    imaginary = told.coefficients @ jnp.asarray(np.sin(2 * np.pi * turns), jnp.float32)
    window_power = 0.375  # of a Hann window, in the mean
    variance = (np.pi**2 / 3.0) * jnp.square(told.scale * told.rest)  # of a logistic
    filterbank = mel_filterbank(config.encoder_mels, fft, config.sample_rate_hz)
    gain = 1.0 / (real**2 + imaginary**2 + 1e-9)  # 90 dB at most, however wild a prediction the beginning makes
    return variance[..., None] * (gain @ filterbank) * window_power


def _log(level: Array) -> Array:
    return jnp.log(level + FAINTEST)


def _rms(amplitudes: Array) -> Array:
    """Of partials with these amplitudes [..., H]: [...]."""
    return jnp.sqrt(jnp.square(amplitudes).sum(axis=-1) / 2.0 + 1e-12)
