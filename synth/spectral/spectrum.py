"""Log-magnitude spectra as the baseline sees them, and sound from them by Griffin and Lim's method."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import ArrayLike

from synth.spectral.config import BaselineConfig

RANGE_DB = 120.0  # below a note's loudest bin
FLOOR = 1e-13  # of power
ITERATIONS = 1000  # Griffin-Lim's, in the paper


def _window(fft: int) -> np.ndarray:
    return np.hanning(fft + 1)[:-1].astype(np.float32)


def stft(audio: Array, fft: int, hop: int) -> Array:
    """Frames centred on every `hop`-th sample, silence outside: [B, N * hop] -> [B, N, fft // 2 + 1] complex."""
    count = audio.shape[1] // hop
    padded = jnp.pad(audio, ((0, 0), (fft // 2, fft // 2)))
    frames = padded[:, np.arange(count)[:, None] * hop + np.arange(fft)[None, :]]
    return jnp.fft.rfft(frames * jnp.broadcast_to(_window(fft), frames.shape))


def istft(spectrum: Array, fft: int, hop: int) -> Array:
    """The sound whose `stft` is nearest to a spectrum: [B, N, fft // 2 + 1] -> [B, N * hop]."""
    count = spectrum.shape[1]
    window = _window(fft)
    frames = jnp.fft.irfft(spectrum, fft)
    frames = frames * jnp.broadcast_to(window, frames.shape)
    share = np.zeros(count * hop + fft, np.float32)  # the sum of the squared windows
    for start in range(0, count * hop, hop):
        share[start : start + fft] += window**2
    # A frame is so many hops long: each of them is added one hop further.
    pieces = frames.reshape(frames.shape[0], count, fft // hop, hop)
    total = jnp.zeros((frames.shape[0], count + fft // hop, hop))
    for piece in range(fft // hop):
        total = total.at[:, piece : piece + count].add(pieces[:, :, piece])
    whole = total.reshape(frames.shape[0], -1) / jnp.broadcast_to(
        np.maximum(share, 1e-3), (frames.shape[0], share.size)
    )
    return whole[:, fft // 2 : fft // 2 + count * hop]


@functools.partial(jax.jit, static_argnums=0)
def analyse(config: BaselineConfig, audio: ArrayLike) -> tuple[Array, Array]:
    """Spectra of notes [B, T], T at most `config.samples`, and each one's loudest power.

    The spectra [B, bins, frames] go from 0, which is 120 dB below the loudest bin, to 1; silence is 0. The highest bin
    is left out.
    """
    audio = jnp.asarray(audio, jnp.float32)
    padded = jnp.pad(audio, ((0, 0), (0, config.samples - audio.shape[1])))
    power = jnp.square(jnp.abs(stft(padded, config.fft, config.hop)))
    loudest = jnp.maximum(power.max(axis=(1, 2)), FLOOR)
    relative = jnp.maximum(power, FLOOR) / loudest[:, None, None]
    level = jnp.maximum(10.0 * jnp.log10(relative) / RANGE_DB + 1.0, 0.0)
    level = jnp.where(loudest[:, None, None] > FLOOR, level, 0.0)
    return jnp.swapaxes(level, 1, 2)[:, : config.bins], loudest


@functools.partial(jax.jit, static_argnums=(0, 3))
def synthesise(
    config: BaselineConfig, spectra: ArrayLike, loudest: ArrayLike, iterations: int = ITERATIONS, seed: ArrayLike = 0
) -> Array:
    """Notes [B, config.samples] of spectra [B, bins, frames] and their loudest powers [B].

    Griffin and Lim (1984): from random phases on, as NSynth did, sound and spectrum are made of each other in turns,
    and the magnitudes are put back each time.
    """
    level = jnp.swapaxes(jnp.asarray(spectra, jnp.float32), 1, 2)
    loudest = jnp.asarray(loudest, jnp.float32)
    power = 10.0 ** ((level - 1.0) * RANGE_DB / 10.0) * loudest[:, None, None]
    # What is at the floor is silence: 0 is also what stands after a note's end.
    magnitude = jnp.where(level > 0.0, jnp.sqrt(power), 0.0)
    magnitude = jnp.pad(magnitude, ((0, 0), (0, 0), (0, 1)))
    phase = jax.random.uniform(jax.random.key(seed), magnitude.shape, jnp.float32, 0.0, jnp.pi)

    def improved(_: int, spectrum: Array) -> Array:
        found = stft(istft(spectrum, config.fft, config.hop), config.fft, config.hop)
        scale = magnitude / jnp.maximum(jnp.abs(found), 1e-12)
        return lax.complex(scale * found.real, scale * found.imag)

    start = lax.complex(magnitude * jnp.cos(phase), magnitude * jnp.sin(phase))
    spectrum = lax.fori_loop(0, iterations, improved, start)
    return istft(spectrum, config.fft, config.hop)
