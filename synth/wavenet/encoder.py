"""Encoders: a note in, 16 numbers every 512 samples out."""

from __future__ import annotations

import itertools

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array, lax

from synth.wavenet import mulaw
from synth.wavenet.config import WaveNetConfig
from synth.wavenet.layers import Conv

LEVEL_FLOOR = 1e-4  # RMS: -80 dBFS
LEVEL_DB_PER_UNIT = 40.0  # channel 0 of a spectral embedding is 1 + dBFS / 40: 1 at full scale, -1 at the floor
LOUDEST_CHANNEL = 1.5  # +20 dBFS: no sound is louder, whatever an embedding says


class TemporalEncoder(nnx.Module):
    """NSynth's encoder (paper, section 2.1; magenta h512_bo16.py): non-causal dilated convolutions, mean per frame."""

    def __init__(self, config: WaveNetConfig, *, rngs: nnx.Rngs) -> None:
        width, taps = config.encoder_width, config.encoder_filter
        self.config = config
        self.ae_startconv = Conv(taps, 1, width, rngs=rngs)
        self.ae_dilatedconv = nnx.List(Conv(taps, width, width, rngs=rngs) for _ in range(config.encoder_layers))
        self.ae_res = nnx.List(Conv(1, width, width, rngs=rngs) for _ in range(config.encoder_layers))
        self.ae_bottleneck = Conv(1, width, config.embedding_channels, rngs=rngs)

    @property
    def reach(self) -> int:
        """How many frames to either side a frame's embedding hears of."""
        side = self.config.encoder_filter // 2
        dilations = (2 ** (i % self.config.dilation_cycle) for i in range(self.config.encoder_layers))
        return -(-side * (1 + sum(dilations)) // self.config.hop)

    def __call__(self, audio: Array) -> Array:
        """[B, F * hop] samples -> [B, F, C]."""
        quantized = mulaw.encode(audio).astype(jnp.float32) / 128.0
        x = self.ae_startconv.same(quantized[..., None])
        for i, (dilated, res) in enumerate(zip(self.ae_dilatedconv, self.ae_res, strict=True)):
            dilation = 2 ** (i % self.config.dilation_cycle)
            x = x + res(nnx.relu(dilated.same(nnx.relu(x), dilation)))
        z = self.ae_bottleneck(x)
        return z.reshape(z.shape[0], -1, self.config.hop, z.shape[-1]).mean(axis=2)


def level(audio: Array, hop: int) -> Array:
    """RMS of a note around each frame's first sample: [B, F * hop] -> [B, F].

    It is the largest of the four half-frames around that sample, so that an onset is never louder than its level
    announces by more than the crest of the sound itself.
    """
    half = hop // 2
    power = jnp.square(audio).reshape(audio.shape[0], -1, half).mean(axis=-1)
    largest = lax.reduce_window(jnp.pad(power, ((0, 0), (2, 1))), -jnp.inf, lax.max, (1, 4), (1, 2), "VALID")
    return jnp.maximum(jnp.sqrt(largest), LEVEL_FLOOR)


def level_to_channel(rms: Array) -> Array:
    """RMS (1 is full scale) as the embedding's channel 0."""
    return 1.0 + 20.0 * jnp.log10(rms) / LEVEL_DB_PER_UNIT


def channel_to_level(channel: Array) -> Array:
    """The inverse of `level_to_channel`, +20 dBFS at most."""
    return 10.0 ** ((jnp.minimum(channel, LOUDEST_CHANNEL) - 1.0) * LEVEL_DB_PER_UNIT / 20.0)


def mel_filterbank(mels: int, fft: int, sample_rate_hz: int) -> np.ndarray:
    """Triangles of height 1, evenly spaced on the HTK mel scale from 0 Hz to Nyquist: [fft // 2 + 1, mels]."""

    def to_hz(mel: np.ndarray) -> np.ndarray:
        return 700.0 * (10.0 ** (mel / 2595.0) - 1.0)

    top = 2595.0 * np.log10(1.0 + sample_rate_hz / 2 / 700.0)
    corners = to_hz(np.linspace(0.0, top, mels + 2))
    bins = np.fft.rfftfreq(fft, 1.0 / sample_rate_hz)[:, None]
    rising = (bins - corners[:-2]) / (corners[1:-1] - corners[:-2])
    falling = (corners[2:] - bins) / (corners[2:] - corners[1:-1])
    return np.maximum(0.0, np.minimum(rising, falling)).astype(np.float32)


class SpectralEncoder(nnx.Module):
    """The live sizes' encoder: convolutions over log-mel frames, relative to the level, which becomes channel 0.

    The decoder divides by the level, so that the network models a signal of constant loudness, whatever the
    velocity, and a decay of 60 dB costs no precision.
    """

    FFT = 2048
    FARTHEST = 32.0  # from 0 that a channel goes; of notes that it has learnt, 28

    def __init__(self, config: WaveNetConfig, *, rngs: nnx.Rngs) -> None:
        self.config = config
        width = config.encoder_width
        widths = [config.encoder_mels, *([width] * config.encoder_layers)]
        self.ae_conv = nnx.List(Conv(config.encoder_filter, i, o, rngs=rngs) for i, o in itertools.pairwise(widths))
        self.ae_bottleneck = Conv(1, width, config.embedding_channels - 1, rngs=rngs)

    @property
    def reach(self) -> int:
        """How many frames to either side a frame's embedding hears of."""
        return self.config.encoder_layers * (self.config.encoder_filter // 2) + -(-self.FFT // 2 // self.config.hop) + 1

    def features(self, audio: Array) -> tuple[Array, Array]:
        """What the network sees of a note: levels [B, F] and log-mel frames relative to them [B, F, mels].

        Frame f is centred on sample f * hop, the point where its embedding applies.
        """
        levels = self.levels(audio)
        return levels, self.log_mel(audio, levels)

    def levels(self, audio: Array) -> Array:
        """[B, F * hop] samples -> [B, F]."""
        return level(audio, self.config.hop)

    def log_mel(self, audio: Array, levels: Array) -> Array:
        """[B, F * hop] samples, relative to levels [B, F] -> [B, F, mels]."""
        return jnp.log10(self.mel_power(audio, levels) + 1e-5) / 2.0

    def rest_features(self, rest: Array) -> tuple[Array, Array]:
        """What a frame is to tell of a signal [B, F * hop] in units of the note's level: levels [B, F], `mel_power`."""
        levels = level(rest, self.config.hop)
        return levels, self.mel_power(rest, jnp.ones_like(levels))

    def mel_power(self, audio: Array, units: Array) -> Array:
        """Power of a signal [B, T] in mel bands around each frame's first sample, in units [B, F]: [B, F, mels]."""
        config, frames = self.config, units.shape[1]
        padded = jnp.pad(audio, ((0, 0), (self.FFT // 2, self.FFT // 2)))
        starts = np.arange(frames)[:, None] * config.hop + np.arange(self.FFT)[None, :]
        window = np.hanning(self.FFT + 1)[:-1].astype(np.float32)
        windowed = padded[:, starts] * jnp.broadcast_to(window, (audio.shape[0], frames, self.FFT))
        power = jnp.square(jnp.abs(jnp.fft.rfft(windowed / units[..., None])))
        return power @ mel_filterbank(config.encoder_mels, self.FFT, config.sample_rate_hz) / self.FFT

    def embed(self, levels: Array, mel: Array) -> Array:
        """[B, F], [B, F, mels] -> [B, F, C]."""
        x = mel
        for conv in self.ae_conv:
            x = nnx.silu(conv.same(x))
        timbre = self.ae_bottleneck(x)
        # Far from what it has learnt (a sea shore, a note's last crackle) the network goes to ten thousands: no timbre.
        known = jnp.max(jnp.abs(timbre), axis=-1, keepdims=True) <= self.FARTHEST
        timbre = jnp.where(known, timbre, 0.0)
        return jnp.concatenate([level_to_channel(levels)[..., None], timbre], axis=-1)

    def __call__(self, audio: Array) -> Array:
        """[B, F * hop] samples -> [B, F, C]."""
        return self.embed(*self.features(audio))
