"""A grid's cells sound as the pad does, and an SFZ file deals out all keys and all of the pad."""

from __future__ import annotations

import re

import numpy as np
import pytest

from synth import UsageError
from synth.bank import Preset
from synth.instrument.grid import Grid

CORNERS = {"bottom_left": "bell", "bottom_right": "pipe", "top_left": "pipe", "top_right": "bell"}


def grid(preset: Preset, **options) -> Grid:
    return Grid(**{"preset": preset, "corners": CORNERS, "steps": 3, "pitches": (60, 64), **options})


def test_corners_are_the_instruments_and_the_middle_is_their_mean(tiny_preset: Preset) -> None:
    cells = [cell for cell in grid(tiny_preset).cells if cell.pitch == 60]
    z = {(cell.x, cell.y): note for cell, note in zip(cells, grid(tiny_preset).embeddings(cells), strict=True)}
    bell, pipe = (tiny_preset.bank.embeddings[index, 0, 1] for index in (0, 1))
    for corner, source in (((0, 0), bell), ((2, 0), pipe), ((0, 2), pipe), ((2, 2), bell)):
        np.testing.assert_array_equal(z[corner][:17], source[:17])
    np.testing.assert_allclose(z[1, 1][:17], (bell[:17] + pipe[:17]) / 2, atol=1e-6)
    assert len(z[0, 0]) == round(3 * 31.25) + 31
    stretches, tones = (
        {(cell.x, cell.y): part for cell, part in zip(cells, parts, strict=True)}
        for parts in grid(tiny_preset).partials(cells)
    )
    own = tiny_preset.bank.stretch[0, 0, 1, :15]
    np.testing.assert_array_equal(stretches[0, 0][:15], own)
    np.testing.assert_allclose(stretches[1, 1][:15], own / 2, atol=1e-6)  # the pipe has none
    for x in (0, 1, 2):  # the bell's tierce is where it is, however much of the bell there is
        assert stretches[x, 0][15] == pytest.approx(1.19 - 16.0)
        assert tones[x, 0][0, 15] == pytest.approx((1 - x / 2) * 10 ** (-10 / 20), abs=1e-6)
        assert not tones[x, 0][:, :15].any()
    assert len(tones[0, 0]) == len(z[0, 0])


def test_every_cell_has_a_file_of_its_own(tiny_preset: Preset) -> None:
    names = [cell.name for cell in grid(tiny_preset).cells]
    assert len(set(names)) == len(names) == 3 * 3 * 2
    assert names[0] == "x00-y00-060-100.wav"


@pytest.mark.parametrize(("key", "pad"), [(0, (0, 0)), (127, (127, 127)), (62, (64, 31)), (63, (32, 96))])
def test_one_region_sounds_for_each_key_and_place_on_the_pad(tiny_preset: Preset, key: int, pad) -> None:
    found, group = [], {}
    for line in grid(tiny_preset).sfz("wav").splitlines():
        numbers = {name: int(value) for name, value in re.findall(r"(\w+)=(\d+)(?= |$)", line)}
        if line.startswith("<group>"):
            group = numbers
        inside = group and all(
            group[f"locc{c}"] <= at <= group[f"hicc{c}"] for c, at in zip((16, 17), pad, strict=True)
        )
        if line.startswith("<region>") and inside and numbers["lokey"] <= key <= numbers["hikey"]:
            found.append(line)
    assert len(found) == 1


def test_pitches_that_the_preset_lacks_are_refused(tiny_preset: Preset) -> None:
    with pytest.raises(UsageError, match=r"60 to 64, not \[59, 65\]"):
        grid(tiny_preset, pitches=(59, 60, 65))
