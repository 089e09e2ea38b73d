"""Analysed notes, and random crops of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Generic, NamedTuple, TypeVar

import jax
import numpy as np
from jax import Array

from synth.pitch import midi_to_hertz
from synth.training.analysis import NOISE_DRAWS, Analysis, Sound, analyse_all
from synth.wavenet import SpectralEncoder, WaveNetConfig

A = TypeVar("A", Array, np.ndarray)


class Notes(NamedTuple, Generic[A]):
    """What the encoder sees of N whole notes of F frames, and what a frame is to tell the decoder; or of a single note.

    Both leave out the tones that are no multiples of the pitch. The rest is the note without its partials and those
    tones. Without a spectral encoder all but the pitch are empty, [N, 0].
    """

    levels: A  # [N, F]
    mel: A  # [N, F, mels]
    amplitudes: A  # [N, F, H], of the partials, in units of the level
    rest_levels: A  # [N, F], in units of the level
    rest_mel: A  # [N, F, mels], power in units of the level's
    pitch_hz: A  # [N]


class Crop(NamedTuple, Generic[A]):
    """A batch of crops, as the loss wants them: B crops of T samples, each with N notes, its own the first.

    For a spectral size `audio` is the note's rest, in units of the level, else the note as recorded; then noise and
    clock are empty, [B, 0].
    """

    audio: A  # [B, T]
    noise: A  # [B, T], to be added to what the decoder sees of the past
    first_frame: A  # [B] int32
    clock: A  # [B, T] uint32
    notes: Notes[A]  # [B, N, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class NoteSet:
    """Notes of equal length, analysed once: N notes of T samples and F frames. The arrays may lie on disk.

    For a size whose encoder is temporal there is only `audio`; what else comes of a note is empty, [N, 0].
    """

    names: tuple[str, ...]  # instruments
    instrument: np.ndarray  # [N] index into names
    pitch: np.ndarray  # [N] MIDI number
    velocity: np.ndarray  # [N]
    held_out: np.ndarray  # [N] bool, of instruments that the set itself keeps for validation
    audio: np.ndarray  # [N, T] float32, as recorded
    rest: np.ndarray  # [N, T] float32, what of it is neither partial nor tone, in units of the level
    noise: np.ndarray  # [N, NOISE_DRAWS, T] float16, noise as the rest beside the partials is, in units of the level
    phase: np.ndarray  # [N, T] uint32
    amplitudes: np.ndarray  # [N, F, H] float32, in units of the level
    levels: np.ndarray  # [N, F]
    mel: np.ndarray  # [N, F, mels]
    rest_levels: np.ndarray  # [N, F], in units of the level
    rest_mel: np.ndarray  # [N, F, mels], power in units of the level's

    @property
    def pitch_hz(self) -> np.ndarray:
        return midi_to_hertz(self.pitch).astype(np.float32)


class Listener:
    """What an encoder makes of single notes; its functions are compiled once."""

    def __init__(self, encoder: SpectralEncoder) -> None:
        self._levels, self._log_mel = jax.jit(encoder.levels), jax.jit(encoder.log_mel)
        self._rest_features = jax.jit(encoder.rest_features)

    def levels(self, audio: np.ndarray) -> np.ndarray:
        """Of a note [T]: [F]."""
        return np.asarray(self._levels(audio[None]))[0]

    def features(self, note: Analysis) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """`Notes.mel`, `rest_levels` and `rest_mel` of an analysed note: [F, mels], [F], [F, mels]."""
        mel = self._log_mel(note.plain[None], note.levels[None])
        rest_levels, rest_mel = self._rest_features(note.rest[None])
        return np.asarray(mel)[0], np.asarray(rest_levels)[0], np.asarray(rest_mel)[0]


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
    listener = Listener(encoder)
    levels = np.stack([listener.levels(note) for note in audio])
    analyses = analyse_all(
        map(Sound, audio, midi_to_hertz(pitch), levels),
        expected=len(audio),
        sample_rate_hz=config.sample_rate_hz,
        hop=config.hop,
        harmonics=config.harmonics,
    )
    learnt = [(note.rest, note.noise, note.phase, note.amplitudes, *listener.features(note)) for note in analyses]
    rest, noise, phase, amplitudes, mel, rest_levels, rest_mel = map(np.stack, zip(*learnt, strict=True))
    return NoteSet(
        names=names,
        instrument=instrument,
        pitch=pitch,
        velocity=velocity,
        held_out=np.zeros(len(audio), bool),
        audio=audio,
        rest=rest,
        noise=noise,
        phase=phase,
        amplitudes=amplitudes,
        levels=levels,
        mel=mel,
        rest_levels=rest_levels,
        rest_mel=rest_mel,
    )


def draw(
    notes: NoteSet,
    config: WaveNetConfig,
    note: int,
    rng: np.random.Generator,
    *,
    frames: int,
    history_noise: tuple[float, float],
    others: Iterable[int] = (),
) -> Crop[np.ndarray]:
    """A random crop of `frames` frames of one note, without the batch's axis; one in eight starts at the onset.

    `others` are the notes beside its own.

    What the decoder sees of the past is a little noisy: in playing, the past is the decoder's own, errors and all, and
    from a perfect one it would never learn to correct them. The amount is log-uniform in its range, relative to the
    note's own noise.
    """
    last = notes.audio.shape[1] // config.hop - frames
    first = 0 if rng.random() < 1 / 8 else int(rng.integers(last + 1))
    span = slice(first * config.hop, (first + frames) * config.hop)
    noise = notes.noise[note]
    if config.encoder == "spectral":
        amount = np.float32(np.exp(rng.uniform(*np.log(history_noise))))
        noise = amount * noise[rng.integers(NOISE_DRAWS), span].astype(np.float32)
    return Crop(
        audio=(notes.rest if config.encoder == "spectral" else notes.audio)[note, span],
        noise=noise,
        first_frame=np.array(first, np.int32),
        clock=notes.phase[note, span],
        notes=Notes(*(getattr(notes, field)[[note, *others]] for field in Notes._fields)),
    )
