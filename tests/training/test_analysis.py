"""What training needs to know of a note."""

from __future__ import annotations

import numpy as np
import pytest

from synth.tones import tone_amplitudes
from synth.training import analysis
from synth.training.analysis import Sound, analyse_all, analyse_note, shaped_noise

RATE, HOP = 16_000, 512


def test_shaped_noise_has_the_envelope_of_its_note_and_not_its_phase() -> None:
    note = np.sin(2 * np.pi * 1000 / RATE * np.arange(RATE)).astype(np.float32)
    noise, other = shaped_noise(note, np.random.default_rng(0), 2)
    power = np.abs(np.fft.rfft(noise)) ** 2
    near = slice(850, 1150)
    assert power[near].sum() > 0.9 * power.sum()
    assert np.mean(noise**2) == pytest.approx(np.mean(note**2), rel=0.2)
    assert abs(np.corrcoef(noise, note)[0, 1]) < 0.3
    assert abs(np.corrcoef(noise, other)[0, 1]) < 0.3


@pytest.mark.parametrize("begins", [0, 60, 300, 600])
def test_a_struck_note_begins_as_loud_as_it_is(begins: int) -> None:
    """However far from the frames' first samples; and a tone between its partials does, too."""
    t = np.arange(2 * RATE - begins) / RATE
    note = np.zeros(2 * RATE, np.float32)
    for place, amplitude in {1.0: 0.2, 2.0: 0.1, 2.52: 0.05, 3.0: 0.05}.items():
        note[begins:] += amplitude * np.exp(-2.0 * t) * np.cos(2 * np.pi * 220.0 * place * t)
    frames = len(note) // HOP
    levels = np.full(frames, 0.1, np.float32)
    found = analyse_note(Sound(note, 220.0, levels), sample_rate_hz=RATE, hop=HOP, harmonics=16)
    before = begins // HOP  # the last frame before the note
    tone = tone_amplitudes(found.tones, np.arange(frames))[:, 0]
    for course, amplitude in [*zip(found.amplitudes.T, (0.2, 0.1, 0.05), strict=False), (tone, 0.05)]:
        assert course[before] == pytest.approx(10.0 * amplitude, rel=0.12)
        assert course[before + 1] == pytest.approx(10.0 * amplitude, rel=0.12)
    assert not found.amplitudes[:before].any()


def test_several_processes_find_what_one_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    note = shaped_noise(np.ones(RATE // 2, np.float32), np.random.default_rng(0), 1)[0]
    notes = [Sound(np.float32(0.1 * n) * note, 220.0, np.full(8, 0.1)) for n in range(1, 7)]
    sizes = {"sample_rate_hz": RATE, "hop": 1000, "harmonics": 4}
    alone = list(analyse_all(notes, expected=6, **sizes))
    monkeypatch.setattr(analysis, "NOTES_WORTH_A_PROCESS", 3)
    monkeypatch.setattr(analysis.os, "cpu_count", lambda: 2)
    for one, many in zip(alone, analyse_all(notes, expected=6, **sizes), strict=True):
        for expected, found in zip(one, many, strict=True):
            np.testing.assert_array_equal(expected, found)
