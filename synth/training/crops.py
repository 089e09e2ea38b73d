"""Notes in memory, and random crops of them."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import jax
import numpy as np
from jax import Array

from synth.kernels.periods import HISTORY
from synth.training.clock import fundamental_clock
from synth.wavenet import SpectralEncoder, WaveNetConfig
from synth.wavenet.decoder import Clock

FILTER_TAPS = 33  # of the random filter on the history: gains and phases that change over some 500 Hz


class Crop(NamedTuple):
    """A batch of crops, as the loss wants them. B crops of T samples, notes of F frames.

    For a spectral size `audio` is in units of the level, else as recorded.
    """

    audio: Array  # [B, T]
    before: Array  # [B, HISTORY + T - 1], the signal before each sample, with noise where the training asks for it
    first_frame: Array  # [B] int32
    levels: Array  # [B, F], of the whole note
    mel: Array  # [B, F, mels], of the whole note
    clock: Clock
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
    noise: np.ndarray  # [8, N, T] float16, draws of noise with the note's own spectral envelope, in units of the level
    phase: np.ndarray  # [N, T] uint32
    period: np.ndarray  # [N, T] float32, in samples
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
    clocks = [fundamental_clock(note, hz, config.sample_rate_hz) for note, hz in zip(audio, pitch_hz, strict=True)]
    return NoteSet(
        names=names,
        instrument=instrument,
        pitch=pitch,
        velocity=velocity,
        audio=audio,
        normal=normal,
        noise=np.stack([[shaped_noise(note, rng) for note in normal] for _ in range(8)]).astype(np.float16),
        phase=np.stack([phase for phase, _ in clocks]),
        period=np.stack([period for _, period in clocks]),
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
    history_filter: tuple[float, float],
) -> Crop:
    """Random crops of `frames` frames; one in eight starts at the onset.

    What the decoder sees of the past is not what was: it is filtered a little, and noisy. In playing, the past is the
    decoder's own, with errors of both kinds: wrong gains and phases of partials, and noise. From a perfect past it
    would never learn to correct them. The amounts are log-uniform in their ranges.
    """
    length = frames * config.hop
    total = notes.audio.shape[1]
    which = rng.integers(len(notes.audio), size=batch)
    last = total // config.hop - frames
    first = np.where(rng.random(batch) < 1 / 8, 0, rng.integers(last + 1, size=batch)).astype(np.int32)
    audio = np.empty((batch, length), np.float32)
    before = np.zeros((batch, HISTORY + length - 1), np.float32)
    phase = np.empty((batch, length), np.uint32)
    period = np.empty((batch, length), np.float32)
    for row, (note, frame) in enumerate(zip(which, first, strict=True)):
        start = frame * config.hop
        audio[row] = notes.normal[note, start : start + length]
        phase[row] = notes.phase[note, start : start + length]
        period[row] = notes.period[note, start : start + length]
        begin, end = max(start - HISTORY, 0), start + length - 1
        noise_amount, filter_amount = (np.exp(rng.uniform(*np.log(span))) for span in (history_noise, history_filter))
        noise = rng.choice((-noise_amount, noise_amount)) * notes.noise[rng.integers(8), note, begin:end]
        taps = rng.normal(size=FILTER_TAPS) * (filter_amount / FILTER_TAPS**0.5)
        taps[FILTER_TAPS // 2] += 1.0
        before[row, HISTORY - (start - begin) :] = np.convolve(notes.normal[note, begin:end], taps, mode="same") + noise
    clock = Clock(phase, period)
    return Crop(audio, before, first, notes.levels[which], notes.mel[which], clock, notes.pitch_hz[which])
