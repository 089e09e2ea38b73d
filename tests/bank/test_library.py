"""The user's presets: saved, renamed, deleted, searched; never half written, and never a factory one."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest

from synth import Instrument, UsageError, WavekeysError
from synth.bank import (
    Modulation,
    PresetInfo,
    Zone,
    delete_preset,
    library,
    list_presets,
    load_preset,
    mark_favourite,
    own_name,
    preset,
    read_favourites,
    rename_preset,
    save_preset,
    search,
)
from synth.bank.favourites import favourites_file
from synth.bank.preset import find_preset, read_info
from synth.instrument.parameters import initial_values


@pytest.fixture
def source(home: Path, tiny_folder: Path) -> PresetInfo:
    """A preset outside the library, whose bank and model are its own."""
    assert home
    return read_info(tiny_folder)


def tree(folder: Path) -> dict[str, bytes]:
    """Every file under a folder, and what is in it."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


RICH = {
    "author": 'Ann "the ear" Other',
    "licence": "CC0\nas it says",
    "tags": ("soft", "né"),
    "description": "a = [b]\t# ☃ \\",
    "parameters": {"gain_db": 0.1 + 0.2, "mode": "legato", "transpose": -3},
    "pad": {"bottom_left": "bell", "bottom_right": "pipe", "top_left": "bell", "top_right": "pipe"},
    "zones": (Zone(key_high=59, blend={"pipe": 1.0}), Zone(key_low=60, pan=-0.25, gain_db=-3.0, transpose=12)),
    "modulations": (Modulation(source="velocity", blend={"pipe": 2.0}, amount=0.5, low=1.0, high=0.0),),
}


def test_a_saved_preset_says_exactly_what_it_was_given(source: PresetInfo) -> None:
    given = dataclasses.replace(source, **RICH)  # type: ignore[arg-type]
    saved = save_preset(given, name="rich")
    assert saved == dataclasses.replace(given, name="rich", folder=saved.folder, bank_sha256=saved.bank_sha256)
    assert saved == load_preset("rich").info
    assert saved in list_presets()


def test_saving_without_a_name_replaces_the_users_own_and_nothing_else(source: PresetInfo) -> None:
    assert own_name(source) == f"{source.name} 2"
    for number in (2, 3):
        saved = save_preset(source, name=own_name(source))
        assert saved.name == f"{source.name} {number}"
        assert own_name(saved) == saved.name
    factory = next(info for info in list_presets() if info.factory)
    assert own_name(factory) == f"{factory.name} 2"
    moved = save_preset(source, name=f"{source.name} 4")
    moved.folder.rename(moved.folder.with_name("moved"))  # by hand: its name is still what it says of itself
    assert own_name(source) == f"{source.name} 5"
    long = dataclasses.replace(source, name="𝄞" * 60)
    assert save_preset(long, name=own_name(long)).name == "𝄞" * 55 + " 2"


def test_a_saved_preset_needs_nothing_of_its_source(source: PresetInfo, home: Path) -> None:
    save_preset(source, name="mine")
    for path in source.folder.iterdir():
        path.unlink()
    assert load_preset("mine").bank.instruments == ("bell", "pipe")
    names = {path.parent.name for path in (home / "data").rglob("*.safetensors")}
    assert names == {"banks", "models"}


def test_presets_of_the_same_model_share_it(source: PresetInfo, home: Path) -> None:
    save_preset(save_preset(source, name="one"), name="two")
    assert len(list((home / "data").rglob("*.safetensors"))) == 2


