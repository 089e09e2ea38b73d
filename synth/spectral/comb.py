"""Where a pitch's partials are among the bins of a spectrum."""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array

from synth.spectral.config import BaselineConfig

COMB_CHANNELS = 6
LOBE_BINS, LOBE_DB = 2.0, 60.0  # the main lobe of a Hann window goes so far, and is followed so far down
NEAR_BINS = 4.0  # a distance to a partial is told up to this


def comb(config: BaselineConfig, pitch: Array) -> Array:
    """What each bin is told of MIDI numbers [B]: [B, bins, COMB_CHANNELS], all within -1 and 1.

    How loud the nearest partial of a steady tone is there (1 at the partial, 0 from 60 dB below it on); how far it is,
    on which side; and sine and cosine of the bin's place between two partials, and between every second one, which
    tell odd partials from even ones and what sounds between them.
    """
    hertz = 440.0 * 2.0 ** ((pitch.astype(jnp.float32)[:, None] - 69.0) / 12.0)
    spacing = hertz * config.fft / config.sample_rate_hz  # bins
    number = jnp.arange(config.bins, dtype=jnp.float32)[None, :] / spacing
    away = (number - jnp.maximum(jnp.round(number), 1.0)) * spacing
    window = jnp.sinc(away) + 0.5 * (jnp.sinc(away - 1.0) + jnp.sinc(away + 1.0))
    decibels = 20.0 * jnp.log10(jnp.maximum(jnp.abs(window), 1e-6))
    lobe = jnp.where(jnp.abs(away) < LOBE_BINS, jnp.maximum(1.0 + decibels / LOBE_DB, 0.0), 0.0)
    places = [wave(jnp.pi * turns * number) for turns in (2.0, 1.0) for wave in (jnp.sin, jnp.cos)]
    return jnp.stack([lobe, jnp.clip(away / NEAR_BINS, -1.0, 1.0), *places], axis=-1)
