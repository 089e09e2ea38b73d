"""What a bank tells of a note's tones is heard: beside its partials, blended, bent, turned down."""

from __future__ import annotations

import dataclasses

import mido
import numpy as np
import pytest

from synth import WavekeysError
from synth.bank import Preset
from synth.instrument import Instrument, Set, SetBlend
from synth.instrument.events import Event
from synth.instrument.timbre import crossfaded
from synth.testing.playing import on, play
from synth.tones import COLUMNS

RATE = 16_000
HERTZ = 440.0 * 2.0 ** (-9 / 12)  # of key 60


def level_db(audio: np.ndarray, hertz: float) -> float:
    """Of the peak within 2 Hz of a frequency."""
    size = 8 * len(audio)
    magnitude = np.abs(np.fft.rfft(audio * np.hanning(len(audio)), size)) * 4.0 / len(audio)
    around = slice(*(round((hertz + side) * size / RATE) for side in (-2.0, 2.0)))
    return float(20.0 * np.log10(magnitude[around].max() + 1e-9))


def heard(preset: Preset, *events: Event, blend: dict[str, float] | None = None) -> np.ndarray:
    instrument = Instrument(preset, voices=1, backend="cpu", blend=blend or {"bell": 1.0})
    play(instrument, {0: [Set("temperature", 0.0), Set("own_vibrato", 0.0), *events]}, 4800)
    return play(instrument, {0: [on(60, 127)]}, RATE)[4000:, 0]


def tone_db(*events: Event, preset: Preset, blend: dict[str, float] | None = None, bent: float = 0.0) -> float:
    return level_db(heard(preset, *events, blend=blend), 1.19 * HERTZ * 2.0 ** (bent / 12.0))


def test_a_bells_tierce_is_heard_as_loud_as_its_bank_says(tiny_preset: Preset) -> None:
    """It is in the place of the last partial."""
    own = tone_db(preset=tiny_preset)
    none = dataclasses.replace(
        tiny_preset, bank=dataclasses.replace(tiny_preset.bank, tones=0 * tiny_preset.bank.tones)
    )
    assert own > tone_db(preset=none) + 20.0
    assert tone_db(Set("own_tones", 0.5), preset=tiny_preset) == pytest.approx(own - 6.0, abs=0.5)
    assert tone_db(Set("own_tones", 0.0), preset=tiny_preset) < own - 20.0
    half = tone_db(preset=tiny_preset, blend={"bell": 0.5, "pipe": 0.5})
    assert half == pytest.approx(own - 6.0, abs=0.5)


def test_it_is_bent_with_its_note(tiny_preset: Preset) -> None:
    up = mido.Message("pitchwheel", pitch=8191)
    own, bent = tone_db(preset=tiny_preset), tone_db(up, preset=tiny_preset, bent=2.0 * 8191 / 8192)
    assert bent == pytest.approx(own, abs=0.5)


def test_above_the_highest_clock_it_stays_with_its_note(tiny_preset: Preset) -> None:
    """Which is at 7200 Hz from key 119 on."""
    instrument = Instrument(tiny_preset, voices=1, backend="cpu", blend={"bell": 1.0})
    play(instrument, {0: [Set("temperature", 0.0), Set("own_vibrato", 0.0)]}, 4800)
    places = tiny_preset.bank.tones[0, ..., 0]
    tones = tiny_preset.bank.tones.copy()
    tones[0, ..., 0] = np.where(places > 0, 0.5, 0.0)
    half = dataclasses.replace(tiny_preset, bank=dataclasses.replace(tiny_preset.bank, tones=tones))
    instrument.load(half)
    sound = play(instrument, {0: [on(124, 127)]}, RATE)[4000:, 0]
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    assert np.argmax(spectrum) * RATE / len(sound) == pytest.approx(0.5 * 7200.0, abs=2.0)


def amplitude(preset: Preset, *events: Event) -> float:
    """Of the tierce where its note's clock has it, whatever that does."""
    instrument = Instrument(preset, voices=1, backend="cpu", blend={"bell": 1.0})
    play(instrument, {0: [Set("temperature", 0.0), *events]}, 4800)
    sound, turns = [play(instrument, {0: [on(60, 127)]}, 16)[:, 0]], [0.0]
    (voice,) = instrument._voices
    for _ in range(750):
        turns.append(voice.turns / 2.0**32)
        sound.append(play(instrument, {}, 16)[:, 0])
    clock = np.interp(np.arange(12_000), 16 * np.arange(751), np.unwrap(turns, period=1.0))
    still = np.concatenate(sound)[:12_000] * np.exp(-2j * np.pi * 1.19 * clock)
    window = np.hanning(8000)
    return float(np.abs(still[4000:] @ window) / window.sum())