def test_what_is_made_of_a_factory_preset_outlives_the_packages_bank_and_model(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    duo = read_info(find_preset("duo"))
    saved = save_preset(dataclasses.replace(duo, parameters={"gain_db": -3.0}), name="quiet duo")
    assert not saved.factory
    # The package's next version, with another bank and another model.
    for module in (preset, library):
        monkeypatch.setattr(module, "factory_folder", lambda: tmp_path)
    assert load_preset("quiet duo").info.parameters == {"gain_db": -3.0}
    delete_preset("quiet duo")
    assert not list((home / "data").rglob("*.safetensors"))


@pytest.mark.parametrize(
    "name", ["", ".", "..", ".hidden", "a/b", "a\\b", "../up", "a\nb", "nul\0", "x" * 61, "banks", " a", "a.wavekeys"]
)
def test_a_name_that_is_no_files_name_is_refused(source: PresetInfo, home: Path, name: str) -> None:
    with pytest.raises(UsageError, match="cannot be a name") as refusal:
        save_preset(source, name=name)
    assert "\n" not in str(refusal.value)
    assert not (home / "data").exists()


def test_the_longest_name_is_a_files_name_in_any_script(source: PresetInfo) -> None:
    assert load_preset(save_preset(source, name="𝄞" * 60).name).info.name == "𝄞" * 60


@pytest.mark.parametrize("name", ["piano", "Piano"])
def test_factory_presets_are_read_only(source: PresetInfo, name: str) -> None:
    with pytest.raises(UsageError, match=r"is a factory preset, which is read-only; choose another name"):
        save_preset(source, name=name, overwrite=True)
    save_preset(source, name="mine")
    with pytest.raises(UsageError, match="read-only"):
        rename_preset("mine", name)


def test_a_factory_preset_is_neither_renamed_nor_deleted(home: Path) -> None:
    with pytest.raises(UsageError, match="'piano' is a factory preset, which is read-only; save it under another name"):
        rename_preset("piano", "mine")
    with pytest.raises(UsageError, match="read-only"):
        delete_preset("piano")
    assert find_preset("piano").is_dir()
    assert not (home / "data").exists()


def test_a_taken_name_is_refused_unless_it_may_be_overwritten(source: PresetInfo) -> None:
    first = save_preset(source, name="mine")
    with pytest.raises(WavekeysError, match=r"there is a preset 'mine' already; .*--force"):
        save_preset(source, name="mine")
    changed = save_preset(dataclasses.replace(first, author="you"), name="mine", overwrite=True)
    assert (changed.author, load_preset("mine").info) == ("you", changed)


def test_a_preset_that_brought_its_own_files_can_be_saved_over_itself(source: PresetInfo, home: Path) -> None:
    by_hand = home / "data" / "presets" / "by hand"
    by_hand.parent.mkdir(parents=True)
    source.folder.rename(by_hand)
    info = read_info(find_preset("tiny"))  # by the name inside
    assert info.folder == by_hand
    saved = save_preset(dataclasses.replace(info, author="you"), name="tiny", overwrite=True)
    assert [path.name for path in by_hand.iterdir()] == ["preset.toml"]
    assert load_preset("tiny").info == saved


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"blend": {"gong": 1.0}}, "unknown instrument 'gong'"),
        ({"blend": {"bell": float("nan")}}, "blend.bell must be a number"),
        ({"parameters": {"gain_db": float("inf")}}, "parameters.gain_db must be a number"),
        ({"modulations": (Modulation(source="moon", blend={}),)}, "a source, one of"),
        ({"zones": (Zone(key_low=9, key_high=3),)}, "keys must go up"),
        ({"model_sha256": "0" * 64}, "made for 0000"),
        ({"bank_sha256": "0" * 64}, "made for 0000"),
        ({"author": "\udcff"}, "must be Unicode"),
    ],
)
def test_what_could_not_be_loaded_is_not_saved(source: PresetInfo, change: dict[str, object], complaint: str) -> None:
    before = save_preset(source, name="mine")
    with pytest.raises(WavekeysError, match=complaint):
        save_preset(dataclasses.replace(source, **change), name="mine", overwrite=True)  # type: ignore[arg-type]
    assert load_preset("mine").info == before


@pytest.mark.parametrize("fails_at", [0, 1, 2])
def test_a_save_that_fails_at_any_file_loses_nothing(
    source: PresetInfo, home: Path, monkeypatch: pytest.MonkeyPatch, fails_at: int
) -> None:
    """Three files are put in their places for a new preset: bank, model, preset.toml."""
    replace, calls = os.replace, iter(range(9))

    def failing(*arguments: Path) -> None:
        if next(calls) == fails_at:
            raise OSError(28, "No space left on device")
        replace(*arguments)

    monkeypatch.setattr(os, "replace", failing)
    with pytest.raises(WavekeysError, match="No space left on device"):
        save_preset(source, name="mine")
    monkeypatch.undo()
    presets = home / "data" / "presets"
    assert len(tree(presets)) == fails_at
    assert not (presets / "mine").exists()


def test_a_crash_while_overwriting_leaves_the_older_preset(
    source: PresetInfo, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_preset(source, name="mine")
    presets = home / "data" / "presets"
    before = tree(presets)

    def dies(*_: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as crash, pytest.raises(KeyboardInterrupt):
        crash.setattr(os, "replace", dies)
        save_preset(dataclasses.replace(source, author="you"), name="mine", overwrite=True)
    assert tree(presets) == before
    with monkeypatch.context() as crash, pytest.raises(WavekeysError, match="cannot write"):
        crash.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError(5, "I/O error")))
        rename_preset("mine", "yours")
    assert tree(presets) == before


def test_what_a_killed_program_left_is_no_preset(source: PresetInfo, home: Path) -> None:
    save_preset(source, name="mine")
    presets = home / "data" / "presets"
    (presets / "half").mkdir()
    (presets / "half" / ".preset.toml.0.partial").write_text("x")
    (presets / ".hidden").mkdir()
    (presets / ".hidden" / "preset.toml").write_text("x")
    assert [info.name for info in list_presets() if not info.factory] == ["mine"]
    assert save_preset(source, name="half").name == "half"


def test_a_renamed_preset_is_the_same_under_its_new_name(source: PresetInfo) -> None:
    old = save_preset(source, name="old")
    mark_favourite("old")
    new = rename_preset("old", "new")
    assert new == dataclasses.replace(old, name="new", folder=old.folder.with_name("new"))
    assert load_preset("new").info == new
    assert read_favourites() == {"new"}
    with pytest.raises(UsageError, match="unknown preset 'old'"):
        find_preset("old")


