"""From the head's outputs to probabilities, samples and losses.

Two heads: NSynth's softmax over 256 mu-law bins, and a mixture of logistics around a linear prediction of the
next sample. The first is a special case of nothing and the second of PixelCNN++'s (Salimans et al. 2017,
section 2.1) without its discretisation.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from synth.kernels.sampling import LARGEST_MEAN, MAX_LOG_SCALE, MIN_LOG_SCALE
from synth.wavenet import mulaw


class Mixture(NamedTuple):
    """A mixture of logistics for each sample: log weights, means and log scales, each [..., M]."""

    log_weights: Array
    means: Array
    log_scales: Array


def mixture(outputs: Array, prediction: Array, scale: Array) -> Mixture:
    """Read the head's outputs [..., 3 M], given the linear prediction [...] and the frame's scale [...]."""
    logits, means, log_scales = jnp.split(outputs, 3, axis=-1)
    return Mixture(
        jax.nn.log_softmax(logits),
        prediction[..., None] + scale[..., None] * jnp.clip(means, -LARGEST_MEAN, LARGEST_MEAN),
        jnp.log(scale)[..., None] + jnp.clip(log_scales, MIN_LOG_SCALE, MAX_LOG_SCALE),
    )


def log_density(mix: Mixture, value: Array) -> Array:
    """Log density of `value` [...] in nats."""
    standard = (value[..., None] - mix.means) * jnp.exp(-mix.log_scales)
    log_pdf = -standard - mix.log_scales - 2.0 * jax.nn.softplus(-standard)
    return jax.nn.logsumexp(mix.log_weights + log_pdf, axis=-1)


def bin_log_probabilities(mix: Mixture, gain: Array) -> Array:
    """Log probability of each mu-law bin of the sample that is `gain` [...] times the mixture's value: [..., 256]."""
    edges = jnp.broadcast_to(mulaw.edges(), (*gain.shape, mulaw.LEVELS - 1)) / gain[..., None]
    standard = (edges[..., None, :] - mix.means[..., None]) * jnp.exp(-mix.log_scales)[..., None]  # [..., M, 255]
    log_below = jax.nn.log_sigmoid(standard)
    log_above = jax.nn.log_sigmoid(-standard)
    # log(sigmoid(b) - sigmoid(a)) = log sigmoid(b) + log sigmoid(-a) + log(1 - exp(a - b)), exact in both tails.
    width = standard[..., 1:] - standard[..., :-1]
    inner = log_below[..., 1:] + log_above[..., :-1] + jnp.log(-jnp.expm1(-width))
    log_bins = jnp.concatenate([log_below[..., :1], inner, log_above[..., -1:]], axis=-1)
    return jax.nn.logsumexp(mix.log_weights[..., None] + log_bins, axis=-2)
