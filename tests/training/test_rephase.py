"""A note set to its clock."""

from __future__ import annotations

from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.signal import fftconvolve

from synth.kernels.clock import partials
from synth.pitch import midi_to_hertz
from synth.training.clock import INAUDIBLE_HZ, Clock, find_clock, low_pass
from synth.training.config import DataConfig
from synth.training.rephase import ABOVE_NOISE_DB, STEADY, THINNING, ClockedNote, _between, set_to_clock
from synth.training.soundfont import render_notes

RATE = 16_000


def set_to_its_clock(audio: np.ndarray, pitch_hz: float, harmonics: int) -> tuple[Clock, ClockedNote]:
    audio = audio.astype(np.float32)
    clock = find_clock(audio, pitch_hz, RATE, harmonics)
    return clock, set_to_clock(audio, clock, harmonics)


def test_a_note_set_to_its_clock_keeps_its_partials_amplitudes_and_gets_known_phases() -> None:
    t = np.arange(2 * RATE) / RATE
    amplitudes, phases, stretch = (0.2, 0.1, 0.05), (1.0, -2.0, 0.5), (1.0, 2.001, 3.004)
    note = sum(a * np.cos(2 * np.pi * 220.0 * m * t + p) for a, p, m in zip(amplitudes, phases, stretch, strict=True))
    clock, clocked = set_to_its_clock(note, 220.0, 16)
    inner = slice(4000, 28_000)
    for k, amplitude in enumerate(amplitudes):
        np.testing.assert_allclose(clocked.amplitudes[k, inner], amplitude, rtol=0.02)  # measured: 0.3 %
    expected = clocked.amplitudes.T * np.asarray(partials(jnp.asarray(clock.phase), 16))
    np.testing.assert_allclose(clocked.audio[inner], (expected.sum(axis=1) + clocked.rest)[inner], atol=1e-4)
    assert np.sqrt(np.mean(clocked.rest[inner] ** 2)) < 0.003  # measured: 0.0004


@pytest.mark.parametrize("begins", [0, 37, 500])
def test_a_struck_note_is_as_loud_from_its_first_sample_as_it_is(begins: int) -> None:
    t = np.arange(2 * RATE - begins) / RATE
    courses = [0.2 * np.exp(-2.0 * t), 0.1 * np.exp(-5.0 * t), 0.05 * np.exp(-8.0 * t)]
    note = np.zeros(2 * RATE)
    for k, course in enumerate(courses, 1):
        note[begins:] += course * np.cos(2 * np.pi * 220.0 * k * t)
    _, clocked = set_to_its_clock(note, 220.0, 16)
    for k, course in enumerate(courses):
        np.testing.assert_allclose(clocked.amplitudes[k, begins : begins + 400], course[:400], rtol=0.1)
        np.testing.assert_allclose(clocked.amplitudes[k, :begins], course[0], rtol=0.1)


def test_noise_is_left_as_it_is() -> None:
    noise = np.random.default_rng(0).normal(scale=0.1, size=2 * RATE).astype(np.float32)
    _, clocked = set_to_its_clock(noise, 220.0, 16)
    assert np.mean(clocked.rest**2) > 0.9 * np.mean(noise**2)  # measured: 0.96
    assert 0.5 * np.mean(np.sum(clocked.amplitudes**2, axis=0)) < 0.05 * np.mean(noise**2)  # measured: 0.011


def test_stretched_partials_are_put_on_the_clocks_multiples() -> None:
    """As of a piano's string: the tenth is 2 % sharp, hence beyond the band around the clock's multiple."""
    t = np.arange(2 * RATE) / RATE
    k = np.arange(1, 13)
    frequencies = 260.0 * k * np.sqrt(1 + 4e-4 * k**2)
    note = 1e-4 * np.random.default_rng(0).standard_normal(len(t))
    note += np.sum(0.1 / k[:, None] * np.cos(2 * np.pi * frequencies[:, None] * t), axis=0)
    clock, clocked = set_to_its_clock(note, 260.0, 16)
    np.testing.assert_allclose(clock.places.heard[:12], frequencies / frequencies[0], atol=0.002)
    np.testing.assert_allclose(clock.places.stretch[:12], frequencies / frequencies[0] - k, atol=0.001)
    assert not clock.places.stretch[12:].any()
    inner = slice(4000, 28_000)
    np.testing.assert_allclose(clocked.amplitudes[:12, inner].mean(axis=1), 0.1 / k, rtol=0.02)
    assert np.mean(clocked.rest[inner] ** 2) < 1e-4 * np.mean(note[inner] ** 2)


def test_a_partial_between_two_multiples_is_one_of_theirs() -> None:
    """The fourth and sixth are missing, the fifth is nearly half a multiple sharp, hence next to the sixth's."""
    t = np.arange(2 * RATE) / RATE
    note = 1e-4 * np.random.default_rng(0).standard_normal(len(t))
    note += sum(0.1 * np.cos(2 * np.pi * 260.0 * k * t) for k in (1.0, 2.0, 3.0, 5.49, 7.0))
    clock, clocked = set_to_its_clock(note, 260.0, 7)
    places = clock.places
    np.testing.assert_allclose(places.heard, [1, 2, 3, 4, 5.49, 6, 7], atol=0.002)
    assert places.stretch[4] == pytest.approx(0.49, abs=0.002)
    amplitudes = clocked.amplitudes[:, 4000:28_000].mean(axis=1)
    np.testing.assert_allclose(amplitudes, [0.1, 0.1, 0.1, 0, 0.1, 0, 0.1], atol=0.002)


