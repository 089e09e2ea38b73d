"""What the experiments share: the notes, the two models that are compared, and where results go."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from synth.analysis.rainbowgram import Cell, draw_compared
from synth.atomic import replacing
from synth.sounds import wav_bytes
from synth.spectral import Baseline
from synth.stream import BatchDecoder
from synth.wavenet import WaveNet


@dataclasses.dataclass(frozen=True, kw_only=True)
class Note:
    """One recording, as the experiments know it."""

    instrument: str
    pitch: int  # MIDI number
    velocity: int
    audio: np.ndarray  # [T]

    @property
    def name(self) -> str:
        return f"{self.instrument}-{self.pitch:03}-{self.velocity:03}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Section:
    """One experiment's part of the report."""

    title: str
    text: str  # Markdown


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bench:
    """A WaveNet, a baseline to compare it with where there is one, and recorded notes."""

    model: WaveNet
    decoder: BatchDecoder
    temperature: float
    baseline: Baseline | None
    notes: tuple[Note, ...]
    every: int  # so many-th pitch is measured, where all would take too long
    folder: Path  # of the report
    iterations: int  # of Griffin and Lim
    steps: int  # of interpolations

    @property
    def rate_hz(self) -> int:
        return self.model.config.sample_rate_hz

    @property
    def instruments(self) -> list[str]:
        return list(dict.fromkeys(note.instrument for note in self.notes))

    @property
    def measured(self) -> list[Note]:
        """The notes of each so many-th pitch."""
        pitches = set(sorted({note.pitch for note in self.notes})[:: self.every])
        return [note for note in self.notes if note.pitch in pitches]

    def embed(self, sounds: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The WaveNet's embeddings [F, C] of sounds [T]."""
        return [np.asarray(self.model.encode(sound[None]))[0] for sound in sounds]

    def sound(self, embeddings: Sequence[np.ndarray], pitches: Sequence[int]) -> list[np.ndarray]:
        """The WaveNet's sounds of embeddings, all with the same random numbers."""
        return self.decoder.all(
            embeddings, pitches=[*map(float, pitches)], seeds=[0] * len(embeddings), temperature=self.temperature
        )

    def rebuild(self, notes: Sequence[Note]) -> dict[str, list[np.ndarray]]:
        """Notes through each model and back, in their own lengths."""
        embeddings = self.embed([note.audio for note in notes])
        sounds = self.sound(embeddings, [note.pitch for note in notes])
        found = {"WaveNet": [sound[: len(note.audio)] for note, sound in zip(notes, sounds, strict=True)]}
        if self.baseline is not None:
            found["baseline"] = [self.rebuild_spectrum(note.audio, note.pitch) for note in notes]
        return found

    def rebuild_spectrum(self, audio: np.ndarray, pitch: int) -> np.ndarray:
        """A sound [T], or as much of it as the baseline takes, through the baseline and back."""
        assert self.baseline is not None
        cut = audio[None, : self.baseline.config.samples]
        return np.asarray(self.baseline.reconstruct(cut, np.array([pitch]), iterations=self.iterations))[0]

    def middle(self, instrument: str, among: Sequence[Note] | None = None) -> Note:
        """An instrument's note in the middle of its pitches, its loudest; of all notes or some."""
        own = [note for note in (self.notes if among is None else among) if note.instrument == instrument]
        pitches = sorted({note.pitch for note in own})
        same = [note for note in own if note.pitch == pitches[len(pitches) // 2]]
        return max(same, key=lambda note: note.velocity)

    def keep(self, name: str, audio: np.ndarray) -> str:
        """Write a sound into the report's folder; its link in Markdown."""
        place = Path("wav") / f"{_plain(name)}.wav"
        with replacing(self.folder / place) as partial:
            partial.write_bytes(wav_bytes(audio, self.rate_hz))
        return f"[{name}]({place.as_posix()})"

    def picture(self, name: str, rows: Mapping[str, Sequence[Cell]], *, width: int = 8) -> str:
        """Draw named rows of sounds into the report's folder; the picture in Markdown."""
        place = Path("pictures") / f"{_plain(name)}.png"
        (self.folder / "pictures").mkdir(exist_ok=True)
        draw_compared(rows, self.folder / place, width=width)
        return f"![{name}]({place.as_posix()})"


def _plain(name: str) -> str:
    """As a file and a link may be named: an instrument may be called anything."""
    return re.sub(r"[^\w.-]+", "_", name)


def table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table of texts and numbers, these with three digits."""

    def cell(value: object) -> str:
        return value if isinstance(value, str) else f"{value:.3g}"

    lines = [heads, ["---"] * len(heads), *([cell(value) for value in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
