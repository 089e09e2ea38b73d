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

from synth.tones import COLUMNS, MOST_TONES, Seats, tone_rows
from synth.training.clock import Clock, beginning, find_clock
from synth.training.rephase import set_to_clock
from synth.training.tones import Tones, find_tones
from synth.workers import workers

NOISE_DRAWS = 4
TONE_ROUNDS = 6  # of finding a clock and the tones beside it; two, but for tones right beside the first partials
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
    """Take a note's tones off, set it to its clock, and draw the noises that its history gets in training.

    Tones for which there is no seat when the note is played are left in it, as what is no partial.
    """
    clock, tones = _clock_and_tones(note, sample_rate_hz, harmonics)
    points = np.arange(len(note.levels)) * hop
    sounding = note.levels > SILENT * note.levels.max()
    of_tones = _in_frames(tones.amplitudes, beginning(note.audio), len(note.levels), hop)
    rows = tone_rows(tones.places / clock.places.pitch, of_tones / note.levels, sounding)
    seated = Seats.of(rows[None], note.pitch_hz, sample_rate_hz, harmonics).row
    rows, plain = rows[seated], note.audio - tones.audio[seated].sum(axis=0)
    clocked = set_to_clock(plain, clock, harmonics)
    of_partials = _in_frames(clocked.amplitudes, beginning(plain), len(note.levels), hop)
    gain = np.interp(np.arange(len(note.audio)), points, note.levels).astype(np.float32)
    rest = clocked.rest / gain
    stretch = np.zeros(harmonics, np.float32)
    stretch[: len(clock.places.stretch)] = clock.places.stretch
    return Analysis(
        levels=note.levels,
        plain=plain,
        rest=rest,
        noise=shaped_noise(rest, np.random.default_rng(0), NOISE_DRAWS).astype(np.float16),
        phase=clock.phase,
        amplitudes=(of_partials / note.levels).T.astype(np.float32),
        stretch=stretch,
        tuning=clock.tuning,
        tones=np.concatenate([rows, np.zeros((MOST_TONES - len(rows), COLUMNS), np.float32)]),
    )


def _in_frames(amplitudes: np.ndarray, begins: int, frames: int, hop: int) -> np.ndarray:
    """Amplitudes [K, T] of a note that begins at some sample, at frames' first samples: [K, F].

    Between frames they will go in straight lines. So in the frame in which the note begins they are what leads closest
    to its beginning; before that it is silent.
    """
    found = amplitudes[:, : frames * hop : hop].copy()
    frame = begins // hop
    found[:, :frame] = 0.0
    if frame + 1 < frames:
        heard = amplitudes[:, begins : (frame + 1) * hop]
        gone = np.arange(begins, (frame + 1) * hop) / hop - frame
        fitted = (heard - gone * found[:, frame + 1, None]) @ (1.0 - gone) / np.sum((1.0 - gone) ** 2)
        found[:, frame] = np.clip(fitted, 0.0, heard.max(axis=1))
    return found


def _clock_and_tones(note: Sound, sample_rate_hz: int, harmonics: int) -> tuple[Clock, Tones]:
    """A note's clock and the tones beside it, by which it no longer wavers: they are found until they settle.

    Where no clock was heard there is none: with the tones off, one would be heard in what little is left.
    """
    plain, settled = note.audio, np.zeros(0)
    for _ in range(TONE_ROUNDS):
        clock = find_clock(plain, note.pitch_hz, sample_rate_hz, harmonics)
        tones = find_tones(note.audio, clock)
        places, bin_width = np.sort(tones.places), 1.0 / (clock.turns[-1] - clock.turns[0])
        same = len(places) == len(settled) and np.allclose(places, settled, rtol=0.0, atol=1.5 * bin_width)
        if same or clock.is_nominal:
            break
        plain, settled = note.audio - tones.audio.sum(axis=0), places
    return clock, tones


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