def test_it_swings_with_its_note_and_has_its_tuning(tiny_preset: Preset) -> None:
    """Though it is some multiples of the pitch away from the partial in whose place it is."""
    vibrato = np.tile(np.array([5.0, 15.0, 0.25], np.float32), (2, 5, 2, 1))
    own = dataclasses.replace(tiny_preset.bank, vibrato=vibrato, tuning=np.full((2, 5, 2), 8.0, np.float32))
    swinging = dataclasses.replace(tiny_preset, bank=own)
    still = amplitude(tiny_preset)
    assert amplitude(swinging) == pytest.approx(still, rel=0.02)
    deep = Set("vibrato_cents", 50.0), Set("vibrato_rate_hz", 4.0)
    assert amplitude(swinging, *deep) == pytest.approx(still, rel=0.05)


def test_a_tone_stays_where_it_is_while_another_note_takes_its_notes_place() -> None:
    """Five partials: a true one; a tone of the first note, of the second, of both, and of both at two pitches."""
    before, after = np.zeros((2, 2, 3 + 2 * 5), np.float32)
    before[:, 3:] = [0.1, -7.0, 0.0, -2.0, -3.0, 0.0, 0.4, 0.0, 0.2, 0.4]
    after[:, 3:] = [0.2, 0.0, -9.0, -2.0, -4.5, 0.0, 0.0, 0.8, 0.6, 0.4]
    before[:, 0] = 1.0
    mixed = crossfaded(before, after, 0.25, channels=1)
    np.testing.assert_allclose(mixed[:, 0], 0.75)
    np.testing.assert_allclose(mixed[1, 3:], [0.125, -7.0, -9.0, -2.0, -3.0, 0.0, 0.3, 0.2, 0.3, 0.2], rtol=1e-6)
    np.testing.assert_allclose(crossfaded(before, after, 0.75, channels=1)[0, [7, 12]], [-4.5, 0.2], rtol=1e-6)


def test_a_tone_that_fades_sweeps_through_nothing(tiny_preset: Preset) -> None:
    """The bell gives place to the pipe. Its tierce has the place of the last partial, at 4186 Hz."""
    sounds = []
    for tones in (tiny_preset.bank.tones, 0 * tiny_preset.bank.tones):
        preset = dataclasses.replace(tiny_preset, bank=dataclasses.replace(tiny_preset.bank, tones=tones))
        instrument = Instrument(preset, voices=1, backend="cpu", blend={"bell": 1.0})
        play(instrument, {0: [Set("temperature", 0.0), Set("own_vibrato", 0.0)]}, 4800)
        sounds.append(play(instrument, {0: [on(60, 127)], 8000: [SetBlend({"pipe": 1.0})]}, RATE)[8000:9600, 0])
    spectrum = np.abs(np.fft.rfft((sounds[0] - sounds[1]) * np.hanning(1600), RATE))
    assert spectrum[round(1.19 * HERTZ) + 150 : 3500].max() < 0.06 * spectrum.max()  # measured: 0.025; sliding, 0.15


@pytest.mark.parametrize(
    ("tones", "complaint"),
    [
        (np.zeros((2, 5, 2, COLUMNS), np.float32), r"tones float32\[2, 5, 2, 9\] must be float32, \[2, 5, 2, at most"),
        (np.zeros((2, 5, 2, 1, 5), np.float32), "tones float32"),
        (np.zeros((2, 5, 2, 17, COLUMNS), np.float32), "at most 16"),
        (np.zeros((2, 5, 2, 1, COLUMNS)), "tones float64"),
        (np.full((2, 5, 2, 1, COLUMNS), np.nan, np.float32), "within 1024.0 multiples"),
        (np.full((2, 5, 2, 1, COLUMNS), -1.0, np.float32), "within 1024.0 multiples"),
        (np.full((2, 5, 2, 1, COLUMNS), 7.0, np.float32), "levels from -80 to 6 dB"),
    ],
)
def test_tones_that_are_none_are_refused(tiny_preset: Preset, tones: np.ndarray, complaint: str) -> None:
    with pytest.raises(WavekeysError, match=complaint):
        dataclasses.replace(tiny_preset.bank, tones=tones)
