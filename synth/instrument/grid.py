"""NSynth Super's product: every blend of four corners on a grid, at every pitch, for a sampler to play.

The blends are the pad's (`synth.instrument.blend`), so that a cell sounds as the preset does with the pad there; but at
its key's pitch, as a sampler expects: without the notes' own tuning and vibrato.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Sequence

import numpy as np

from synth.bank import HeldNote, Preset
from synth.bank.bank import FRAMES_PER_SECOND
from synth.errors import UsageError
from synth.instrument.blend import Blend
from synth.instrument.parameters import initial_values
from synth.pitch import midi_to_hertz
from synth.tones import Seats

X_CONTROLLER, Y_CONTROLLER = 16, 17  # the pad's, as `play` has them
RELEASE_SECONDS = 0.3  # of the sampler's own envelope, when a key is let go before the sample ends


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cell:
    """One note of one blend: a file of the grid."""

    x: int  # from the left, of `steps`
    y: int  # from the bottom
    pitch: int  # MIDI number
    velocity: int

    @property
    def name(self) -> str:
        """As NSynth names notes, the pitch and the velocity last."""
        return f"x{self.x:02}-y{self.y:02}-{self.pitch:03}-{self.velocity:03}.wav"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Grid:
    """Four corners of a preset, and what is between them."""

    preset: Preset
    corners: dict[str, str]  # corner: instrument
    steps: int  # cells in a row, corners included
    pitches: tuple[int, ...]  # rising
    velocity: int = 100
    held_seconds: float = 3.0  # as NSynth's notes; one more second follows

    def __post_init__(self) -> None:
        for name in self.corners.values():
            self.preset.bank.weights({name: 1.0})
        low, high = int(self.preset.bank.pitches[0]), int(self.preset.bank.pitches[-1])
        wrong = [pitch for pitch in self.pitches if not low <= pitch <= high]
        if wrong or not self.pitches:
            raise UsageError(f"the preset {self.preset.info.name!r} has pitches {low} to {high}, not {wrong or 'none'}")

    @property
    def cells(self) -> list[Cell]:
        """All of them, row by row, pitch by pitch."""
        return [
            Cell(x=x, y=y, pitch=pitch, velocity=self.velocity)
            for y in range(self.steps)
            for x in range(self.steps)
            for pitch in self.pitches
        ]

    def embeddings(self, cells: Sequence[Cell]) -> list[np.ndarray]:
        """Each cell's note, held and let go: [F, 16]."""
        notes: dict[int, np.ndarray] = {}  # of each pitch: every instrument's frames
        for pitch in {cell.pitch for cell in cells}:
            note = self._note(pitch)
            sustained = note.at(self._held)
            notes[pitch] = np.concatenate([sustained, note.after_release(self._tail, sustained[:, -1, 0])], axis=1)
        return self._blended(notes, cells)

    def partials(self, cells: Sequence[Cell]) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Where each cell's partials are, [H] as `Bank.stretch`, and what tones are in their places, [F, H]."""
        values, config = initial_values(self.preset.info.parameters), self.preset.model.config
        stretches, tones = {}, {}
        for pitch in {cell.pitch for cell in cells}:
            note = self._note(pitch)
            seats = Seats.of(note.tones, midi_to_hertz(float(pitch)), config.sample_rate_hz, config.harmonics)
            sounding = np.concatenate([note.tones_at(self._held), note.tones_after_release(self._tail)], axis=1)
            stretches[pitch] = seats.stretched(values["own_stretch"] * note.stretch)
            tones[pitch] = seats.amplitudes(values["own_tones"] * sounding)
        return self._blended(stretches, cells), self._blended(tones, cells)

    @property
    def _held(self) -> np.ndarray:
        """Frames before the key is let go."""
        return np.arange(round(self.held_seconds * FRAMES_PER_SECOND))

    @property
    def _tail(self) -> np.ndarray:
        """Frames from then on."""
        return np.arange(round(FRAMES_PER_SECOND))

    @functools.cached_property
    def _blend(self) -> Blend:
        return Blend(self.preset.bank, {self.corners["bottom_left"]: 1.0}, pad=self.corners)

    def _note(self, pitch: int) -> HeldNote:
        """A pitch of all corners' instruments."""
        has_level = self.preset.model.config.head == "logistics"
        chosen = self._blend.instruments
        return self.preset.bank.note(pitch, self.velocity, has_level=has_level, instruments=chosen)

    def _blended(self, notes: dict[int, np.ndarray], cells: Sequence[Cell]) -> list[np.ndarray]:
        """Each cell's blend of what its pitch has of every instrument [I, ...]."""
        edge = max(self.steps - 1, 1)
        weights = [self._blend.weights(cell.x / edge, cell.y / edge, {}) for cell in cells]
        return [
            np.tensordot(own, notes[cell.pitch], axes=1).astype(np.float32)
            for own, cell in zip(weights, cells, strict=True)
        ]

    def sfz(self, folder: str) -> str:
        """An instrument for samplers, with the WAV files in `folder`: the pad is on controllers 16 and 17.

        Each sample stands for the keys that are nearer to its pitch than to another's, as each cell for the part of
        the pad around it.
        """
        low_keys, high_keys = _shares([*self.pitches], 0, 127)
        edges = [round(127 * step / max(self.steps - 1, 1)) for step in range(self.steps)]
        low_values, high_values = _shares(edges, 0, 127)
        lines = [
            f"// {self.preset.info.name}: {', '.join(f'{name} {corner}' for corner, name in self.corners.items())}",
            f"// {' '.join(self.preset.info.licence.split())}",
            f"<control> default_path={folder}/ set_cc{X_CONTROLLER}=64 set_cc{Y_CONTROLLER}=64",
            f"<global> loop_mode=no_loop ampeg_release={RELEASE_SECONDS}",
        ]
        for y in range(self.steps):
            for x in range(self.steps):
                lines.append(
                    f"<group> locc{X_CONTROLLER}={low_values[x]} hicc{X_CONTROLLER}={high_values[x]} "
                    f"locc{Y_CONTROLLER}={low_values[y]} hicc{Y_CONTROLLER}={high_values[y]}"
                )
                for pitch, low, high in zip(self.pitches, low_keys, high_keys, strict=True):
                    name = Cell(x=x, y=y, pitch=pitch, velocity=self.velocity).name
                    lines.append(f"<region> sample={name} pitch_keycenter={pitch} lokey={low} hikey={high}")
        return "\n".join(lines) + "\n"


def _shares(points: Sequence[int], low: int, high: int) -> tuple[list[int], list[int]]:
    """The whole numbers from `low` to `high` dealt out to the nearest of rising points: firsts and lasts."""
    lasts = [(here + after) // 2 for here, after in itertools.pairwise(points)] + [high]
    return [low, *(last + 1 for last in lasts[:-1])], lasts
