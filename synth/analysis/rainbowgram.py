"""Rainbowgrams: constant-Q spectra whose hue is instantaneous frequency and whose brightness is log magnitude.

As in the NSynth paper's figures (and Engel's published notebook): 40 bins an octave over 6 octaves from C2, hop 256 at
16 kHz, filter scale 0.8, 70 dB of range.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import librosa
import matplotlib as mpl
import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from synth.errors import WavekeysError

RATE_HZ, HOP = 16_000, 256
BINS_PER_OCTAVE, OCTAVES = 40, 6
RANGE_DB = 70.0

_MASK = LinearSegmentedColormap.from_list("mask", [(0, 0, 0, 1), (0, 0, 0, 0)])


def rainbowgram(audio: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of a note at 16 kHz [T]: phase advance a frame in (-1, 1] of pi and magnitude in [0, 1], each [240, frames]."""
    transform = librosa.cqt(
        audio,
        sr=RATE_HZ,
        hop_length=HOP,
        fmin=librosa.note_to_hz("C2"),
        n_bins=BINS_PER_OCTAVE * OCTAVES,
        bins_per_octave=BINS_PER_OCTAVE,
        filter_scale=0.8,
    )
    phase = np.unwrap(np.angle(transform), axis=1)
    advance = np.diff(phase, axis=1, prepend=0.0)
    advance = (advance / np.pi + 1.0) % 2.0 - 1.0
    power = np.abs(transform) ** 2
    level = librosa.power_to_db(power, amin=1e-13, top_db=RANGE_DB, ref=np.max) / RANGE_DB + 1.0
    return advance, np.clip(level, 0.0, 1.0)


def draw(notes: Sequence[tuple[str, np.ndarray]], path: Path, *, columns: int = 4) -> None:
    """Draw named notes at 16 kHz side by side to PNG or SVG."""
    columns = min(columns, len(notes))
    rows = -(-len(notes) // columns)
    figure = Figure(figsize=(3.2 * columns, 2.6 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, (name, audio) in zip(axes.flat, notes, strict=False):
        advance, level = rainbowgram(audio)
        seconds = len(audio) / RATE_HZ
        place = {"origin": "lower", "aspect": "auto", "extent": (0, seconds, 0, OCTAVES), "interpolation": "nearest"}
        axis.imshow(advance, cmap=mpl.colormaps["rainbow"], vmin=-1, vmax=1, **place)
        axis.imshow(level, cmap=_MASK, vmin=0, vmax=1, **place)
        axis.set_title(name, fontsize=9)
        axis.set_axis_on()
        axis.set_yticks(range(OCTAVES + 1), [f"C{octave}" for octave in range(2, OCTAVES + 3)], fontsize=7)
        axis.tick_params(axis="x", labelsize=7)
    try:
        figure.savefig(path, dpi=110)
    except (OSError, ValueError) as error:
        raise WavekeysError(f"cannot write the picture to {path}: {error}") from None
