"""A note's own pitch clock: how its pitch goes, with vibrato and all, and where its partials are by that."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.ndimage import uniform_filter1d
from scipy.signal import fftconvolve, find_peaks

from synth.pitch import HIGHEST_PARTIAL

CLOCK_PARTIALS = 8  # that the clock is heard from
CLOCK_ROUNDS = 3  # of finding in turn what partials are off by and how the clock goes; it has settled after two
THUMP_CENTS = 30.0  # of a fundamental from the pitch that its partials have in common; a string's is closer
WIDEST_CENTS = 100.0  # of a note from the pitch that it should have: what seems farther is no tuning
ASTRAY = 0.5  # multiples of the clock by which a partial may be off, as a stretched string's are
ASTRAY_SHARE = 0.1  # of its frequency, likewise: the lowest are not stretched, but may have a quint beside them
PEAK_DB = 20.0  # above the median around it: what is less is no sign of a partial astray
LINE_HZ = 6.0  # on either side of such a peak: as wide as a tone that dies away, or strings that beat; a trill is wider
LINE_SHARE = 0.5  # of the power around a multiple that is in the line of a tone
LEVEL_SECONDS = 0.07  # over which, twice, a note's level is taken, for all its times to count alike
LOUD_DB = 20.0  # below its loudest, where its pitch is heard
BEGINNING = 0.01  # of a note's largest sample: with one as large it begins
INAUDIBLE_HZ = 20.0  # a recording's offset, and below


class Places(NamedTuple):
    """Where a note's partials are, in multiples of its clock; k where nowhere else."""

    heard: np.ndarray  # [count]
    pitch: float  # that the strongest of the lowest have in common, in multiples of the clock
    stretch: np.ndarray  # [count], how many multiples of that each is off its own


class Clock(NamedTuple):
    """Of a note: how its pitch goes, and where its partials are."""

    pitch_hz: float  # that it should have
    sample_rate_hz: int
    turns: np.ndarray  # [T] float64, from the start on
    places: Places
    tuning: float  # of the pitch that the partials have in common against the one it should have, in cents

    @property
    def phase(self) -> np.ndarray:
        """[T] uint32, turns of 2**32."""
        return np.round((self.turns % 1.0) * 2.0**32).astype(np.uint64).astype(np.uint32)

    @property
    def is_nominal(self) -> bool:
        """Whether nothing of its own was heard."""
        return np.array_equal(self.turns, _nominal(self.pitch_hz, self.sample_rate_hz, len(self.turns)))


def find_clock(audio: np.ndarray, pitch_hz: float, sample_rate_hz: int, harmonics: int) -> Clock:
    """The clock of a note [T] near `pitch_hz`, with the places of as many of so many partials as can be heard."""
    turns = clock_turns(audio, pitch_hz, sample_rate_hz)
    count = min(harmonics, int(HIGHEST_PARTIAL * sample_rate_hz / pitch_hz))
    places = partial_places(audio, turns, count, sample_rate_hz)
    tuning = 1200.0 * np.log2(places.pitch * _mean_pitch(audio, turns, sample_rate_hz) / pitch_hz)
    return Clock(pitch_hz, sample_rate_hz, turns, places, float(tuning))


