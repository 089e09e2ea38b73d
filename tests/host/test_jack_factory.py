"""End to end with the trained model: real JACK MIDI in, the factory preset's sound out."""

from __future__ import annotations

import contextlib
import signal
from pathlib import Path

import mido
import numpy as np

from synth.analysis import median_cents
from synth.testing.jack_rig import PLAY_FACTORY, RATE_HZ, Listener, launch, wait_until


def note(kind: str, pitch: int) -> mido.Message:
    return mido.Message(f"note_{kind}", note=pitch, velocity=100)


def loudness(audio: np.ndarray) -> float:
    return float(np.max(np.abs(audio), initial=0.0))


def test_the_factory_preset_is_played_in_tune_steals_and_falls_silent(listener: Listener, tmp_path: Path) -> None:
    take = tmp_path / "take.wav"
    arguments = ("--midi", "virtual", "--blend", "flute=1", "--voices", "4", "--spare", "6", "--record", take)
    with contextlib.closing(launch(*arguments, command=PLAY_FACTORY)) as player:
        listener.connect()
        start = listener.position
        listener.send(note("on", 69))
        wait_until(lambda: loudness(listener.since(start)) > 1e-2, "the note")
        heard = listener.listen(1.5)[:, 0]
        listener.send(note("off", 69))
        wait_until(lambda: loudness(listener.listen(0.2)) == 0.0, "silence after note-off")

        keys = [48, 52, 55, 59, 62, 66, 69, 72]
        start = listener.position
        listener.send(*(note("on", key) for key in keys))
        wait_until(lambda: loudness(listener.since(start)) > 1e-2, "the chord")
        listener.listen(0.5)
        listener.send(*(note("off", key) for key in keys))
        wait_until(lambda: loudness(listener.listen(0.2)) == 0.0, "silence after the chord")

        assert player.end(signal.SIGTERM) == 0
        assert player.said("notes      9")
    assert take.stat().st_size > RATE_HZ * 6
    # Only now: the pitch tracker keeps the interpreter busy for seconds, and the server would give up its clients.
    assert abs(median_cents(heard[RATE_HZ // 4 :], 440.0, RATE_HZ)) < 20  # measured: 1 cent
