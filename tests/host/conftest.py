"""Fixtures of the JACK rig (`synth.testing.jack_rig`)."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from synth.testing import jack_rig


@pytest.fixture(scope="session")
def jack_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A JACK server. Where jackd is missing, a failure on CI and a skip elsewhere."""
    if shutil.which("jackd") is None:
        missing = "jackd is not installed: apt install jackd2"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    with jack_rig.serve(tmp_path_factory.mktemp("jack") / "jackd.log"):
        yield


@pytest.fixture
def listener(jack_server: None) -> Iterator[jack_rig.Listener]:  # noqa: ARG001
    """A JACK client that sends MIDI and hears."""
    with contextlib.closing(jack_rig.Listener()) as client:
        yield client


@pytest.fixture
def play(listener: jack_rig.Listener) -> Iterator[Callable[..., jack_rig.Player]]:
    """Starts `wavekeys play --midi virtual` with more arguments and connects the listener to it."""
    with contextlib.ExitStack() as players:

        def start(*arguments: str | Path, prefix: tuple[str, ...] = ()) -> jack_rig.Player:
            player = jack_rig.launch("--midi", "virtual", *arguments, prefix=prefix)
            players.enter_context(contextlib.closing(player))
            listener.connect()
            return player

        yield start