def clock_turns(audio: np.ndarray, pitch_hz: float, sample_rate_hz: int) -> np.ndarray:
    """The clock of a note near `pitch_hz`, in turns from the start on: [T] -> [T] float64.

    Each of the first partials is shifted down by its multiple of the nominal pitch and low-passed over six periods. How
    far it then turns from sample to sample is its number times the clock's deviation, and what it is off by itself (a
    string's partials are stretched). The deviation that explains all of them best, by their power, is the clock's. The
    fundamental alone will not do: where two pipes or voices beat it fades, turns around at once, and would drag all
    other partials off their places. Nor is its pitch the clock's where it is far from what all of them have
    in common: it is a body's thump.

    Before the fundamental has come within 40 dB of its peak, and after it has gone for good, the clock runs at the
    nominal pitch.
    """
    carrier = _nominal(pitch_hz, sample_rate_hz, len(audio))
    number = np.arange(1.0, max(1, min(CLOCK_PARTIALS, int(0.45 * sample_rate_hz / pitch_hz))) + 1.0)[:, None]
    window = low_pass(6 * sample_rate_hz / pitch_hz)
    bands = fftconvolve(audio * np.exp(-2j * np.pi * number * carrier), window[None], mode="same", axes=-1)
    magnitude = np.abs(bands[0])
    sounding = np.flatnonzero(magnitude > 0.01 * magnitude.max())
    if not len(sounding):
        return carrier
    left = bands[:, 1:] * bands[:, :-1].conj()  # of each partial's turn, as yet unexplained
    weight = np.square(number) * np.abs(left)
    weight = np.maximum(weight.sum(axis=0), 1e-5 * weight.sum(axis=0).max())
    deviation, own = np.zeros(len(audio) - 1), np.zeros_like(number)  # radians a sample
    power, cent = np.abs(left).sum(axis=1, keepdims=True), carrier[1] * 2.0 * np.pi * np.log(2.0) / 1200.0
    for _ in range(CLOCK_ROUNDS):
        off = np.angle(left.sum(axis=1, keepdims=True))
        left *= np.exp(-1j * off)
        step = (number * left.imag).sum(axis=0) / weight
        left *= np.exp(-1j * number * step)
        own, deviation = own + off, deviation + step
    fundamental, common = own[0, 0], _weighted_median((own / number)[:, 0], (power * np.square(number))[:, 0])
    loud = magnitude[1:] > 0.1 * magnitude.max()
    if abs(deviation[loud].mean() + fundamental) > cent * WIDEST_CENTS:
        return carrier  # a bell's fundamental is fainter than what sounds around it
    deviation += common if abs(fundamental - common) > cent * THUMP_CENTS else fundamental  # which is off by nothing
    deviation[: sounding[0]] = deviation[sounding[-1] :] = 0.0
    turned = np.concatenate([[0.0], np.cumsum(deviation)])
    turned += np.angle(np.sum(bands[0] * np.exp(-1j * turned)))
    return carrier + turned / (2 * np.pi)


def _nominal(pitch_hz: float, sample_rate_hz: int, samples: int) -> np.ndarray:
    """Turns of a clock that goes as it should: [samples]."""
    return pitch_hz / sample_rate_hz * np.arange(samples, dtype=np.float64)


def partial_places(audio: np.ndarray, turns: np.ndarray, count: int, sample_rate_hz: int) -> Places:
    """Where each of the first `count` partials of a note is.

    It is heard at the highest peak around its multiple in the spectrum over the clock's turns (in which vibrato is
    still). It is to be played where it is for most of the time, which is not always where it is loudest: the loop of a
    sampled guitar has its partials in place, its attack has not. And only if it is a steady tone there; else a peak
    is a matter of chance.
    """
    warped = over_turns(audio, turns)
    level = loudness(warped, sample_rate_hz)
    per_multiple = turns[-1] - turns[0]  # bins
    width = round(LINE_HZ * len(audio) / sample_rate_hz)
    loudest = _peaks(warped, per_multiple, count, width)
    longest = _peaks(warped / level, per_multiple, count, width)
    numbers = np.arange(1.0, count + 1.0)
    heard, tones, weight = numbers.copy(), numbers.copy(), np.zeros(count)
    for k, (first, peak, _) in loudest.items():
        if k > 1:  # the fundamental is off by nothing
            heard[k - 1] = (first + peak) / per_multiple
    for k, (first, peak, around) in longest.items():
        line = slice(max(0, peak - width), peak + width + 1)
        if around[line].sum() > LINE_SHARE * around.sum():
            tones[k - 1] = (first + np.average(np.arange(len(around))[line], weights=around[line])) / per_multiple
            weight[k - 1] = around[line].sum()
    pitch = _weighted_median((tones / numbers)[:CLOCK_PARTIALS], weight[:CLOCK_PARTIALS])
    if abs(1200.0 * np.log2(pitch)) > WIDEST_CENTS:
        pitch = 1.0
    return Places(heard, pitch, np.clip(np.where(weight > 0, tones / pitch - numbers, 0.0), -ASTRAY, ASTRAY))


