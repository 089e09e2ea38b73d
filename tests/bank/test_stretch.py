"""Where a note's partials are: kept in the bank, and heard."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from synth import WavekeysError
from synth.bank import Preset, load_preset
from synth.instrument import Instrument, Set
from synth.testing.playing import on, play

RATE = 16_000


@pytest.mark.parametrize(
    ("stretch", "complaint"),
    [
        (np.zeros((2, 5, 16), np.float32), r"stretch float32\[2, 5, 16\] must be float32, \[2, 5, 2, partials\]"),
        (np.zeros((2, 5, 2, 16)), "stretch float64"),
        (np.full((2, 5, 2, 16), np.nan, np.float32), "stretch must be within 0.5 multiples"),
        (np.full((2, 5, 2, 16), -0.6, np.float32), "stretch must be within 0.5 multiples"),
        (np.full((2, 5, 2, 1), 0.1, np.float32), "or one 0 for all partials"),
    ],
)
def test_a_stretch_that_is_none_is_refused(tiny_preset: Preset, stretch: np.ndarray, complaint: str) -> None:
    with pytest.raises(WavekeysError, match=complaint):
        dataclasses.replace(tiny_preset.bank, stretch=stretch)


def test_a_bank_of_another_number_of_partials_is_refused(tiny_preset: Preset, tiny_folder: Path) -> None:
    odd = np.zeros((2, 5, 2, 12), np.float32)
    dataclasses.replace(tiny_preset.bank, stretch=odd).save(tiny_folder / "bank.safetensors")
    with pytest.raises(WavekeysError, match="the bank has 12 partials, its model 16"):
        load_preset(tiny_folder)


def highest_peak(audio: np.ndarray, low_hz: float, high_hz: float) -> float:
    """Its frequency in hertz."""
    size = 8 * len(audio)
    magnitude = np.abs(np.fft.rfft(audio * np.hanning(len(audio)), size))
    low, high = (round(hertz * size / RATE) for hertz in (low_hz, high_hz))
    return (low + int(magnitude[low:high].argmax())) * RATE / size


@pytest.mark.parametrize("share", [1.0, 0.5, 0.0])
def test_a_piano_strings_partials_are_heard_where_they_were(share: float) -> None:
    """By the factory preset. The eighth of C5 is a ninth of a multiple sharp."""
    preset = load_preset()
    instrument = Instrument(preset, voices=1, blend={"piano": 1.0})
    stretch = preset.bank.note(72, 127, has_level=True, instruments=np.array([0])).stretch[0]
    assert preset.bank.instruments[0] == "piano"
    assert stretch[7] > 0.08
    play(instrument, {0: [Set("own_stretch", share), Set("own_tuning", 0.0)]}, 4800)
    heard = play(instrument, {0: [on(72, 127)]}, RATE)[4000:, 0]
    hertz = 440.0 * 2.0 ** (3 / 12)
    for k in (1, 4, 8):
        expected = hertz * (k + share * stretch[k - 1])
        assert highest_peak(heard, hertz * (k - 0.4), hertz * (k + 0.4)) == pytest.approx(expected, abs=1.5)


def test_a_line_goes_from_a_bank_that_tells_it_to_one_that_does_not(tiny_preset: Preset) -> None:
    """The second bank's own length of `stretch` is 1."""
    plain = dataclasses.replace(tiny_preset.bank, stretch=np.zeros((2, 5, 2, 1), np.float32))
    instrument = Instrument(tiny_preset, voices=1, backend="cpu")
    play(instrument, {0: [Set("mode", "legato"), on(60)]}, 640)
    instrument.load(dataclasses.replace(tiny_preset, bank=plain))
    heard = play(instrument, {0: [Set("mode", "legato"), on(62)], 320: [on(64)]}, 6400)
    assert np.abs(heard[320:]).max() > 0
    (voice,) = instrument._voices
    assert voice.timbre.target.stretch.shape == (1, 16)


def turns_of(preset: Preset, blend: dict[str, float], share: float) -> float:
    """How many cents a second of a held note's clock is off its key."""
    instrument = Instrument(preset, voices=1, backend="cpu", blend=blend)
    play(instrument, {0: [Set("own_vibrato", 0.0), Set("own_tuning", share)]}, 640)
    play(instrument, {0: [on(60)]}, 640)
    (voice,) = instrument._voices
    turns = []
    for _ in range(8):
        turns.append(voice.turns)
        play(instrument, {}, 16)
    per_sample = np.diff(np.array(turns)) % 2**32 / 2**32 / 16
    return float(1200.0 * np.log2(per_sample.mean() * RATE / (440.0 * 2.0 ** (-9 / 12))))


@pytest.mark.parametrize(
    ("blend", "share", "cents"),
    [
        ({"bell": 1.0}, 1.0, 6.0),
        ({"bell": 1.0}, 0.5, 3.0),
        ({"bell": 1.0}, 0.0, 0.0),
        ({"pipe": 1.0}, 1.0, -10.0),  # no further, though it was recorded 40 cents flat
        ({"bell": 0.75, "pipe": 0.25}, 1.0, -5.5),
    ],
)
def test_a_note_keeps_its_own_tuning_as_long_as_that_is_no_fault(
    tiny_preset: Preset, blend: dict[str, float], share: float, cents: float
) -> None:
    tuning = np.broadcast_to(np.array([6.0, -40.0], np.float32)[:, None, None], (2, 5, 2))
    preset = dataclasses.replace(tiny_preset, bank=dataclasses.replace(tiny_preset.bank, tuning=tuning))
    assert turns_of(preset, blend, share) == pytest.approx(cents, abs=0.1)


@pytest.mark.parametrize("tuning", [np.zeros((2, 5), np.float32), np.full((2, 5, 2), np.nan, np.float32)])
def test_a_tuning_that_is_none_is_refused(tiny_preset: Preset, tuning: np.ndarray) -> None:
    with pytest.raises(WavekeysError, match=r"tuning float32.* must be finite float32, \[2, 5, 2\]"):
        dataclasses.replace(tiny_preset.bank, tuning=tuning)