def test_two_voices_that_beat_are_no_noise() -> None:
    """Nearly as loud, 8 cents apart, as an organ's two pipes: once a second the fundamental fades and turns around."""
    rng = np.random.default_rng(1)
    t = np.arange(4 * RATE) / RATE
    k = np.arange(1, 21)[:, None]

    def voice(hertz: float) -> np.ndarray:
        return np.sum(0.1 / k * np.cos(2 * np.pi * (hertz * k * t + rng.random(k.shape))), axis=0)

    note = (voice(220.0) + 0.95 * voice(221.0)).astype(np.float32)
    _, clocked = set_to_its_clock(note, 220.0, 32)
    inner = slice(4000, 60_000)
    loudest = np.convolve(clocked.rest[inner] ** 2, np.ones(512) / 512, mode="valid").max()
    assert loudest < 0.001 * np.mean(note[inner] ** 2)  # measured: 0.00004; by the fundamental alone 0.12


def test_what_nobody_hears_is_no_noise() -> None:
    t = np.arange(2 * RATE) / RATE
    tone = 0.1 * np.cos(2 * np.pi * 220.0 * t)
    _, clocked = set_to_its_clock(tone + 0.05 + 0.02 * np.cos(2 * np.pi * 3.0 * t), 220.0, 16)
    assert np.sqrt(np.mean(clocked.rest[4000:28_000] ** 2)) < 0.002  # measured: 0.0008


def test_a_wavering_partial_is_no_noise() -> None:
    """A steady fundamental, and upper partials that are bands of noise 20 Hz wide, as of a choir; 40 dB of breath."""
    rng = np.random.default_rng(0)
    t = np.arange(2 * RATE)
    wander = fftconvolve(rng.standard_normal((2, 8, len(t))), np.hanning(RATE // 20)[None, None], "same", axes=-1)
    wander = (wander[0] + 1j * wander[1]) / np.sqrt(2 * np.mean(wander**2))
    wander[0] = 1.0
    k = np.arange(1, 9)[:, None]
    tone = 0.05 * np.real(wander * np.exp(2j * np.pi * 220.0 * k * t / RATE)).sum(axis=0)
    breath = 0.0005 * rng.standard_normal(len(t))
    clock, clocked = set_to_its_clock(tone + breath, 220.0, 16)
    assert np.mean(clocked.rest**2) < 0.05 * np.mean(tone**2)
    assert not clock.places.stretch.any()  # a peak of such a band is anywhere in it


def by_definition(audio: np.ndarray, clock: Clock, harmonics: int) -> ClockedNote:
    """`set_to_clock` with every band at every sample, in float64."""
    turns, period = clock.turns, RATE / clock.pitch_hz
    narrow = low_pass(max(4 * period, 0.008 * RATE))
    apart = THINNING * -(-len(narrow) // THINNING)
    wide = low_pass(max(3 * len(narrow), 0.12 * RATE))
    rest, rephased = audio.astype(np.float64), np.zeros(len(audio))
    amplitudes = np.zeros((harmonics, len(audio)))

    def band_at(k: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        carrier = np.exp(2j * np.pi * k * turns)
        band = fftconvolve(audio / carrier, narrow, mode="same")
        return carrier, band, np.maximum(fftconvolve(np.abs(band) ** 2, wide, mode="same"), 1e-20)

    for k, place in enumerate(clock.places.heard, 1):
        carrier, band, power = band_at(place)
        lagged = np.concatenate([np.full(apart, band[0]), band[:-apart]])
        agreement = np.abs(fftconvolve(band * np.conj(lagged), wide, mode="same"))
        noise = np.sqrt(band_at(k - 0.5)[2] * band_at(k + 0.5)[2])
        height_db = 10.0 * np.log10(power / noise)
        share = np.maximum(_between(agreement / power, STEADY), _between(height_db, ABOVE_NOISE_DB))
        rest -= share * 2.0 * np.real(band * carrier)
        amplitudes[k - 1] = share * 2.0 * np.abs(band)
        rephased += amplitudes[k - 1] * np.cos(2 * np.pi * (k * turns + k * k / 128.0))
    first = np.argmax(np.abs(audio) > 0.01 * np.abs(audio).max()) + round(0.375 * len(narrow))
    amplitudes[:, :first] = amplitudes[:, first, None]
    rest -= fftconvolve(rest, low_pass(2 * RATE / INAUDIBLE_HZ), mode="same")
    return ClockedNote(rephased + rest, rest, amplitudes)


@pytest.mark.parametrize(("program", "pitch"), [(0, 60), (42, 48), (73, 84)])  # piano, cello, flute
def test_thinned_bands_give_what_whole_ones_would(program: int, pitch: int) -> None:
    note = render_notes(Path(DataConfig().soundfont), program, [pitch], 100)[0]
    clock, found = set_to_its_clock(note, midi_to_hertz(pitch), 64)
    expected = by_definition(note, clock, 64)
    for name in ("audio", "rest", "amplitudes"):
        a, b = getattr(expected, name), getattr(found, name)
        error_db = 10 * np.log10(np.sum((a - b) ** 2) / np.sum(expected.audio**2))
        assert error_db < -60, name  # measured: -65 at most
