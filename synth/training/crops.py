"""Notes in memory, and random crops of them."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from synth.training.clock import fundamental_phase
from synth.wavenet import SpectralEncoder, WaveNetConfig
from synth.wavenet.decoder import past


class Crop(NamedTuple):
    """A batch of crops, as the loss wants them. B crops of T samples, notes of F frames.

    For a spectral size `audio` is in units of the level, else as recorded.
    """

    audio: Array  # [B, T]
    history: Array  # [B, T, taps], with noise where the training asks for it
    first_frame: Array  # [B] int32
    levels: Array  # [B, F], of the whole note
    mel: Array  # [B, F, mels], of the whole note
    clock: Array  # [B, T] uint32
    pitch_hz: Array  # [B]


@dataclasses.dataclass(frozen=True, kw_only=True)
class NoteSet:
    """Notes of equal length, analysed once: N notes of T samples and F frames."""

    names: tuple[str, ...]  # instruments
    instrument: np.ndarray  # [N] index into names
    pitch: np.ndarray  # [N] MIDI number
    velocity: np.ndarray  # [N]
    audio: np.ndarray  # [N, T] float32, as recorded
    normal: np.ndarray  # [N, T] float32, in units of the level
    noise: np.ndarray  # [N, T] float32, noise with the note's own spectral envelope, in units of the level
    phase: np.ndarray  # [N, T] uint32
    levels: np.ndarray  # [N, F]
    mel: np.ndarray  # [N, F, mels]

    @property
    def pitch_hz(self) -> np.ndarray:
        return (440.0 * 2.0 ** ((self.pitch - 69) / 12.0)).astype(np.float32)


def shaped_noise(normal: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Noise with the smoothed short-time spectrum of a signal: [T] -> [T].

    A decoder's own errors pass through the same resonances as its signal. Noise of that colour, added to the
    history in training, teaches it to correct them.
    """
    size, hop, smooth = 1024, 256, 9
    window = np.sqrt(np.hanning(size + 1)[:-1])
    padded = np.pad(normal, (size, size))
    out = np.zeros_like(padded)
    for start in range(0, len(padded) - size, hop):
        spectrum = np.fft.rfft(padded[start : start + size] * window)
        power = np.convolve(np.abs(spectrum) ** 2, np.ones(smooth) / smooth, mode="same")
        random = rng.normal(size=len(spectrum)) + 1j * rng.normal(size=len(spectrum))
        out[start : start + size] += window * np.fft.irfft(np.sqrt(power / 2) * random)
    return out[size:-size].astype(np.float32)


def analyse(
    config: WaveNetConfig,
    encoder: SpectralEncoder,
    *,
    names: tuple[str, ...],
    instrument: np.ndarray,
    pitch: np.ndarray,
    velocity: np.ndarray,
    audio: np.ndarray,
) -> NoteSet:
    """Everything that training needs of the notes [N, T]."""
    features = jax.jit(encoder.features)
    levels, mel = (np.concatenate(part) for part in zip(*(features(note[None]) for note in audio), strict=True))
    pitch_hz = 440.0 * 2.0 ** ((pitch - 69) / 12.0)
    points = np.arange(levels.shape[1]) * config.hop
    gain = np.stack([np.interp(np.arange(audio.shape[1]), points, row) for row in levels]).astype(np.float32)
    normal = audio / gain
    rng = np.random.default_rng(0)
    return NoteSet(
        names=names,
        instrument=instrument,
        pitch=pitch,
        velocity=velocity,
        audio=audio,
        normal=normal,
        noise=np.stack([shaped_noise(note, rng) for note in normal]),
        phase=np.stack(
            [fundamental_phase(note, hz, config.sample_rate_hz) for note, hz in zip(audio, pitch_hz, strict=True)]
        ),
        levels=levels,
        mel=mel,
    )


def draw(
    notes: NoteSet, config: WaveNetConfig, rng: np.random.Generator, *, batch: int, frames: int, history_noise: tuple[float, float]
) -> Crop:
    """Random crops of `frames` frames. One in eight starts at the onset; the level of the noise is log-uniform in the range."""
    taps = max(config.input_taps, config.prediction_order)
    length = frames * config.hop
    total = notes.audio.shape[1]
    which = rng.integers(len(notes.audio), size=batch)
    last = total // config.hop - frames
    first = np.where(rng.random(batch) < 1 / 8, 0, rng.integers(last + 1, size=batch)).astype(np.int32)
    audio = np.empty((batch, length), np.float32)
    history = np.empty((batch, length, taps), np.float32)
    clock = np.empty((batch, length), np.uint32)
    for row, (note, frame) in enumerate(zip(which, first, strict=True)):
        start = frame * config.hop
        audio[row] = notes.normal[note, start : start + length]
        clock[row] = notes.phase[note, start : start + length]
        before = np.zeros(length + taps, np.float32)
        begin = max(start - taps, 0)
        before[taps - (start - begin) :] = notes.normal[note, begin : start + length]
        amount = np.exp(rng.uniform(*np.log(history_noise)))
        before[taps - (start - begin) :] += amount * np.roll(notes.noise[note], rng.integers(total))[begin : start + length]
        history[row] = np.lib.stride_tricks.sliding_window_view(before, taps)[:length]
    return Crop(
        audio, history, first, notes.levels[which], notes.mel[which], clock, notes.pitch_hz[which]
    )
