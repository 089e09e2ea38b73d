"""A note's own pitch clock, and the note set to it: every partial in a known phase.

The decoder's harmonic part sums partials whose phases are fixed multiples of the clock's. Recorded notes have
partials in phases of their own, which no embedding tells and no ear hears. So the notes to learn from are re-phased:
each partial keeps its amplitude, moment by moment, and gets the phase that the decoder will give it. What is no
partial (breath, bow, hammer) stays as it is.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.ndimage import uniform_filter1d
from scipy.signal import fftconvolve, find_peaks, firwin

from synth.pitch import HIGHEST_PARTIAL

STEADY = (0.45, 0.8)  # agreement of a band with itself: below the first it is noise, above the second a partial
ABOVE_NOISE_DB = (2.0, 6.0)  # the same, by how far a band stands above its surroundings
CLOCK_PARTIALS = 8  # that the clock is heard from
CLOCK_ROUNDS = 3  # of finding in turn what partials are off by and how the clock goes; it has settled after two
WIDEST_CENTS = 100.0  # of a note from the pitch that it should have: what seems farther is no tuning
ASTRAY = 0.5  # multiples of the clock by which a partial's frequency may be off, as a stretched string's are
FUNDAMENTAL_ASTRAY = 0.1  # by which the fundamental's may be; half a multiple above it there may be a fifth
PEAK_DB = 20.0  # above the median around it: what is less is no sign of a partial astray
LINE_HZ = 6.0  # on either side of such a peak: as wide as a tone that dies away, or strings that beat; a trill is wider
LINE_SHARE = 0.5  # of the power around a multiple that is in the line of a tone
LEVEL_SECONDS = 0.1  # over which a note's level is taken, for all its times to count alike
LOUD_DB = 20.0  # below its loudest, where its pitch is heard
THINNING = 16  # values of a band over the length of its window: four times what its main lobe needs
INAUDIBLE_HZ = 20.0  # a recording's offset, and below
INTERPOLATION = 5  # values on either side that one between them is computed from; images are below -70 dB


class Places(NamedTuple):
    """Where a note's partials are, in multiples of its clock; k where nowhere else."""

    heard: np.ndarray  # [count]
    pitch: float  # that the strongest of the lowest have in common, in multiples of the clock
    stretch: np.ndarray  # [count], how many multiples of that each is off its own


class ClockedNote(NamedTuple):
    """A note set to its clock."""

    audio: np.ndarray  # [T] float32, re-phased
    rest: np.ndarray  # [T] float32, what of it is no partial, as far as it can be heard
    phase: np.ndarray  # [T] uint32, turns of 2**32
    amplitudes: np.ndarray  # [H, T] float32, of the partials
    stretch: np.ndarray  # [H] float32, how many multiples of the note's pitch each was off its own
    tuning: float  # of that pitch against the nominal one, in cents
    turns: np.ndarray  # [T] float64, what `phase` is rounded from
    places: Places


def clock_turns(audio: np.ndarray, pitch_hz: float, sample_rate_hz: int) -> np.ndarray:
    """The clock of a note near `pitch_hz`, in turns from the start on: [T] -> [T] float64.

    Each of the first partials is shifted down by its multiple of the nominal pitch and low-passed over six periods. How
    far it then turns from sample to sample is its number times the clock's deviation, and what it is off by itself (a
    string's partials are stretched). The deviation that explains all of them best, by their power, is the clock's. The
    fundamental alone will not do: where two pipes or voices beat it fades, turns around at once, and would drag all
    other partials off their places.

    Before the fundamental has come within 40 dB of its peak, and after it has gone for good, the clock runs at the
    nominal pitch.
    """
    carrier = pitch_hz / sample_rate_hz * np.arange(len(audio), dtype=np.float64)
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
    for _ in range(CLOCK_ROUNDS):
        off = np.angle(left.sum(axis=1, keepdims=True))
        left *= np.exp(-1j * off)
        step = (number * left.imag).sum(axis=0) / weight
        left *= np.exp(-1j * number * step)
        own, deviation = own + off, deviation + step
    deviation += own[0]  # the fundamental is off by nothing
    loud = magnitude[1:] > 0.1 * magnitude.max()
    if abs(deviation[loud].mean()) > carrier[1] * 2.0 * np.pi * (2.0 ** (WIDEST_CENTS / 1200.0) - 1.0):
        return carrier  # a bell's fundamental is fainter than what sounds around it
    deviation[: sounding[0]] = deviation[sounding[-1] :] = 0.0
    turned = np.concatenate([[0.0], np.cumsum(deviation)])
    turned += np.angle(np.sum(bands[0] * np.exp(-1j * turned)))
    return carrier + turned / (2 * np.pi)


