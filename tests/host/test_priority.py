"""What playing asks of the system and of JAX."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from synth.host.priority import ENGINE, in_real_time, may_be_real_time

needs_real_time = pytest.mark.skipif(not may_be_real_time(), reason="the system does not grant real-time threads")

WORKERS = """
import dataclasses
import os
from pathlib import Path
import numpy as np
from flax import nnx
from synth import SIZES, WaveNet
from synth.host.priority import ENGINE, compute_where_asked, in_real_time

compute_where_asked()
size = dataclasses.replace(SIZES["live"], layers=3, dilation_cycle=3, residual=16, skip=32, hop=64)
stream = WaveNet(size, rngs=nnx.Rngs(0)).stream(2, "cpu")

def decode_and_count():
    stream.score(np.zeros((2, 64), np.float32), np.zeros((2, 1, 16), np.float32), pitch_hz=np.full(2, 440.0))
    threads = [int(task.name) for task in Path("/proc/self/task").iterdir()]
    return sum(os.sched_getscheduler(thread) == os.SCHED_RR for thread in threads)

print(decode_and_count())
with in_real_time(ENGINE):
    print(decode_and_count())
print(decode_and_count())
"""

PLAYS = """
from pathlib import Path
import numpy as np
from flax import nnx
from synth import SIZES, WaveNet
from synth.host.priority import compute_where_asked
from synth.stream import Player, Point

compute_where_asked()
player = Player(WaveNet(SIZES["live"], rngs=nnx.Rngs(0)), voices=2, backend="cpu")
config = SIZES["live"]
nothing = np.zeros(config.harmonics, np.float32)
point = Point(np.zeros((2, config.embedding_channels)), 0.0, 440.0, 440.0, 440.0, 0.0, nothing, nothing)

def decode(blocks):
    for number in range(blocks):
        block = player.new_block(player.period)
        for slot in range(2):
            points = [point] * (1 if number else 2)
            block.set(slot, points, age=number * player.period, seed=slot, temperature=1.0)
        player.advance(block)

def runs():  # how often each thread has begun to run
    return {task.name: int((task / "schedstat").read_text().split()[2]) for task in Path("/proc/self/task").iterdir()}

decode(10)
before = runs()
decode(100)
main, *others = (after - before[thread] for thread, after in sorted(runs().items(), key=lambda run: int(run[0])))
print(sum(runs >= 50 for runs in others))
"""

LONG = """
import jax, jax.numpy as jnp
from synth.host.priority import compute_where_asked
{ask}
work = jax.jit(lambda x: jax.lax.fori_loop(0, 100, lambda _, x: 1e-3 * x @ x, x))
x = jnp.ones((500, 500))
work(x).block_until_ready()
print(work(x).is_ready())
"""


@pytest.mark.parametrize(("ask", "done"), [("compute_where_asked()", "True"), ("pass", "False")])
def test_what_was_asked_for_is_there_when_the_call_returns(ask: str, done: str) -> None:
    script = LONG.format(ask=ask)
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert said.strip() == done


@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="the system does not say how often threads run")
def test_no_block_waits_for_a_thread_but_the_kernels() -> None:
    environment = {**os.environ, "WAVEKEYS_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", PLAYS], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0"


@needs_real_time
def test_real_time_holds_for_this_thread_and_those_that_it_starts() -> None:
    seen: list[int] = []

    def look() -> None:
        seen.append(os.sched_getscheduler(0))

    before = os.sched_getscheduler(0)
    with in_real_time(ENGINE):
        assert (os.sched_getscheduler(0), os.sched_getparam(0).sched_priority) == (os.SCHED_RR, ENGINE)
        inner = threading.Thread(target=look)
        inner.start()
        inner.join()
    assert os.sched_getscheduler(0) == before
    outer = threading.Thread(target=look)
    outer.start()
    outer.join()
    assert seen == [os.SCHED_RR, before]


@pytest.mark.skipif(sys.platform != "linux", reason="real-time threads are asked for on Linux alone")
def test_where_real_time_is_refused_all_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    before = os.sched_getscheduler(0)
    set_scheduler = os.sched_setscheduler

    def refuse(pid: int, policy: int, param: os.sched_param) -> None:
        if policy == os.SCHED_RR:
            raise PermissionError
        set_scheduler(pid, policy, param)

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    with in_real_time(ENGINE):
        assert os.sched_getscheduler(0) == before
    assert not may_be_real_time()


@needs_real_time
def test_the_kernels_workers_are_real_time_threads_while_their_caller_is() -> None:
    environment = {**os.environ, "WAVEKEYS_THREADS": "2"}
    done = subprocess.run([sys.executable, "-c", WORKERS], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "2", "0"]
