"""`wavekeys presets` as a user runs it."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest

from synth.cli.main import main

pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Any:
    """A function of the arguments after `wavekeys presets`: exit code, stdout and stderr."""

    def presets(*arguments: str | Path) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stop:
            main(["presets", *map(str, arguments)])
        said = capsys.readouterr()
        return int(stop.value.code or 0), said.out, said.err

    return presets


def rows(run: Any, *arguments: str) -> dict[str, Any]:
    """What `list --json` tells, by name."""
    code, out, err = run("list", "--json", *arguments)
    assert (code, err) == (0, "")
    return {row["name"]: row for row in json.loads(out)}


def test_a_changed_copy_is_saved_listed_and_shown(run: Any) -> None:
    change = ("--blend", "cello=1,flute=1", "--set", "release_ms=400", "--set", "mode=legato", "--tag", "mine")
    code, out, err = run("save", "piano", "my bow", *change, "--author", "Ann", "--description", "A bow.")
    assert (code, out.startswith("my bow: saved in "), err) == (0, True, "")
    shown = json.loads(run("show", "my bow", "--json")[1])
    source = json.loads(run("show", "piano", "--json")[1])
    assert shown["blend"] == {"cello": 1.0, "flute": 1.0}
    assert shown["parameters"] == source["parameters"] | {"release_ms": 400.0, "mode": "legato"}
    assert (shown["author"], shown["description"], shown["tags"]) == ("Ann", "A bow.", ["mine"])
    assert (shown["licence"], shown["factory"]) == (source["licence"], False)
    assert rows(run)["my bow"] == shown


def test_a_list_is_narrowed_by_words_tags_and_favourites(run: Any) -> None:
    assert "favourite" in rows(run)["factory"]
    assert run("favourite", "duo") == (0, "duo: a favourite\n", "")
    assert [name for name, row in rows(run).items() if row["favourite"]] == ["duo"]
    assert set(rows(run, "--favourites")) == {"duo"}
    assert run("list", "--favourites")[1].startswith("* duo ")
    assert set(rows(run, "--tag", "BLEND", "--tag", "pad", "--search", "corner")) == {"four-corners", "brass-corners"}
    assert set(rows(run, "--search", "corner horn")) == {"brass-corners"}  # the horn is on its pad
    assert rows(run, "--search", "no such sound") == {}
    assert run("favourite", "duo", "--off")[0] == 0
    assert rows(run, "--favourites") == {}


def test_a_preset_travels_as_one_file(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run("save", "duo", "mine")
    code, out, _ = run("export", "mine")
    assert (code, out.startswith("mine.wavekeys: mine, by wavekeys, licence: ")) == (0, True)
    assert run("export", "mine")[0] == 1
    assert run("export", "mine", "--force", "-o", "mine.wavekeys")[0] == 0
    before = json.loads(run("show", "mine", "--json")[1])
    assert json.loads(run("show", "mine.wavekeys", "--json")[1]) == before
    assert run("rename", "mine", "older") == (0, "mine is older now\n", "")
    assert run("import", "mine.wavekeys")[0] == 0
    assert run("import", "mine.wavekeys")[0] == 1
    assert run("import", "mine.wavekeys", "--force")[0] == 0
    assert run("import", "mine.wavekeys", "--name", "third")[0] == 0
    assert json.loads(run("show", "mine", "--json")[1]) == before
    assert run("delete", "older") == (0, "older: deleted\n", "")
    assert [name for name, row in rows(run).items() if not row["factory"]] == ["mine", "third"]


def test_a_preset_that_cannot_be_played_is_neither_shown_nor_exported(run: Any, tmp_path: Path) -> None:
    code, out, _ = run("save", "duo", "mine")
    text = (Path(out.split(" in ")[1].strip()) / "preset.toml").read_text()
    broken = tmp_path / "broken"
    broken.mkdir()
    for wrong, said in (
        (text.replace("[parameters]", "[parameters]\nsparkle = 3"), "unknown parameter 'sparkle'"),
        (text.replace('name = "mine"', 'name = "../evil"'), "'../evil' cannot be a name"),
    ):
        (broken / "preset.toml").write_text(wrong)
        shutil.copytree(Path(out.split(" in ")[1].strip()).parent / "banks", tmp_path / "banks", dirs_exist_ok=True)
        shutil.copytree(Path(out.split(" in ")[1].strip()).parent / "models", tmp_path / "models", dirs_exist_ok=True)
        for verb in (("show", broken), ("export", broken, "-o", tmp_path / "out.wavekeys")):
            code, _, err = run(*verb)
            assert (code, said in err) == (1, True)
        assert not (tmp_path / "out.wavekeys").exists()


def test_a_blend_of_ones_own_is_not_described_as_the_source_was(run: Any) -> None:
    run("save", "duo", "mine", "--blend", "horn=1")
    shown = json.loads(run("show", "mine", "--json")[1])
    assert (shown["description"], shown["tags"]) == ("Horn; made of duo.", [])
    run("save", "duo", "yours", "--blend", "horn=1", "--tag", "bright", "--description", "Rings.")
    shown = json.loads(run("show", "yours", "--json")[1])
    assert (shown["description"], shown["tags"]) == ("Rings.", ["bright"])


def test_a_file_with_parameters_that_are_none_is_not_imported(run: Any, tmp_path: Path) -> None:
    file = tmp_path / "duo.wavekeys"
    run("export", "duo", "-o", file)
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["preset.toml"] = members["preset.toml"].replace(b"[parameters]", b"[parameters]\nsparkle = 3")
    assert b"sparkle" in members["preset.toml"]
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    code, _, err = run("import", file)
    assert (code, "preset 'duo': unknown parameter 'sparkle'" in err) == (1, True)
    assert [name for name, row in rows(run).items() if not row["factory"]] == []


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("save", "piano", "duo"), 2, "'duo' is a factory preset, which is read-only; choose another name"),
        (("save", "piano", "mine", "--set", "release_ms"), 2, "'release_ms' is not PARAMETER=VALUE"),
        (("save", "piano", "mine", "--set", "loudness=3"), 2, "unknown parameter 'loudness'; known: gain_db"),
        (("save", "piano", "mine", "--set", "gain_db=nan"), 2, "'gain_db' must be from -60 to 24, not nan"),
        (("save", "piano", "mine", "--set", "mode=loud"), 2, "must be one of poly, mono, legato, not 'loud'"),
        (("save", "piano", "mine", "--blend", "kazoo=1"), 2, "unknown instrument 'kazoo'"),
        (("save", "piano", "a/b"), 2, "'a/b' cannot be a name"),
        (("save", "piano", "a@2"), 2, "'a@2' cannot be a name: a number behind an @ is a MIDI channel"),
        (("save", "piano", "Con"), 2, "a device of Windows"),
        (("save", "nope", "mine"), 2, "unknown preset 'nope'"),
        (("save", "piano"), 2, "Missing argument 'NAME'"),
        (("rename", "piano", "mine"), 2, "'piano' is a factory preset, which is read-only; save it under another name"),
        (("delete", "piano"), 2, "read-only"),
        (("delete", "nope"), 2, "no preset of your own is called 'nope'; there are none"),
        (("export", "nope"), 2, "unknown preset 'nope'"),
        (("export", "piano", "-o", "piano.zip"), 2, "name it piano.wavekeys"),
        (("import", "none.wavekeys"), 1, "no preset file at none.wavekeys"),
        (("favourite", "nope"), 2, "unknown preset 'nope'"),
        (("show", "x" * 5000), 2, "unknown preset"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], code: int, text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    returned, out, err = run(*arguments)
    assert (returned, out) == (code, "")
    assert text in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_what_is_damaged_is_told_and_the_rest_is_listed(run: Any, tmp_path: Path) -> None:
    run("save", "piano", "broken")
    (tmp_path / "data" / "presets" / "broken" / "preset.toml").write_text("[")
    (tmp_path / "data" / "favourites.toml").write_text("[")
    code, out, err = run("list")
    assert (code, err.count("\n")) == (0, 2)
    assert "broken/preset.toml: not a readable preset" in err
    assert "favourites.toml: not a readable list of favourites" in err
    assert "factory" in out
    assert run("favourite", "piano")[0] == 1
