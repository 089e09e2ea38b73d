"""Minutes of full polyphony through a real JACK server, and how often the sound was late.

`python -m synth.testing.endurance --minutes 10 --voices 8` starts jackd (48 kHz, 256 frames) and `wavekeys play` with
the factory preset, keeps so many keys down all the time, a new one every quarter of a second, and prints what `play`
says at its end: notes, underruns, the longest block. Before that it says for how long the machine holds up a program
that does nothing but a millisecond of work a block: what no player can make up for, beyond what it is ahead. Server and
player are real-time programs where the system grants it. Needs Debian's jackd2 and the test extra.
"""

from __future__ import annotations

import collections
import contextlib
import os
import signal
import tempfile
import time
from pathlib import Path

import click
import mido
import numpy as np

from synth.host.priority import ENGINE, go_before_other_work, in_real_time, may_be_real_time
from synth.testing.jack_rig import PLAY_FACTORY, Listener, launch, serve
from synth.workers import workers

_LOWEST, _HIGHEST = 36, 97
_CHANGE_S = 0.25
_PERIOD_S = 0.003  # of a block; a third of it is work
_ROUNDS = 10_000


def hold_ups(seconds: float) -> np.ndarray:
    """By how many seconds each piece of work ended later than such pieces do, of one every 3 ms on each core.

    The work is always the same and takes about 1 ms; a core that wakes late, is taken away, or is slow for a while
    holds it up. All cores at once, for so long, with the priority of an engine.
    """
    cores = sorted(os.sched_getaffinity(0))
    with workers(len(cores), go_before_other_work) as pool:
        return np.concatenate([*pool.map(_hold_ups_of, cores, [seconds] * len(cores))])


def _hold_ups_of(core: int, seconds: float) -> np.ndarray:
    os.sched_setaffinity(0, {core})
    rounds = round(_ROUNDS * _PERIOD_S / 3.0 / min(_work(_ROUNDS) for _ in range(20)))
    took = []
    with in_real_time(ENGINE):
        due = end = time.perf_counter()
        end += seconds
        while due < end:
            time.sleep(max(0.0, due - time.perf_counter()))
            _work(rounds)
            took.append(time.perf_counter() - due)
            due = max(due + _PERIOD_S, time.perf_counter())
    return np.array(took) - np.median(took)


def _work(rounds: int) -> float:
    """So many rounds of nothing, and how long they took."""
    begun = time.perf_counter()
    for _ in range(rounds):
        pass
    return time.perf_counter() - begun


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
@click.option("--watch", "watched", default=30.0, show_default=True, help="Seconds to watch the machine before.")
def main(minutes: float, voices: int, watched: float) -> None:
    """Play the factory preset over JACK and print what came of it."""
    held_up_ms = 1e3 * hold_ups(watched)
    click.echo(
        f"machine    holds up a millisecond of work, of {len(held_up_ms)}, by more than 1 ms {sum(held_up_ms > 1.0)} "
        f"times, than 2 ms {sum(held_up_ms > 2.0)} times, {max(held_up_ms):.1f} ms at most"
    )
    arguments = ("--midi", "virtual", "--voices", str(voices), "--no-screen")
    with (
        tempfile.TemporaryDirectory() as folder,
        serve(Path(folder) / "jackd.log", realtime=may_be_real_time()),
        contextlib.closing(launch(*arguments, command=PLAY_FACTORY)) as player,
        contextlib.closing(Listener()) as listener,
    ):
        listener.connect()
        play(listener, minutes=minutes, voices=voices)
        player.end(signal.SIGINT)  # what it says is printed as it is closed


if __name__ == "__main__":
    main()
