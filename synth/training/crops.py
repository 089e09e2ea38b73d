"""Notes in memory, and random crops of them."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import jax
import numpy as np
from jax import Array

from synth.pitch import midi_to_hertz
from synth.training.clock import set_to_clock
from synth.wavenet import SpectralEncoder, WaveNetConfig

NOISE_DRAWS = 4


class Crop(NamedTuple):
    """A batch of crops, as the loss wants them: B crops of T samples, notes of F frames.

    For a spectral size `audio` is set to the clock and in units of the level, else as recorded.
    """

    audio: Array  # [B, T]
    noise: Array  # [B, T], to be added to what the decoder sees of the past
    first_frame: Array  # [B] int32
    levels: Array  # [B, F], of the whole note
    mel: Array  # [B, F, mels], of the whole note
    amplitudes: Array  # [B, F, H], of the partials, in units of the level
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
    normal: np.ndarray  # [N, T] float32, set to the clock, in units of the level
    noise: np.ndarray  # [NOISE_DRAWS, N, T] float16, noise as the rest beside the partials is, in units of the level
    phase: np.ndarray  # [N, T] uint32
    amplitudes: np.ndarray  # [N, F, H] float32, in units of the level
    levels: np.ndarray  # [N, F]
    mel: np.ndarray  # [N, F, mels]

    @property
    def pitch_hz(self) -> np.ndarray:
        return midi_to_hertz(self.pitch).astype(np.float32)


def shaped_noise(signal: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Noise with the smoothed short-time spectrum of a signal: [T] -> [T]."""
    size, hop, smooth = 1024, 256, 9
    window = np.sqrt(np.hanning(size + 1)[:-1])
    padded = np.pad(signal, (size, size))
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
    points = np.arange(levels.shape[1]) * config.hop
    rng = np.random.default_rng(0)
    normal, noise, phase, amplitudes = [], [], [], []
    for note, hertz, note_levels in zip(audio, midi_to_hertz(pitch), levels, strict=True):
        clocked = set_to_clock(note, hertz, config.sample_rate_hz, config.harmonics)
        gain = np.interp(np.arange(len(note)), points, note_levels).astype(np.float32)
        normal.append(clocked.audio / gain)
        noise.append([shaped_noise(clocked.rest / gain, rng) for _ in range(NOISE_DRAWS)])
        phase.append(clocked.phase)
        amplitudes.append((clocked.amplitudes[:, points] / note_levels).T)
    return NoteSet(
        names=names,
        instrument=instrument,
        pitch=pitch,
        velocity=velocity,
        audio=audio,
        normal=np.stack(normal),
        noise=np.stack(noise, axis=1).astype(np.float16),
        phase=np.stack(phase),
        amplitudes=np.stack(amplitudes).astype(np.float32),
        levels=levels,
        mel=mel,
    )


def draw(
    notes: NoteSet,
    config: WaveNetConfig,
    rng: np.random.Generator,
    *,
    batch: int,
    frames: int,
    history_noise: tuple[float, float],
) -> Crop:
    """Random crops of `frames` frames; one in eight starts at the onset.

    What the decoder sees of the past is a little noisy: in playing, the past is the decoder's own, errors and all, and
    from a perfect one it would never learn to correct them. The amount is log-uniform in its range, relative to the
    note's own noise.
    """
    length = frames * config.hop
    which = rng.integers(len(notes.audio), size=batch)
    last = notes.audio.shape[1] // config.hop - frames
    first = np.where(rng.random(batch) < 1 / 8, 0, rng.integers(last + 1, size=batch)).astype(np.int32)
    amounts = np.exp(rng.uniform(*np.log(history_noise), size=batch)).astype(np.float32)
    draws = rng.integers(NOISE_DRAWS, size=batch)
    spans = [slice(frame * config.hop, frame * config.hop + length) for frame in first]

    def cut(signal: np.ndarray) -> np.ndarray:
        return np.stack([signal[note, span] for note, span in zip(which, spans, strict=True)])

    noise = np.stack([notes.noise[draw, note, span] for draw, note, span in zip(draws, which, spans, strict=True)])
    return Crop(
        audio=cut(notes.normal),
        noise=amounts[:, None] * noise.astype(np.float32),
        first_frame=first,
        levels=notes.levels[which],
        mel=notes.mel[which],
        amplitudes=notes.amplitudes[which],
        clock=cut(notes.phase),
        pitch_hz=notes.pitch_hz[which],
    )
