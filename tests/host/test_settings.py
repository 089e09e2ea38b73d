"""What is remembered between two runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from synth.errors import WavekeysError
from synth.host import settings
from synth.host.settings import Learnt, load_controllers, save_controllers


@pytest.fixture(autouse=True)
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "wavekeys" / "settings.toml"
    monkeypatch.setattr(settings, "settings_path", lambda: place)
    return place


def test_learnt_controllers_come_back() -> None:
    assert load_controllers() == {}
    save_controllers({21: "attack_ms", 22: "gain_db"})
    assert load_controllers() == {21: "attack_ms", 22: "gain_db"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "controllers = ",
        "[controllers]",
        "format_version = 2\n[controllers]",
        'format_version = 1\n[controllers]\n128 = "gain_db"',
        'format_version = 1\n[controllers]\n64 = "gain_db"',
        'format_version = 1\n[controllers]\none = "gain_db"',
        'format_version = 1\n[controllers]\n21 = "volume"',
        'format_version = 1\n[controllers]\n21 = ["gain_db"]',
        "format_version = 1\ncontrollers = [21]",
    ],
)
def test_a_damaged_file_is_named_and_left_alone(path: Path, text: str) -> None:
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(WavekeysError, match=r"settings\.toml is damaged \(.+\): mend it"):
        load_controllers()
    assert path.read_text() == text


def test_what_is_damaged_is_said(path: Path) -> None:
    path.parent.mkdir()
    path.write_text('format_version = 1\n[controllers]\n20 = "volume"')
    with pytest.raises(WavekeysError, match=r"\(\[controllers\] 20 = 'volume', which is no parameter\)"):
        load_controllers()
    path.unlink()
    path.mkdir()
    with pytest.raises(WavekeysError, match=r"settings\.toml cannot be read: Is a directory"):
        load_controllers()


def test_what_any_part_learnt_last_is_kept_and_parts_that_differ_do_not_undo_each_other() -> None:
    save_controllers({21: "attack_ms"})
    learnt = Learnt()
    usual = {73: "release_ms"}
    parts = dict.fromkeys(("keys", "lead"), usual | learnt.controllers)

    def follow() -> None:
        for name, controllers in parts.items():
            learnt.follow(name, controllers)

    for name, controllers in parts.items():
        learnt.begin(name, controllers)
    parts["keys"] = usual | {21: "attack_ms", 22: "gain_db"}
    follow()
    parts["lead"] = usual | {21: "brightness"}
    for _ in range(2):
        follow()
        assert load_controllers() == {21: "brightness", 22: "gain_db"}
    parts["keys"] = usual | {21: "attack_ms", 23: "gain_db"}
    follow()
    assert load_controllers() == {21: "brightness", 23: "gain_db"}


def test_what_another_session_has_learnt_stays() -> None:
    here, there = Learnt(), Learnt()
    here.follow("keys", {21: "attack_ms"})
    there.follow("keys", {22: "gain_db"})
    assert load_controllers() == {21: "attack_ms", 22: "gain_db"}
    here.follow("keys", {23: "attack_ms"})
    assert load_controllers() == {22: "gain_db", 23: "attack_ms"}


def test_a_change_that_cannot_be_kept_is_told_once(path: Path) -> None:
    learnt = Learnt()
    path.parent.mkdir()
    path.write_text("damaged")
    with pytest.raises(WavekeysError, match="is damaged"):
        learnt.follow("keys", {21: "attack_ms"})
    learnt.follow("keys", {21: "attack_ms"})
    assert path.read_text() == "damaged"