def partial_places(audio: np.ndarray, turns: np.ndarray, count: int, sample_rate_hz: int) -> Places:
    """Where each of the first `count` partials of a note is.

    It is heard at the highest peak nearest to its multiple in the spectrum over the clock's turns (in which vibrato is
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
        astray = ASTRAY if k > 1 else FUNDAMENTAL_ASTRAY
        first, end = (round((k + side * astray) * bins) for side in (-1, 1))
        around, own = power[first:end], peaks[slice(*np.searchsorted(peaks, (first, end)))] - first
        if len(own) and around[own].max() > 10.0 ** (PEAK_DB / 10.0) * np.median(around):
            found[k] = first, int(own[around[own].argmax()]), around
    return found


def set_to_clock(audio: np.ndarray, pitch_hz: float, sample_rate_hz: int, harmonics: int) -> ClockedNote:
    """Find a note's clock and partials, and give the partials the decoder's phases (`decoder.partials`).

    A band around a multiple of the clock is a partial as far as it is steady or stands above the noise, which the bands
    halfway to its neighbours tell (their window is blind to steady neighbours): the first finds weak partials, the
    second those that waver with vibrato, chorus or a bow. A partial that is off its multiple (`partial_places`) is
    heard where it is, and put on it. A band is narrow, so it is computed at every `every`-th sample only, and
    interpolated between them.
    """
    turns = clock_turns(audio, pitch_hz, sample_rate_hz)
    period = sample_rate_hz / pitch_hz
    narrow = low_pass(max(4 * period, 0.008 * sample_rate_hz))  # separates neighbouring partials
    every = -(-len(narrow) // THINNING)
    apart = THINNING  # two values of a band so far apart share no sample, hence no noise
    wide = low_pass(max(3 * len(narrow), 0.12 * sample_rate_hz))
    wide = every * wide[len(wide) // 2 % every :: every]
    thin, fill = _Thinning(narrow, every), _Filling(every, len(audio))
    half_carrier = np.exp(1j * np.pi * (turns % 2.0)).astype(np.complex64)
    turned = np.ones_like(half_carrier)

    def band_power(band: np.ndarray) -> np.ndarray:
        """Around each of its values."""
        return np.maximum(np.convolve(np.abs(band) ** 2, wide, mode="same"), 1e-20)

    def next_band() -> tuple[np.ndarray, np.ndarray]:
        """The band half a harmonic further up, and its power."""
        turned[:] *= half_carrier
        band = thin(audio * turned.conj())
        return band, band_power(band)

    _, below = next_band()
    rest, rephased = audio.astype(np.float32), np.zeros(len(audio), np.float32)
    amplitudes = np.zeros((harmonics, len(audio)), np.float32)
    count = min(harmonics, int(HIGHEST_PARTIAL * period))
    places = partial_places(audio, turns, count, sample_rate_hz)
    for k, place in enumerate(places.heard, 1):
        band, power = next_band()
        on_multiple = turned.copy()
        partial_carrier = on_multiple
        if place != k:
            partial_carrier = on_multiple * np.exp(2j * np.pi * ((place - k) * turns % 1.0)).astype(np.complex64)
            band = thin(audio * partial_carrier.conj())
            power = band_power(band)
        _, above = next_band()
        lagged = np.concatenate([np.full(apart, band[0]), band[:-apart]])
        # A steady partial advances by a steady angle over the lag, whatever its frequency; noise by any angle.
        agreement = np.abs(np.convolve(band * np.conj(lagged), wide, mode="same"))
        height_db = 10.0 * np.log10(power) - 5.0 * np.log10(below * above)
        share = np.maximum(_between(agreement / power, STEADY), _between(height_db, ABOVE_NOISE_DB))
        below = above
        partial = fill(2.0 * share * band)
        rest -= (partial * partial_carrier).real
        amplitudes[k - 1] = np.abs(partial)
        rephased += amplitudes[k - 1] * (on_multiple * np.complex64(np.exp(2j * np.pi * k * k / 128.0))).real
    rest -= fftconvolve(rest, low_pass(2 * sample_rate_hz / INAUDIBLE_HZ).astype(np.float32), mode="same")
    phase = np.round((turns % 1.0) * 2.0**32).astype(np.uint64).astype(np.uint32)
    stretch = np.zeros(harmonics, np.float32)
    stretch[:count] = places.stretch
    tuning = 1200.0 * np.log2(places.pitch * _mean_pitch(audio, turns, sample_rate_hz) / pitch_hz)
    return ClockedNote(rephased + rest, rest, phase, amplitudes, stretch, float(tuning), turns, places)


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
    """A signal's mean square around each of its samples: [T]."""
    return uniform_filter1d(np.square(signal, dtype=np.float64), round(LEVEL_SECONDS * sample_rate_hz))


