"""Presets on disk: found by name or path, refused where something is wrong."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from synth import Instrument, UsageError, WavekeysError
from synth.bank import Preset, PresetInfo, find_preset, list_presets, load_preset
from synth.instrument import render
from synth.testing.playing import off, on

TEXT = """format_version = 2
name = "mine"
author = "me"
licence = "CC0"
tags = ["test"]
description = "A test."

[blend]
bell = 1.0

[parameters]
release_ms = 300

[model]
sha256 = "{sha256}"
"""


@pytest.fixture
def folder(tiny_preset: Preset, tmp_path: Path) -> Path:
    """A preset folder that is in order."""
    path = tmp_path / "mine"
    path.mkdir()
    tiny_preset.model.save(path / "model.safetensors")
    tiny_preset.bank.save(path / "bank.safetensors")
    digest = hashlib.sha256((path / "model.safetensors").read_bytes()).hexdigest()
    (path / "preset.toml").write_text(TEXT.format(sha256=digest))
    return path


def test_a_preset_is_read_from_its_folder(folder: Path) -> None:
    preset = load_preset(folder)
    assert (preset.info.name, preset.info.parameters, preset.info.factory) == ("mine", {"release_ms": 300.0}, False)
    assert preset.bank.instruments == ("bell", "pipe")


def test_the_factory_preset_is_there_and_has_its_instruments() -> None:
    preset = load_preset()
    assert preset.info.factory
    assert len(preset.bank.instruments) >= 4
    assert preset.bank.pitches[0] <= 48
    assert preset.bank.pitches[-1] >= 72
    assert "factory" in {info.name for info in list_presets()}


def test_a_folder_of_the_factory_presets_name_does_not_take_its_place(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.rename(tmp_path / "factory")
    monkeypatch.chdir(tmp_path)
    assert len(load_preset().bank.instruments) == 16
    assert load_preset("./factory").bank.instruments == ("bell", "pipe")


def test_an_unknown_name_is_refused_with_those_there_are() -> None:
    with pytest.raises(UsageError, match=r"unknown preset 'nope'; there are .*factory"):
        find_preset("nope")


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('name = "mine"', 'nmae = "mine"', "unknown key 'nmae'|key 'name' must be a str"),
        ('tags = ["test"]', 'tags = "test"', "key 'tags' must be a list"),
        ('name = "mine"', r'name = "\u001B[2J"', r"name must be printable text, not '.x1b\[2J'"),
        ('tags = ["test"]', r'tags = ["\u0007"]', "tags must be printable text"),
        ("[model]", "[[zones]]\n" * 65 + "[model]", "65 zones, 64 are the most"),
        ("format_version = 2", "format_version = 9", "preset format 9"),
        ("bell = 1.0", 'bell = "loud"', "blend.bell must be a number"),
        ("bell = 1.0", "gong = 1.0", "unknown instrument 'gong'"),
        ("release_ms = 300", "release_ms = true", "parameters.release_ms must be a number"),
        ('sha256 = "', 'sha256 = "00', "the preset was made for 00"),
        ("[blend]", "[blend", "not a readable preset"),
        ("[model]", '[pad]\nbottom_left = "bell"\n[model]', r"\[pad\] must name an instrument for bottom_left"),
        ("[model]", "[[zones]]\nkeys = 3\n[model]", "zones: unknown key 'keys'; known: key_low"),
        ("[model]", "[[zones]]\nkey_low = 70\nkey_high = 60\n[model]", "zones: keys must go up"),
        ("[model]", "[[zones]]\ngain_db = nan\n[model]", "zones.gain_db must be a number"),
        ("[model]", "[[zones]]\nblend = {gong = 1.0}\n[model]", "unknown instrument 'gong'"),
        ("[model]", '[[modulations]]\nsource = "moon"\n[model]', "a source, one of velocity, key"),
        ("[model]", '[[modulations]]\nsource = "key"\nblend = {}\n[model]', "blend weights must be at least 0"),
        ("[model]", '[bank]\nsha256 = "00"\n[model]', "the preset was made for 00"),
    ],
)
def test_what_is_wrong_with_a_preset_is_said_in_one_line(folder: Path, old: str, new: str, complaint: str) -> None:
    path = folder / "preset.toml"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(WavekeysError, match=complaint) as refusal:
        load_preset(folder)
    assert "\n" not in str(refusal.value)


def test_a_preset_without_its_model_says_which_is_missing(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(WavekeysError, match=r"its model [0-9a-f]{16} is not here"):
        load_preset(folder)


def test_presets_share_a_bank_and_a_model_by_their_hashes(folder: Path) -> None:
    sha256 = {}
    for kind in ("bank", "model"):
        data = (folder / f"{kind}.safetensors").read_bytes()
        sha256[kind] = hashlib.sha256(data).hexdigest()
        (folder.parent / f"{kind}s").mkdir()
        (folder / f"{kind}.safetensors").rename(folder.parent / f"{kind}s" / f"{sha256[kind][:16]}.safetensors")
    path = folder / "preset.toml"
    path.write_text(path.read_text() + f'\n[bank]\nsha256 = "{sha256["bank"]}"\n')
    assert load_preset(folder).bank.instruments == ("bell", "pipe")


@pytest.mark.parametrize("info", list_presets(), ids=lambda info: info.name)
def test_every_factory_preset_loads_and_plays(info: PresetInfo) -> None:
    instrument = Instrument(load_preset(info.folder), voices=2)
    audio = render(instrument, [(0.0, on(52)), (0.5, off(52))], duration_seconds=0.6)
    assert 1e-4 < np.abs(audio).max() < 1.0
    assert not instrument.edited
