"""Counter-based randomness and the two ways to draw a sample, shared by every backend that is written in JAX.

The uniforms of sample number `age` of a voice are Threefry-2x32 (Salmon et al. 2011) of key (seed, 0) and counter
(age, 0). They depend on nothing else, so a note sounds the same whatever the block size and the company.
"""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array

LOGISTIC_TAIL = 0.0025  # the draw stays between these quantiles (+-6 scales), since one wild sample is a click
LARGEST = 8.0  # in units of the rest: nothing louder is heard of what is drawn
# What is drawn goes on as it is: a linear prediction that is clipped can swing from end to end for ever, an overflow
# oscillation; by itself it rings down. This bound keeps finite what nobody has foreseen.
FARTHEST = 1e6
# How far the network moves a logistic at most, in the frame's scales, and how much narrower and wider it makes it. What
# it says is what it hears next; the linear prediction is stable by itself, so the network's part has bounds.
LARGEST_MEAN, MIN_LOG_SCALE, MAX_LOG_SCALE = 2.0, -4.0, 0.7


def threefry(key: Array, counter: Array) -> tuple[Array, Array]:
    """Threefry-2x32, 20 rounds, of key (key, 0) and counter (counter, 0): two words of random bits, any shape."""
    schedule = (key, jnp.zeros_like(key), key ^ jnp.uint32(0x1BD11BDA))
    x, y = counter + schedule[0], jnp.zeros_like(counter) + schedule[1]
    for group in range(5):
        for rotation in ((13, 15, 26, 6), (17, 29, 16, 24))[group % 2]:
            x = x + y
            y = (y << jnp.uint32(rotation)) | (y >> jnp.uint32(32 - rotation))
            y = x ^ y
        x = x + schedule[(group + 1) % 3]
        y = y + schedule[(group + 2) % 3] + jnp.uint32(group + 1)
    return x, y


def uniform(bits: Array) -> Array:
    """Random words as float32 in (0, 1): the centres of 2**23 cells."""
    return ((bits >> jnp.uint32(9)).astype(jnp.float32) + 0.5) * 2.0**-23


def categorical(logits: Array, u: Array, temperature: Array) -> Array:
    """The bin at quantile u of softmax(logits / temperature): [V, O], [V], [V] -> [V] int32.

    At temperature 0, the likeliest bin. The sum itself is the quantile's scale, so that rounding never yields a bin
    beyond the last (NSynth's does, and clicks).
    """
    scaled = (logits - logits.max(axis=-1, keepdims=True)) / jnp.maximum(temperature, 1e-6)[:, None]
    cumulative = jnp.cumsum(jnp.exp(scaled), axis=-1)
    below = jnp.sum(cumulative <= (u * cumulative[:, -1])[:, None], axis=-1).astype(jnp.int32)
    return jnp.minimum(below, logits.shape[-1] - 1)


def logistic(outputs: Array, u: Array, v: Array, temperature: Array) -> Array:
    """A draw from a mixture of logistics in units of the frame's scale: [V, 3 M], [V], [V], [V] -> [V].

    u picks the component, v the quantile. Temperature sharpens the choice and narrows the component; at 0 the result is
    the likeliest component's mean.
    """
    logits, means, log_scales = jnp.split(outputs, 3, axis=-1)
    chosen = categorical(logits, u, temperature)[:, None]
    mean = jnp.take_along_axis(means, chosen, axis=-1)[:, 0]
    log_scale = jnp.take_along_axis(log_scales, chosen, axis=-1)[:, 0]
    v = LOGISTIC_TAIL + v * (1.0 - 2.0 * LOGISTIC_TAIL)
    quantile = jnp.log(v) - jnp.log1p(-v)
    mean = jnp.clip(mean, -LARGEST_MEAN, LARGEST_MEAN)
    return mean + temperature * jnp.exp(jnp.clip(log_scale, MIN_LOG_SCALE, MAX_LOG_SCALE)) * quantile


def mu_law_decode(bins: Array) -> Array:
    """Sample values of mu-law bins 0 to 255, as `synth.wavenet.mulaw.decode`: int32 -> float32."""
    companded = (bins.astype(jnp.float32) - 127.5) / 128.0
    x = jnp.sign(companded) / 255.0 * (jnp.exp(jnp.abs(companded) * jnp.log(jnp.float32(256.0))) - 1.0)
    return jnp.where(bins == 128, 0.0, x)