def test_renaming_to_a_name_that_is_taken_or_of_what_is_not_there_is_refused(source: PresetInfo) -> None:
    save_preset(source, name="one")
    save_preset(source, name="two")
    with pytest.raises(WavekeysError, match="there is a preset 'two' already"):
        rename_preset("one", "two")
    with pytest.raises(UsageError, match="no preset of your own is called 'none'; there are one, two"):
        rename_preset("none", "three")
    assert rename_preset("one", "one").name == "one"


def test_deleting_the_last_preset_of_a_model_deletes_the_model(source: PresetInfo, home: Path) -> None:
    save_preset(source, name="one")
    save_preset(source, name="two")
    mark_favourite("one")
    delete_preset("one")
    assert load_preset("two")
    assert read_favourites() == frozenset()
    delete_preset("two")
    assert list(tree(home / "data" / "presets")) == []


def test_what_an_overwritten_preset_needed_is_deleted_with_it(tiny_folder: Path, home: Path) -> None:
    first = load_preset(tiny_folder)
    save_preset(first.info, name="mine")
    bank = dataclasses.replace(first.bank, embeddings=np.float32(0.5) * first.bank.embeddings)
    bank.save(tiny_folder / "bank.safetensors")
    save_preset(load_preset(tiny_folder).info, name="mine", overwrite=True)
    assert len([*(home / "data" / "presets" / "banks").iterdir()]) == 1
    delete_preset("mine")
    assert not [path for path in (home / "data").rglob("*") if path.is_file()]


def test_deleting_leaves_what_somebody_put_beside_a_preset(source: PresetInfo) -> None:
    folder = save_preset(source, name="mine").folder
    (folder / "notes.txt").write_text("mine")
    delete_preset("mine")
    assert list(tree(folder)) == ["notes.txt"]


def test_a_damaged_preset_does_not_hide_the_others_and_can_be_deleted(source: PresetInfo) -> None:
    folder = save_preset(source, name="mine").folder
    save_preset(source, name="other")
    (folder / "preset.toml").write_text("[")
    with pytest.raises(WavekeysError, match="not a readable preset"):
        list_presets()
    told: list[WavekeysError] = []
    assert [info.name for info in list_presets(damaged=told.append) if not info.factory] == ["other"]
    assert len(told) == 1
    delete_preset("mine")
    assert load_preset("other").info.name == "other"


@pytest.mark.parametrize(
    ("text", "tags", "found"),
    [
        ("", (), {"mine", "yours"}),
        ("MINE", (), {"mine"}),
        ("bell soft", (), {"mine"}),
        ("pipe", (), set()),  # in the bank, but not in the blend
        ("soft gong", (), set()),
        ("", ("Warm",), {"mine", "yours"}),
        ("", ("warm", "PAD"), {"yours"}),
        ("snow", ("pad",), {"yours"}),
    ],
)
def test_a_search_finds_words_and_tags_whatever_their_case(
    source: PresetInfo, text: str, tags: tuple[str, ...], found: set[str]
) -> None:
    mine = save_preset(dataclasses.replace(source, tags=("Soft", "warm")), name="Mine")
    yours = save_preset(dataclasses.replace(source, tags=("pad", "warm"), description="Snow falls."), name="yours")
    assert {info.name.lower() for info in search([mine, yours], text, tags=tags)} == found


def test_favourites_are_kept_and_a_damaged_list_is_never_overwritten(home: Path) -> None:
    assert home
    mark_favourite("duo")
    mark_favourite("piano")
    mark_favourite("duo", False)
    assert read_favourites() == {"piano"}
    for damage in ("[", "format_version = 9\nnames = []", "format_version = 1\nnames = [1]", "\xff"):
        favourites_file().write_text(damage, encoding="latin-1")
        with pytest.raises(WavekeysError, match="mend or delete it") as refusal:
            mark_favourite("duo")
        assert "\n" not in str(refusal.value)
        assert favourites_file().read_text(encoding="latin-1") == damage


def test_what_is_played_can_be_saved_and_is_edited_until_then(source: PresetInfo) -> None:
    rich = save_preset(dataclasses.replace(source, **RICH), name="rich")  # type: ignore[arg-type]
    instrument = Instrument(load_preset("rich"), voices=1)
    assert initial_values(instrument.as_preset_info().parameters) == instrument.values
    assert not instrument.edited
    instrument.set("mode", "mono")
    instrument.set("release_ms", 400)
    assert instrument.edited
    assert instrument.as_preset_info().pad == rich.pad
    instrument.set_blend({"bell": 1, "pipe": 3})
    saved = save_preset(instrument.as_preset_info(), name="played")
    assert saved.parameters == {"gain_db": 0.1 + 0.2, "release_ms": 400.0, "mode": "mono", "transpose": -3.0}
    assert (saved.blend, saved.pad, saved.modulations) == ({"bell": 1.0, "pipe": 3.0}, None, ())
    instrument.saved_as(saved)
    assert not instrument.edited
    assert instrument.as_preset_info() == saved
