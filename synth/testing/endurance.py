"""Minutes of full polyphony through a real JACK server, and how often the sound was late.

`python -m synth.testing.endurance --minutes 10 --voices 8` starts jackd (48 kHz, 256 frames) and `wavekeys play` with
the factory preset, keeps so many keys down all the time, a new one every quarter of a second, and prints what `play`
says at its end: notes, underruns, the longest block. Needs Debian's jackd2 and the test extra.
"""

from __future__ import annotations

import collections
import contextlib
import signal
import tempfile
import time
from pathlib import Path

import click
import mido
import numpy as np

from synth.testing.jack_rig import PLAY_FACTORY, Listener, launch, serve

_LOWEST, _HIGHEST = 36, 97
_CHANGE_S = 0.25


def play(listener: Listener, *, minutes: float, voices: int, seed: int = 0) -> None:
    """Keep `voices` keys down for so long."""
    rng = np.random.default_rng(seed)
    down: collections.deque[int] = collections.deque()
    end_s = time.monotonic() + minutes * 60.0
    while time.monotonic() < end_s:
        key = int(rng.choice([key for key in range(_LOWEST, _HIGHEST) if key not in down]))
        messages = [mido.Message("note_off", note=down.popleft())] if len(down) == voices else []
        listener.send(*messages, mido.Message("note_on", note=key, velocity=int(rng.integers(1, 128))))
        down.append(key)
        time.sleep(_CHANGE_S)
    listener.send(*(mido.Message("note_off", note=key) for key in down))


@click.command()
@click.option("--minutes", default=10.0, show_default=True, type=click.FloatRange(0.05))
@click.option("--voices", default=8, show_default=True, type=click.IntRange(1, 60))
def main(minutes: float, voices: int) -> None:
    """Play the factory preset over JACK and print what came of it."""
    arguments = ("--midi", "virtual", "--voices", str(voices), "--no-screen")
    with (
        tempfile.TemporaryDirectory() as folder,
        serve(Path(folder) / "jackd.log"),
        contextlib.closing(launch(*arguments, command=PLAY_FACTORY)) as player,
        contextlib.closing(Listener()) as listener,
    ):
        listener.connect()
        play(listener, minutes=minutes, voices=voices)
        player.end(signal.SIGINT)
        for line in (*player.out, *player.err):
            click.echo(line)


if __name__ == "__main__":
    main()
