"""What the command says whatever the verb."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from synth.cli import main as main_module


@pytest.mark.parametrize(
    ("package", "extra"), [("librosa", "analysis"), ("grain.python", "train"), ("soxr", "analysis")]
)
def test_an_extra_that_is_missing_is_named(
    wavekeys: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch, package: str, extra: str
) -> None:
    def missing(_name: str) -> None:
        raise ModuleNotFoundError(f"No module named {package!r}", name=package)

    monkeypatch.setattr(main_module.importlib, "import_module", missing)
    name = package.partition(".")[0]
    complaint = f"wavekeys: this needs {name}: {sys.executable} -m pip install 'wavekeys[{extra}]'\n"
    assert wavekeys("devices") == (1, "", complaint)


def test_an_interrupt_that_a_library_makes_another_error_of_is_one(
    wavekeys: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_name: str) -> None:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            raise SystemError("returned a result with an exception set") from None

    monkeypatch.setattr(main_module.importlib, "import_module", interrupted)
    assert wavekeys("devices") == (130, "", "")


def test_a_module_of_our_own_that_is_missing_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_name: str) -> None:
        raise ModuleNotFoundError("No module named 'synth.nothing'", name="synth.nothing")

    monkeypatch.setattr(main_module.importlib, "import_module", missing)
    with pytest.raises(ModuleNotFoundError):
        main_module.main(["devices"])