def _weighted_median(values: np.ndarray, weights: np.ndarray) -> float:
    """The value on whose either side is half of the weight; 1 without any."""
    order = values.argsort()
    below = weights[order].cumsum()
    return float(values[order][np.searchsorted(below, below[-1] / 2)]) if weights.any() else 1.0


class _Thinning:
    """A signal through a window of odd length, at every `every`-th sample, the first among them.

    In blocks of `every` samples each block is multiplied with each block of the window, in one matrix product.
    """

    def __init__(self, window: np.ndarray, every: int) -> None:
        self.before, self.every = len(window) // 2, every
        self.blocks = -(-len(window) // every)
        padded = np.pad(window, (0, self.blocks * every - len(window)))
        self.window = padded.reshape(self.blocks, every).T.astype(np.float32)

    def __call__(self, signal: np.ndarray) -> np.ndarray:
        """[T] complex64 -> [ceil(T / every)] complex64."""
        count = -(-len(signal) // self.every)
        total = (count + self.blocks - 1) * self.every
        padded = np.zeros((2, total), np.float32)
        inside = slice(self.before, min(self.before + len(signal), total))
        seen = signal[: inside.stop - inside.start]
        padded[0, inside], padded[1, inside] = seen.real, seen.imag
        products = padded.reshape(2, -1, self.every) @ self.window  # [2, count + blocks - 1, blocks]
        real, imaginary = np.sum([products[:, block : block + count, block] for block in range(self.blocks)], axis=0)
        return real + np.complex64(1j) * imaginary


class _Filling:
    """The reverse: a signal of which every `every`-th sample is given, at all of them."""

    def __init__(self, every: int, length: int) -> None:
        self.length = length
        half = INTERPOLATION * every
        kernel = every * firwin(2 * half + 1, 1.0 / every, window=("kaiser", 6.0))
        # Row i: what the value i - INTERPOLATION + 1 places on adds to each of the next `every` samples.
        self.kernel = kernel[:-1].reshape(-1, every)[::-1].astype(np.float32)

    def __call__(self, thin: np.ndarray) -> np.ndarray:
        """[ceil(T / every)] -> [T] complex64; held at its ends, as if it went on."""
        held = np.pad(thin.astype(np.complex64), (INTERPOLATION - 1, INTERPOLATION), mode="edge")
        near = sliding_window_view(held, 2 * INTERPOLATION)
        filled = near.real @ self.kernel + np.complex64(1j) * (near.imag @ self.kernel)
        return filled.reshape(-1)[: self.length]


def _between(value: np.ndarray, ends: tuple[float, float]) -> np.ndarray:
    """0 at the first of the ends and below, 1 at the second and above, straight between them."""
    return np.clip((value - ends[0]) / (ends[1] - ends[0]), 0.0, 1.0)


def low_pass(samples: float) -> np.ndarray:
    """A Hann low-pass of about that length and unit gain."""
    window = np.hanning((int(samples) | 1) + 2)[1:-1]
    return window / window.sum()
