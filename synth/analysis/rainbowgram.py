"""Rainbowgrams: constant-Q spectra whose hue is instantaneous frequency and whose brightness is log magnitude.

As in the NSynth paper's figures (and Engel's published notebook): 40 bins an octave over 6 octaves from C2, hop 256 at
16 kHz, filter scale 0.8, 70 dB of range.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from synth.analysis.compiled import librosa
from synth.errors import WavekeysError

RATE_HZ, HOP = 16_000, 256
BINS_PER_OCTAVE, OCTAVES = 40, 6
RANGE_DB = 70.0
SHORTEST = 32_768  # samples
FLOOR = 1e-13  # of power


def rainbowgram(audio: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of a note at 16 kHz [T]: phase advance a frame in (-1, 1] of pi and magnitude in [0, 1], each [240, frames]."""
    frames = 1 + len(audio) // HOP
    # librosa computes the lowest octave at a 32nd of the rate, where a short note is shorter than the window.
    transform = librosa.cqt(
        np.pad(audio, (0, max(0, SHORTEST - len(audio)))),
        sr=RATE_HZ,
        hop_length=HOP,
        fmin=librosa.note_to_hz("C2"),
        n_bins=BINS_PER_OCTAVE * OCTAVES,
        bins_per_octave=BINS_PER_OCTAVE,
        filter_scale=0.8,
    )[:, :frames]
    phase = np.unwrap(np.angle(transform), axis=1)
    advance = np.diff(phase, axis=1, prepend=0.0)
    advance = (advance / np.pi + 1.0) % 2.0 - 1.0
    power = np.abs(transform) ** 2
    if power.max() <= FLOOR:  # else silence, as loud as its loudest bin, would be drawn as bright as a note
        return advance, np.zeros_like(power)
    level = librosa.power_to_db(power, amin=FLOOR, top_db=RANGE_DB, ref=np.max) / RANGE_DB + 1.0
    return advance, np.clip(level, 0.0, 1.0)


def picture(audio: np.ndarray) -> np.ndarray:
    """A note at 16 kHz [T] as colours in [0, 1], the lowest bin first: [240, frames, 3]."""
    advance, level = rainbowgram(audio)
    hue = mpl.colormaps["rainbow"]((advance + 1.0) / 2.0)[..., :3]
    return hue * level[..., None]


Cell = tuple[str, np.ndarray | None]  # a title and a note at 16 kHz [T], or an empty place


def draw_compared(rows: Mapping[str, Sequence[Cell]], path: Path, *, width: int = 8) -> None:
    """Draw named rows of cells under each other, `width` columns of each, then the next columns."""
    count = len(next(iter(rows.values())))
    columns = min(width, count)
    cells: list[Cell] = []
    for first in range(0, count, columns):
        for row in rows.values():
            part = row[first : first + columns]
            cells += [*part, *[("", None)] * (columns - len(part))]
    draw(cells, path, columns=columns, row_names=[*rows] * (len(cells) // columns // len(rows)))


def draw(notes: Sequence[Cell], path: Path, *, columns: int = 4, row_names: Sequence[str] = ()) -> None:
    """Draw named notes side by side, row by row, to PNG or SVG; all of them on one scale of time."""
    columns = min(columns, len(notes))
    rows = -(-len(notes) // columns)
    seconds = max(len(audio) for _, audio in notes if audio is not None) / RATE_HZ
    figure = Figure(figsize=(3.2 * columns, 2.6 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for axis in axes.flat[len(notes) :]:
        axis.set_axis_off()
    for axis, (name, audio) in zip(axes.flat, notes, strict=False):
        if audio is None:
            axis.set_axis_off()
            continue
        extent = (0.0, len(audio) / RATE_HZ, 0.0, float(OCTAVES))
        axis.imshow(picture(audio), origin="lower", aspect="auto", extent=extent, interpolation="nearest")
        axis.set_facecolor("black")
        axis.set_xlim(0.0, seconds)
        axis.set_title(name, fontsize=9, parse_math=False)
        axis.set_yticks(range(OCTAVES + 1), [f"C{octave}" for octave in range(2, OCTAVES + 3)], fontsize=7)
        axis.tick_params(axis="x", labelsize=7)
    for axis in axes[-1]:
        axis.set_xlabel("seconds", fontsize=7)
    for axis, name in zip(axes[:, 0], row_names, strict=False):
        axis.set_ylabel(name, fontsize=10)
    from synth.atomic import replacing  # what loads JAX is left to the end

    try:
        with replacing(path) as partial:
            figure.savefig(partial, dpi=110, format=path.suffix.removeprefix(".") or "png")
    except ValueError as error:
        raise WavekeysError(f"cannot write the picture to {path}: {error}") from None
