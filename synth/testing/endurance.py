"""Minutes of full polyphony through a real JACK server, and how often the sound was late.

`python -m synth.testing.endurance --minutes 10 --voices 8` starts jackd (48 kHz, 256 frames) and `wavekeys play` with
the factory preset, keeps so many keys down all the time, a new one every quarter of a second, and prints what `play`
says at its end: notes, underruns, the longest block. Before that it says how long the machine stops programs that do
nothing but look at the clock: what no player can make up for, beyond what it is ahead. Needs Debian's jackd2 and the
test extra.
"""

from __future__ import annotations

import collections
import concurrent.futures
import contextlib
import itertools
import multiprocessing
import os
import signal
import tempfile
import time
from pathlib import Path

import click
import mido
import numpy as np

from synth.host.priority import go_before_other_work
from synth.testing.jack_rig import PLAY_FACTORY, Listener, launch, serve

_LOWEST, _HIGHEST = 36, 97
_CHANGE_S = 0.25
_STALL_S = 0.001


def stalls(seconds: float) -> list[float]:
    """How long, each time, a core did not get on with a loop that reads the clock; all cores at once, for so long."""
    cores = sorted(os.sched_getaffinity(0))
    spawn = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(len(cores), spawn, go_before_other_work) as workers:
        return [*itertools.chain(*workers.map(_stalls_of, cores, [seconds] * len(cores)))]


def _stalls_of(core: int, seconds: float) -> list[float]:
    os.sched_setaffinity(0, {core})
    found, last = [], time.perf_counter()
    end = last + seconds
    while last < end:
        now = time.perf_counter()
        if now - last > _STALL_S:
            found.append(now - last)
        last = now
    return found


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
@click.option("--stalls", "watched", default=30.0, show_default=True, help="Seconds to watch the machine before.")
def main(minutes: float, voices: int, watched: float) -> None:
    """Play the factory preset over JACK and print what came of it."""
    found = stalls(watched)
    click.echo(
        f"machine    stopped a bare loop {len(found)} times for more than {_STALL_S * 1e3:.0f} ms in {watched:.0f} s, "
        f"{1e3 * max(found, default=0.0):.1f} ms at most"
    )
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
