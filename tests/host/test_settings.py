"""What is remembered between two runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from synth.errors import WavekeysError
from synth.host import settings
from synth.host.settings import load_controllers, save_controllers


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
        'format_version = 1\n[controllers]\none = "gain_db"',
        'format_version = 1\n[controllers]\n21 = "volume"',
        'format_version = 1\n[controllers]\n21 = ["gain_db"]',
        "format_version = 1\ncontrollers = [21]",
    ],
)
def test_a_damaged_file_is_named_and_left_alone(path: Path, text: str) -> None:
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(WavekeysError, match=r"settings\.toml is damaged"):
        load_controllers()
    assert path.read_text() == text
