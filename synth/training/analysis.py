"""What training needs to know of a note, computed once. Only NumPy and SciPy: processes start with this alone."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.ndimage import uniform_filter1d
from threadpoolctl import threadpool_limits

from synth.tones import COLUMNS, MOST_TONES, tone_rows
from synth.training.clock import set_to_clock
from synth.training.tones import find_tones
from synth.workers import workers

NOISE_DRAWS = 4
SILENT = 1e-3  # of a note's highest level, -60 dB
NOTES_WORTH_A_PROCESS = 32  # a process takes a second to start; a note, less


class Sound(NamedTuple):
    """A note that is to be analysed: T samples, F frames."""

    audio: np.ndarray  # [T] float32, as recorded
    pitch_hz: float
    levels: np.ndarray  # [F]


class Analysis(NamedTuple):
    """A note as training sees it."""

    levels: np.ndarray  # [F]
    plain: np.ndarray  # [T] float32, the note as recorded but for its tones
    rest: np.ndarray  # [T] float32, what of that is no partial, in units of the level
    noise: np.ndarray  # [NOISE_DRAWS, T] float16, noise as the rest beside the partials is, in units of the level
    phase: np.ndarray  # [T] uint32
    amplitudes: np.ndarray  # [F, H] float32, in units of the level
    stretch: np.ndarray  # [H] float32, in multiples of the pitch
    tuning: float  # cents
    tones: np.ndarray  # [MOST_TONES, COLUMNS] float32, as `synth.tones` has them


# Its matrices are small, and other processes have the other cores.
@threadpool_limits.wrap(limits=1, user_api="blas")  # type: ignore[untyped-decorator]
def analyse_note(note: Sound, *, sample_rate_hz: int, hop: int, harmonics: int) -> Analysis:
    """Set a note to its clock, take its tones off, and draw the noises that its history gets in training."""
    clocked = set_to_clock(note.audio, note.pitch_hz, sample_rate_hz, harmonics)
    tones = find_tones(note.audio, clocked, sample_rate_hz)
    points = np.arange(len(note.levels)) * hop
    gain = np.interp(np.arange(len(note.audio)), points, note.levels).astype(np.float32)
    rest = (clocked.rest - tones.audio) / gain
    sounding = note.levels > SILENT * note.levels.max()
    rows = tone_rows(tones.places / clocked.places.pitch, tones.amplitudes[:, points] / note.levels, sounding)
    return Analysis(
        levels=note.levels,
        plain=note.audio - tones.audio,
        rest=rest,
        noise=shaped_noise(rest, np.random.default_rng(0), NOISE_DRAWS).astype(np.float16),
        phase=clocked.phase,
        amplitudes=(clocked.amplitudes[:, points] / note.levels).T.astype(np.float32),
        stretch=clocked.stretch,
        tuning=clocked.tuning,
        tones=np.concatenate([rows, np.zeros((MOST_TONES - len(rows), COLUMNS), np.float32)]),
    )


def analyse_all(notes: Iterable[Sound], *, expected: int, **sizes: int) -> Iterator[Analysis]:
    """`analyse_note` of each, in order; in several processes where so many are expected that it pays.

    Only a few notes more than there are processes are in memory at once.
    """
    processes = min(os.cpu_count() or 1, expected // NOTES_WORTH_A_PROCESS)
    if processes < 2:
        yield from (analyse_note(note, **sizes) for note in notes)
        return
    under_way: deque[Future[Analysis]] = deque()
    with workers(processes) as pool:
        for note in notes:
            under_way.append(pool.submit(analyse_note, note, **sizes))
            if len(under_way) > 2 * processes:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()


def shaped_noise(signal: np.ndarray, rng: np.random.Generator, draws: int) -> np.ndarray:
    """Noises with the smoothed short-time spectrum of a signal: [T] -> [draws, T] float32."""
    size, hop, smooth = 1024, 256, 9
    window = np.sqrt(np.hanning(size + 1)[:-1]).astype(np.float32)
    padded = np.pad(signal, (size, size + -len(signal) % hop))
    power = np.abs(np.fft.rfft(sliding_window_view(padded, size)[::hop] * window)) ** 2
    smoothed = np.sqrt(uniform_filter1d(power, smooth, axis=1, mode="constant") / 2)
    noises = np.zeros((draws, len(padded) // hop, hop), np.float32)
    for noise in noises:
        random = rng.standard_normal((2, *power.shape), np.float32)
        grains = window * np.fft.irfft(smoothed * (random[0] + np.complex64(1j) * random[1]))
        for part in range(size // hop):
            noise[part : part + len(grains)] += grains[:, part * hop : (part + 1) * hop]
    return noises.reshape(draws, -1)[:, size : size + len(signal)]
