"""The WaveNet decoder, teacher-forced: every sample of a crop at once. `synth.stream` runs it one sample at a time."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array, lax

from synth.kernels.clock import clock_features, partials
from synth.pitch import HIGHEST_PARTIAL
from synth.wavenet import heads, mulaw
from synth.wavenet.config import WaveNetConfig
from synth.wavenet.encoder import channel_to_level
from synth.wavenet.layers import Conv

LOUDEST = 1.5  # of the level; no recorded note of the factory bank is told more than 1.46
POLE_RADIUS = 0.99  # at most, of a predictor: no resonance of the rest is narrower than 50 Hz at 16 kHz
PITCH_LOW, PITCH_HIGH = 21.0, 108.0  # MIDI numbers of NSynth's lowest and highest note


def pitch_features(pitch_hz: Array, count: int) -> Array:
    """Radial basis functions over the keyboard, half overlapping: [...] hertz -> [..., count]."""
    midi = 69.0 + 12.0 * jnp.log2(pitch_hz / 440.0)
    spacing = (PITCH_HIGH - PITCH_LOW) / max(count - 1, 1)
    centres = jnp.asarray(PITCH_LOW + spacing * np.arange(count), jnp.float32)
    offset = (midi[..., None] - jnp.broadcast_to(centres, (*midi.shape, count))) / spacing
    return jnp.exp(-0.5 * jnp.square(offset))


def steady_clock(pitch_hz: Array, samples: int, sample_rate_hz: int, first: int = 0) -> Array:
    """Phases, from sample `first` on, of a steady clock that starts at 0: [B] hertz -> [B, samples] uint32."""
    shape = (pitch_hz.shape[0], samples)
    increment = jnp.round(pitch_hz * (2.0**32 / sample_rate_hz)).astype(jnp.uint32)
    number = jnp.arange(samples, dtype=jnp.uint32) + jnp.uint32(first % 2**32)
    return increment[:, None] * jnp.broadcast_to(number, shape)


def linear_prediction(reflection: Array) -> Array:
    """Predictor coefficients from reflection coefficients (the step-up recursion; Markel and Gray 1976, section 5.2).

    [..., P] in (-1, 1) -> [..., P]; coefficient j multiplies the sample j + 1 before. The synthesis filter is stable.
    """
    order = reflection.shape[-1]
    i, j = np.arange(order)[:, None], np.arange(order)[None, :]
    mirror, below, here = np.clip(i - 1 - j, 0, order - 1), j < i, j == i

    def step_up(coefficients: Array, row: tuple[Array, ...]) -> tuple[Array, None]:
        k, mirror, below, here = row
        mirrored = jnp.take(coefficients, mirror, axis=-1)
        k = jnp.broadcast_to(k[..., None], coefficients.shape)
        below, here = (jnp.broadcast_to(mask, coefficients.shape) for mask in (below, here))
        return jnp.where(here, k, jnp.where(below, coefficients - k * mirrored, 0.0)), None

    rows = (jnp.moveaxis(reflection, -1, 0), *(jnp.asarray(table) for table in (mirror, below, here)))
    return lax.scan(step_up, jnp.zeros_like(reflection), rows)[0]


class FramePrediction(NamedTuple):
    """What the logistic head takes from a frame: predictor [..., P], amplitudes [..., H], scale, rest, gain [...].

    A sample is gain * (partials with the amplitudes + rest * the mixture's), and the scale is in units of the rest.
    """

    coefficients: Array
    amplitudes: Array
    scale: Array
    rest: Array
    gain: Array


def frame_conditioning(config: WaveNetConfig, z: Array, pitch_hz: Array | None) -> Array:
    """An embedding with its pitch features: [B, F, 16], [B] -> [B, F, C]."""
    if not config.pitch_features:
        return z
    assert pitch_hz is not None
    features = pitch_features(pitch_hz, config.pitch_features)
    return jnp.concatenate([z, jnp.broadcast_to(features[:, None], (*z.shape[:2], features.shape[-1]))], axis=-1)


def frame_prediction(
    config: WaveNetConfig, frames: Array, raw: Array, log_amplitudes: Array, pitch_hz: Array | None
) -> FramePrediction:
    """Read frames [B, F, C], with the prediction layer's and the amplitude layer's outputs for them.

    The linear prediction comes as reflection coefficients, which keeps its synthesis filter stable, whatever the
    network says; its poles are drawn in a little, so that predictors on the line between two frames' are stable too,
    as a rule. The scale stays within -52 and +9 dB of the rest, so that no density is a spike, and the rest within
    -70 and +9 dB of the level. Partials above 47 % of the sample rate are silent, and all together are no louder than
    `LOUDEST` (a level is that of the louder half of a frame): near what it has never heard a network may say anything.
    """
    order = config.prediction_order
    amplitudes = jnp.exp(jnp.clip(log_amplitudes - 5.0, -12.0, 1.5))
    assert pitch_hz is not None
    highest = HIGHEST_PARTIAL * config.sample_rate_hz / pitch_hz
    k = jnp.arange(1, config.harmonics + 1, dtype=jnp.float32)
    audible = k[None] < highest[:, None]
    amplitudes = jnp.where(audible[:, None, :], amplitudes, 0.0)
    together = jnp.sqrt(jnp.square(amplitudes).sum(axis=-1, keepdims=True) / 2.0 + 1e-20)
    amplitudes = amplitudes * jnp.minimum(LOUDEST / together, 1.0)
    coefficients = linear_prediction(0.99 * jnp.tanh(raw[..., :order]))
    drawn_in = jnp.asarray(POLE_RADIUS ** np.arange(1, order + 1), jnp.float32)
    return FramePrediction(
        coefficients * jnp.broadcast_to(drawn_in, coefficients.shape),
        amplitudes,
        jnp.exp(jnp.clip(raw[..., order] - 1.0, -6.0, 1.0)),
        jnp.exp(jnp.clip(raw[..., order + 1] - 3.0, -8.0, 1.0)),
        channel_to_level(frames[..., 0]),
    )


def upsample(config: WaveNetConfig, frames: Array) -> Array:
    """Frames [B, F, C] at sample rate [B, F * hop, C]: held, or on straight lines from each frame to the next."""
    batch, count, channels = frames.shape
    if config.smooth_conditioning:
        following = jnp.concatenate([frames[:, 1:], frames[:, -1:]], axis=1)
        fraction = jnp.arange(config.hop, dtype=jnp.float32)[None, None, :, None] / config.hop
        dense = frames[:, :, None] + fraction * (following - frames)[:, :, None]
    else:
        dense = jnp.broadcast_to(frames[:, :, None], (batch, count, config.hop, channels))
    return dense.reshape(batch, count * config.hop, channels)


class Decoder(nnx.Module):
    """NSynth's decoder (magenta h512_bo16.py), with the live sizes' additions where the config asks for them."""

    def __init__(self, config: WaveNetConfig, *, rngs: nnx.Rngs) -> None:
        self.config = config
        r, s, c = config.residual, config.skip, config.conditioning_channels
        self.startconv = Conv(config.input_taps, 1, r, rngs=rngs)
        self.skip_start = Conv(1, r, s, rngs=rngs)
        self.dilatedconv = nnx.List(Conv(config.filter_width, r, 2 * r, rngs=rngs) for _ in range(config.layers))
        self.cond_map = nnx.List(Conv(1, c, 2 * r, rngs=rngs) for _ in range(config.layers))
        self.res = nnx.List(Conv(1, r, r, rngs=rngs) for _ in range(config.layers))
        self.skip = nnx.List(Conv(1, r, s, rngs=rngs) for _ in range(config.layers))
        self.out1 = Conv(1, s, s, rngs=rngs)
        self.cond_map_out1 = Conv(1, c, s, rngs=rngs)
        if config.clock_harmonics:
            self.clock = Conv(1, 2 * config.clock_harmonics, r, rngs=rngs)
        if config.head == "logistics":
            self.logits = Conv(1, s, config.outputs, rngs=rngs, scale=0.1)
            widths = [c, *[config.frame_width] * config.frame_layers]
            self.frame_hidden = nnx.List(Conv(1, i, o, rngs=rngs) for i, o in itertools.pairwise(widths))
            self.prediction = Conv(1, widths[-1], config.prediction_order + 2, rngs=rngs, scale=0.1)
            self.harmonic = Conv(1, widths[-1], config.harmonics, rngs=rngs)
        else:
            self.logits = Conv(1, s, config.outputs, rngs=rngs)

    def frame_conditioning(self, z: Array, pitch_hz: Array | None) -> Array:
        """The embedding with its pitch features: [B, F, 16], [B] -> [B, F, C]."""
        return frame_conditioning(self.config, z, pitch_hz)

    def frame_prediction(self, frames: Array, pitch_hz: Array | None) -> FramePrediction:
        """The logistic head's part of the conditioning: [B, F, C], [B] -> predictor, amplitudes, scale, rest, gain."""
        hidden = frames
        for layer in self.frame_hidden:
            hidden = nnx.silu(layer(hidden))
        return frame_prediction(self.config, frames, self.prediction(hidden), self.harmonic(hidden), pitch_hz)

    def upsample(self, frames: Array) -> Array:
        """Frames [B, F, C] at sample rate, [B, F * hop, C]."""
        return upsample(self.config, frames)

    def outputs(self, recent: Array, conditioning: Array, clock: Array | None) -> Array:
        """The head's outputs [B, T, O].

        Args:
          recent: [B, T, taps], the inputs before each sample, the latest last.
          conditioning: [B, T, C], upsampled.
          clock: [B, T] uint32 phases, where the size has a clock.
        """
        config = self.config
        batch, length, _ = recent.shape
        x = recent @ self.startconv.W[0, :, 0] + jnp.broadcast_to(
            self.startconv.biases[...], (batch, length, config.residual)
        )
        if clock is not None:
            x = x + self.clock(clock_features(clock, config.clock_harmonics))
        skips = self.skip_start(x)
        conditioning_biases = jnp.ones_like(conditioning[..., :1])
        conditioned = jnp.concatenate([conditioning, conditioning_biases], axis=-1)
        for i, dilation in enumerate(config.dilations):
            cond = self.cond_map[i]
            weights = jnp.concatenate([cond.W[0, 0], cond.biases[None]], axis=0)
            gates = self.dilatedconv[i].causal(x, dilation, (conditioned, weights))
            gated = nnx.sigmoid(gates[..., : config.residual]) * jnp.tanh(gates[..., config.residual :])
            skips = skips + self.skip[i](gated)
            if i + 1 < config.layers:
                x = x + self.res[i](gated)
        hidden = self.out1(nnx.relu(skips)) + self.cond_map_out1(conditioning)
        return self.logits(nnx.relu(hidden))

    def logits_of_audio(self, audio: Array, z: Array, clock: Array | None, pitch_hz: Array | None) -> Array:
        """Teacher-forced log-probability logits over mu-law bins: [B, F * hop], [B, F, 16] -> [B, F * hop, 256]."""
        config = self.config
        frames = self.frame_conditioning(z, pitch_hz)
        if config.head == "softmax":
            recent = past(mulaw.encode(audio).astype(jnp.float32) / 128.0, config.input_taps)
            return self.outputs(recent, self.upsample(frames), clock)
        assert clock is not None
        frame = self.frame_prediction(frames, pitch_hz)
        gain = self.upsample(frame.gain[..., None])[..., 0]
        harmonics = self.harmonic_part(frame, clock)
        rest = self.upsample(frame.rest[..., None])
        mix = self.predict(past((audio / gain - harmonics) / rest[..., 0], self.reach), frames, frame, clock)
        whole = heads.Mixture(mix.log_weights, harmonics[..., None] + rest * mix.means, jnp.log(rest) + mix.log_scales)
        return heads.bin_log_probabilities(whole, gain)

    @property
    def reach(self) -> int:
        """Past inputs that the first layer and the linear prediction see."""
        return max(self.config.input_taps, self.config.prediction_order)

    def harmonic_part(self, frame: FramePrediction, clock: Array) -> Array:
        """The sum of the clock's partials with the frames' amplitudes, in units of the level: [B, T]."""
        amplitudes = self.upsample(frame.amplitudes)[:, : clock.shape[1]]
        return jnp.sum(amplitudes * partials(clock, self.config.harmonics), axis=-1)

    def predict(
        self, recent: Array, frames: Array, frame: FramePrediction, clock: Array, heard: Array | None = None
    ) -> heads.Mixture:
        """The distribution of what each next sample adds to the harmonic part, in units of the rest.

        `recent` [B, T, reach] is the same of the samples before, the latest last; the frames may go past T. `heard` is
        what the network hears instead, where it is not to hear what the linear prediction does.
        """
        config = self.config
        length = clock.shape[1]
        heard = recent if heard is None else heard
        conditioning = self.upsample(frames)[:, :length]
        outputs = self.outputs(heard[..., -config.input_taps :], conditioning, clock)
        coefficients = self.upsample(frame.coefficients)[:, :length]
        prediction = jnp.sum(coefficients * recent[..., -config.prediction_order :][..., ::-1], axis=-1)
        return heads.mixture(outputs, prediction, self.upsample(frame.scale[..., None])[:, :length, 0])


def past(signal: Array, taps: int) -> Array:
    """The `taps` values before each sample, the latest last: [B, T] -> [B, T, taps], zeros before the start."""
    length = signal.shape[1]
    padded = jnp.pad(signal, ((0, 0), (taps, 0)))
    return jnp.stack([padded[:, k : k + length] for k in range(taps)], axis=-1)
