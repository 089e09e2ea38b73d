"""A preset as one file: the same on the other side to the bit, and harmless whatever is in it."""

from __future__ import annotations

import dataclasses
import io
import os
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from synth import Instrument, UsageError, WavekeysError
from synth.bank import PresetInfo, export_preset, find_preset, import_preset, list_presets, load_preset, save_preset
from synth.bank.archive import MEMBERS
from synth.bank.preset import read_info
from synth.instrument import render
from synth.testing.playing import off, on


@pytest.fixture
def exported(home: Path, tiny_folder: Path) -> Path:
    path = home / "tiny.wavekeys"
    export_preset(tiny_folder, path)
    return path


def own_files(home: Path) -> list[str]:
    """What is in the user's folders, below them."""
    return [path.name for root in ("data", "cache") for path in (home / root).rglob("*") if path.is_file()]


def zipped(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def members_of(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_an_exported_and_imported_preset_is_the_same_and_sounds_the_same(exported: Path, tiny_folder: Path) -> None:
    before = load_preset(tiny_folder)
    imported = import_preset(exported)
    for folder in tiny_folder.iterdir():
        folder.unlink()
    exported.unlink()
    after = load_preset("tiny")
    whole = dataclasses.replace(before.info, folder=after.info.folder, bank_sha256=after.info.bank_sha256)
    assert after.info == imported == whole
    for field in ("embeddings", "loops", "pitches", "velocities"):
        np.testing.assert_array_equal(getattr(after.bank, field), getattr(before.bank, field))
    assert (after.bank.instruments, after.bank.release) == (before.bank.instruments, before.bank.release)
    tensors = after.model.tensors()
    for name, tensor in before.model.tensors().items():
        np.testing.assert_array_equal(tensors[name], tensor)
    notes = [(0.0, on(62)), (0.05, off(62))]
    heard, expected = (render(Instrument(p, voices=1), notes, duration_seconds=0.1) for p in (after, before))
    assert np.abs(expected).max() > 0
    np.testing.assert_array_equal(heard, expected)


def test_the_same_preset_gives_the_same_file(exported: Path, home: Path) -> None:
    import_preset(exported)
    export_preset("tiny", home / "again.wavekeys")
    assert (home / "again.wavekeys").read_bytes() == exported.read_bytes()
    assert list(members_of(exported)) == list(MEMBERS)


def test_a_file_plays_without_being_imported(exported: Path, home: Path) -> None:
    preset = load_preset(exported)
    assert preset.info.name == "tiny"
    assert find_preset(str(exported)) == preset.info.folder
    assert [info for info in list_presets() if not info.factory] == []
    (preset.info.folder / "model.safetensors").unlink()  # as a cleaner of caches may
    assert load_preset(exported).info == preset.info
    assert save_preset(preset.info, name="kept").folder == home / "data" / "presets" / "kept"


def test_a_factory_preset_is_exported_whole_and_imported_under_another_name(home: Path) -> None:
    path = home / "duo.wavekeys"
    export_preset("duo", path)
    with pytest.raises(UsageError, match="'duo' is a factory preset, which is read-only; choose another name"):
        import_preset(path, overwrite=True)
    own = import_preset(path, name="my duo")
    assert own.blend == read_info(find_preset("duo")).blend
    shared = [f"{sha256[:16]}.safetensors" for sha256 in (own.bank_sha256 or "", own.model_sha256)]
    assert sorted(own_files(home)) == sorted(["preset.toml", *shared])


def test_a_name_that_is_taken_is_refused_unless_it_may_be_overwritten(exported: Path) -> None:
    import_preset(exported)
    with pytest.raises(WavekeysError, match="there is a preset 'tiny' already"):
        import_preset(exported)
    assert import_preset(exported, overwrite=True).name == "tiny"
    assert import_preset(exported, name="other").name == "other"


def test_an_export_overwrites_nothing_unasked_and_ends_as_a_preset_does(exported: Path, home: Path) -> None:
    with pytest.raises(WavekeysError, match=r"tiny.wavekeys is there already; .*--force"):
        export_preset(exported, exported)
    export_preset(exported, exported, overwrite=True)
    assert load_preset(exported).info.name == "tiny"
    with pytest.raises(UsageError, match=r"ends in .wavekeys; name it tiny.wavekeys"):
        export_preset(exported, home / "tiny.zip")
    (home / "folder.wavekeys").mkdir()
    with pytest.raises(WavekeysError, match="it is a folder"):
        export_preset(exported, home / "folder.wavekeys", overwrite=True)


def test_a_failing_export_leaves_the_older_file(exported: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = exported.read_bytes()
    duo = dataclasses.replace(read_info(find_preset("duo")), author="me")
    save_preset(duo, name="mine")
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(WavekeysError, match="No space left on device"):
        export_preset("mine", exported, overwrite=True)
    assert exported.read_bytes() == before
    assert [path.name for path in home.iterdir() if path.name.startswith(".")] == []


def test_a_repacked_compressed_file_is_read_too(exported: Path) -> None:
    zipped(exported, dict(reversed(members_of(exported).items())), zipfile.ZIP_DEFLATED)
    assert import_preset(exported).name == "tiny"


@pytest.mark.parametrize(
    ("extra", "missing"),
    [
        ("../evil", None),
        ("/tmp/evil", None),
        ("notes.txt", None),
        ("../preset.toml", "preset.toml"),
        ("sub/", None),
        (None, "bank.safetensors"),
        (None, "model.safetensors"),
    ],
)
def test_a_file_with_other_members_is_refused(
    exported: Path, home: Path, extra: str | None, missing: str | None
) -> None:
    members = members_of(exported)
    members.pop(missing or "", None)
    zipped(exported, {**({extra: b"x"} if extra else {}), **members})
    for read in (import_preset, load_preset):
        with pytest.raises(WavekeysError, match=r"a preset file holds .* and nothing else"):
            read(exported)
    assert own_files(home) == []
    assert not (home / "evil").exists()


def test_a_member_that_is_there_twice_is_refused(exported: Path) -> None:
    with zipfile.ZipFile(exported, "a") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        archive.writestr("preset.toml", b"")
    with pytest.raises(WavekeysError, match="nothing else"):
        import_preset(exported)


def test_a_bomb_is_refused_before_it_is_unpacked(exported: Path, home: Path) -> None:
    members = members_of(exported) | {"preset.toml": b"#" * (MEMBERS["preset.toml"] + 1)}
    zipped(exported, members, zipfile.ZIP_DEFLATED)
    with pytest.raises(WavekeysError, match=r"preset.toml has 262145 bytes, allowed are 262144"):
        import_preset(exported)
    assert own_files(home) == []


@pytest.mark.parametrize(
    ("member", "old", "new", "complaint"),
    [
        ("model.safetensors", b"logits/W", b"logits/X", "its hash is"),
        ("bank.safetensors", b"bell", b"gong", "its hash is"),
        ("preset.toml", b'name = "tiny"', b'nmae = "tiny"', "unknown key 'nmae'|key 'name'"),
        ("preset.toml", b'name = "tiny"', b'name = "../up"', "cannot be a name"),
        ("preset.toml", b"bell", b"gong", "unknown instrument 'gong'"),
        ("preset.toml", b"= 2", b"= 3", "preset format 3"),
        ("preset.toml", b"[bank]\nsha256 = ", b"[bank]\nsha256 = 5 # ", "hexadecimal digits"),
        ("preset.toml", b'sha256 = "', b'sha256 = "../', "hexadecimal digits"),
        ("preset.toml", b'tags = [\n    "test",\n]', b"tags = [1]", "tags must be texts"),
        ("preset.toml", b"bell = 1.0", b"bell = 1" + b"0" * 400, "blend.bell must be a number"),
        ("preset.toml", b"bell = 1.0", b"bell = 1" + b"0" * 5000, "not a readable preset"),
        ("preset.toml", b"me", b"\xff", "not a readable preset"),
    ],
)
def test_a_preset_that_could_not_be_loaded_is_not_imported(
    exported: Path, home: Path, member: str, old: bytes, new: bytes, complaint: str
) -> None:
    members = members_of(exported)
    assert old in members[member]
    zipped(exported, members | {member: members[member].replace(old, new)})
    with pytest.raises(WavekeysError, match=complaint) as refusal:
        import_preset(exported)
    assert "\n" not in str(refusal.value)
    assert own_files(home) == []


def test_what_is_no_file_is_said_so(home: Path) -> None:
    with pytest.raises(WavekeysError, match="no preset file at"):
        import_preset(home / "none.wavekeys")
    with pytest.raises(WavekeysError, match="no preset file at"):
        import_preset(home)
    with pytest.raises(UsageError, match="unknown preset"):
        load_preset(home / "none.wavekeys")


def test_an_import_that_fails_leaves_nothing(exported: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    for read in (import_preset, load_preset):
        with pytest.raises(WavekeysError, match="No space left on device"):
            read(exported)
    assert own_files(home) == []


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_file_is_refused_or_is_the_same_preset(exported: Path, home: Path, data: st.DataObject) -> None:
    """Bytes changed anywhere, most of them where the zip describes itself, or cut off."""
    whole = data.draw(st.sampled_from([exported.read_bytes(), _deflated(exported)]))
    small = st.integers(0, 400).map(lambda at: at if at < 60 else len(whole) - at + 59)  # first header, or the end
    places = st.lists(st.tuples(st.one_of(small, st.integers(0, len(whole) - 1)), st.integers(0, 255)), max_size=4)
    damaged = bytearray(whole)
    for at, byte in data.draw(places):
        damaged[at] = byte
    kept = data.draw(st.one_of(st.just(len(whole)), st.integers(0, len(whole))))
    path = home / "damaged.wavekeys"
    path.write_bytes(damaged[:kept])
    try:
        info: PresetInfo | None = import_preset(path, name="mutant", overwrite=True)
    except WavekeysError as error:
        info = None
        assert "\n" not in str(error)
    if info is None:
        assert not (home / "data" / "presets" / "mutant" / "preset.toml").exists()
        assert not [name for name in own_files(home) if name != "preset.toml"]
    else:
        expected = read_info(find_preset(exported))
        assert info == dataclasses.replace(expected, name="mutant", folder=info.folder)
        _empty(home)


def _deflated(path: Path) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members_of(path).items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return target.getvalue()


def _empty(home: Path) -> None:
    for root in ("data", "cache"):
        for path in (home / root).rglob("*"):
            if path.is_file():
                path.unlink()
