"""Minutes of full polyphony through a real JACK server: how often the sound was late, and whose doing it was.

`python -m synth.testing.endurance --minutes 10 --voices 8` starts jackd (48 kHz, 256 frames) and `wavekeys play` with
the factory preset, keeps so many keys down all the time, a new one every quarter of a second, and prints what `play`
says at its end: notes, underruns, the longest block. Beside it a witness on each core, more urgent than all of these,
does nothing but wake every millisecond and note when it woke late: then its core stood still, as a virtual machine's
do when the host has other work. Of each lateness is said whether one did so just before. `--voices 0` leaves the
witnesses alone with the machine.

A server that was held up for more than a period asks for two at once (jackd 1.9, common/JackTimedDriver.cpp). A player
has them at any time only if it is two periods ahead of a device that has just taken one, hence is heard three periods
and a block after the key: 19 ms here, where `play` takes 13.

Server, player and witnesses are real-time programs where the system grants it. Needs Debian's jackd2 and the test
extra.
"""

from __future__ import annotations

import collections
import contextlib
import math
import os
import signal
import tempfile
import time
from concurrent.futures import Executor
from pathlib import Path

import click
import mido
import numpy as np

from synth.host.priority import go_before_other_work, in_real_time, may_be_real_time
from synth.testing.jack_rig import PERIOD_FRAMES, PLAY_FACTORY, RATE_HZ, Listener, launch, serve
from synth.workers import workers

_LOWEST, _HIGHEST = 36, 97
_CHANGE_S = 0.25
_WITNESS = 50  # beyond JACK's 10
_LOOK_S = 0.001
_SPELL_S = 20.0  # that a witness watches without asking whether it still must
_STILL_S = 0.002  # a witness that is so late tells of it; an idle machine wakes it within a tenth of that
_PERIOD_S = PERIOD_FRAMES / RATE_HZ
_REACH_S = 0.02  # from a pause to the lateness that it makes: a ring and a block
_ONE_S = 0.1  # silences as close as this are one lateness


class Witnesses:
    """One for each core, from now on until asked, or for so long."""

    def __init__(self, pool: Executor, seconds: float) -> None:
        cores, spells = sorted(os.sched_getaffinity(0)), math.ceil(seconds / _SPELL_S)
        self._spells = [pool.submit(pauses_of, core, seconds / spells) for _ in range(spells) for core in cores]

    def pauses(self) -> np.ndarray:
        """When a core stood still, [N, 2]: from and to, in host time."""
        # The last first, so that none begins meanwhile.
        begun = [spell for spell in reversed(self._spells) if not spell.cancel()]
        return np.concatenate([np.zeros((0, 2)), *(spell.result() for spell in begun)])


def pauses_of(core: int, seconds: float) -> np.ndarray:
    """What the witness of this core sees in so long: [N, 2], from and to, in host time."""
    os.sched_setaffinity(0, {core})
    pauses = []
    with in_real_time(_WITNESS):
        before = time.perf_counter()
        end = before + seconds
        while before < end:
            time.sleep(_LOOK_S)
            now = time.perf_counter()
            if now - before > _LOOK_S + _STILL_S:
                pauses.append((before + _LOOK_S, now))
            before = now
    return np.array(pauses).reshape(-1, 2)


def play(listener: Listener, *, seconds: float, voices: int, seed: int = 0) -> None:
    """Keep `voices` keys down for so long."""
    rng = np.random.default_rng(seed)
    down: collections.deque[int] = collections.deque()
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        key = int(rng.choice([key for key in range(_LOWEST, _HIGHEST) if key not in down]))
        messages = [mido.Message("note_off", note=down.popleft())] if len(down) == voices else []
        listener.send(*messages, mido.Message("note_on", note=key, velocity=int(rng.integers(1, 128))))
        down.append(key)
        time.sleep(_CHANGE_S)
    listener.send(*(mido.Message("note_off", note=key) for key in down))


def lateness(silences: list[float]) -> np.ndarray:
    """When the sound broke off, [N], in host time: the first of each run of silent blocks."""
    moments = np.array(silences)
    return moments[np.diff(moments, prepend=-np.inf) > _ONE_S]


def stood_still(moments: np.ndarray, pauses: np.ndarray) -> np.ndarray:
    """Whether one of the pauses [N, 2] came just before each moment [M]: [M] bool."""
    begun, ended = pauses.T
    return ((begun < moments[:, None]) & (ended > moments[:, None] - _REACH_S)).any(axis=1)


def _say_of_machine(pauses: np.ndarray) -> None:
    lengths_s = pauses[:, 1] - pauses[:, 0]
    click.echo(
        f"machine    a core stood still {len(lengths_s)} times for more than {_STILL_S * 1e3:.0f} ms, "
        f"{sum(lengths_s > _PERIOD_S)} times for more than a period of {_PERIOD_S * 1e3:.1f} ms, "
        f"{1e3 * max(lengths_s, default=0.0):.1f} ms at most"
    )


@click.command()
@click.option("--minutes", default=10.0, show_default=True, type=click.FloatRange(0.05))
@click.option("--voices", default=8, show_default=True, type=click.IntRange(0, 60))
def main(minutes: float, voices: int) -> None:
    """Play the factory preset over JACK and print what came of it."""
    seconds = minutes * 60.0
    arguments = ("--midi", "virtual", "--voices", str(voices), "--no-screen")
    with workers(len(os.sched_getaffinity(0)), go_before_other_work) as pool:
        Witnesses(pool, _LOOK_S).pauses()  # so that all have started
        if not voices:
            alone = Witnesses(pool, seconds)
            time.sleep(seconds)
            _say_of_machine(alone.pauses())
            return
        with (
            tempfile.TemporaryDirectory() as folder,
            serve(Path(folder) / "jackd.log", realtime=may_be_real_time()),
            contextlib.closing(launch(*arguments, command=PLAY_FACTORY)) as player,
            contextlib.closing(Listener()) as listener,
        ):
            listener.connect()
            begun = listener.position
            watched = Witnesses(pool, seconds)
            play(listener, seconds=seconds, voices=voices)
            silences = listener.pauses(begun)
            player.end(signal.SIGINT)  # what it says is printed as it is closed
            pauses = watched.pauses()
    _say_of_machine(pauses)
    late = lateness(silences)
    click.echo(f"late       {len(late)} times, {sum(stood_still(late, pauses))} of them just after a core stood still")


if __name__ == "__main__":
    main()