def _peaks(signal: np.ndarray, bins: float, count: int, width: int) -> dict[int, tuple[int, int, np.ndarray]]:
    """Where a peak of the power spectrum stands out around a multiple of so many bins.

    Returns the first bin around each such multiple, the peak's place from there, and the power of the bins. A peak is
    none where a higher one is within `width` bins, the line of a tone: else one between two multiples would be both.
    """
    power = power_spectrum(signal)
    peaks, _ = find_peaks(power, distance=width + 1)
    found = {}
    for k in range(1, count + 1):
        astray = min(ASTRAY, ASTRAY_SHARE * k)
        first, end = (round((k + side * astray) * bins) for side in (-1, 1))
        around, own = power[first:end], peaks[slice(*np.searchsorted(peaks, (first, end)))] - first
        if len(own) and around[own].max() > 10.0 ** (PEAK_DB / 10.0) * np.median(around):
            found[k] = first, int(own[around[own].argmax()]), around
    return found


def _mean_pitch(audio: np.ndarray, turns: np.ndarray, sample_rate_hz: int) -> float:
    """The clock's while the note is loud, in hertz."""
    power = _power(audio, sample_rate_hz)
    loud = power >= 10.0 ** (-LOUD_DB / 10.0) * power.max()
    return float(sample_rate_hz * np.mean(np.diff(turns)[loud[1:]]))


def over_turns(signal: np.ndarray, turns: np.ndarray) -> np.ndarray:
    """A signal as it is when its clock has come to evenly spaced turns, in which vibrato is still: [T] -> [T]."""
    return np.interp(np.linspace(turns[0], turns[-1], len(turns)), turns, signal)


def power_spectrum(signal: np.ndarray) -> np.ndarray:
    """[T] -> [T // 2 + 1], through a Hann window."""
    return np.square(np.abs(np.fft.rfft(signal * np.hanning(len(signal)))))


def loudness(signal: np.ndarray, sample_rate_hz: int) -> np.ndarray:
    """A signal's RMS around each of its samples, at least -60 dB of the highest: [T]."""
    power = _power(signal, sample_rate_hz)
    return np.sqrt(np.maximum(power, 1e-6 * power.max() + 1e-18))


def _power(signal: np.ndarray, sample_rate_hz: int) -> np.ndarray:
    """A signal's mean square around each of its samples, without the ripple of partials that beat: [T]."""
    power = np.square(signal, dtype=np.float64)
    for _ in range(2):
        power = uniform_filter1d(power, round(LEVEL_SECONDS * sample_rate_hz))
    return power


def _weighted_median(values: np.ndarray, weights: np.ndarray) -> float:
    """The value on whose either side is half of the weight; 1 without any."""
    order = values.argsort()
    below = weights[order].cumsum()
    return float(values[order][np.searchsorted(below, below[-1] / 2)]) if weights.any() else 1.0


def beginning(audio: np.ndarray) -> int:
    """The first sample of a note [T] that can be heard."""
    return int(np.argmax(np.abs(audio) > BEGINNING * np.abs(audio).max()))


def hold_before(amplitudes: np.ndarray, begins: int, window: np.ndarray) -> None:
    """Amplitudes [K, T] heard through a Hann window: where that reaches back to before the note begins, as soon after.

    An eighth of the window, 1.3 % of its weight, may lie before the note. Cut off there it lets through -40 dB of a
    neighbour four turns a window away; if all were cut off that lies before its middle it would be -15 dB.
    """
    first = min(begins + round(0.375 * len(window)), amplitudes.shape[1] - 1)
    amplitudes[:, :first] = amplitudes[:, first, None]


def low_pass(samples: float) -> np.ndarray:
    """A Hann low-pass of about that length and unit gain."""
    window = np.hanning((int(samples) | 1) + 2)[1:-1]
    return window / window.sum()
