"""Processes that work for another one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from synth.errors import WavekeysError
from synth.workers import workers

PROGRAM = """
import sys, time
from os import getpid
from synth.workers import workers

if __name__ == "__main__":
    with workers(1) as pool:
        print(pool.submit(getpid).result(), flush=True)
        pool.submit(time.sleep, 600)
        time.sleep(600)
"""


def test_a_worker_ends_with_the_process_that_it_works_for_even_if_that_is_killed(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    with subprocess.Popen([sys.executable, str(program)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        os.kill(parent.pid, signal.SIGKILL)
    for _ in range(200):
        try:
            os.kill(worker, 0)
        except ProcessLookupError:
            break
        if Path(f"/proc/{worker}/stat").read_text().split()[2] == "Z":
            break  # ended, but nobody has asked how
        time.sleep(0.05)
    else:
        os.kill(worker, signal.SIGKILL)
        raise AssertionError("the worker outlived its parent")


def test_work_that_is_lost_is_told_and_not_waited_for() -> None:
    with pytest.raises(WavekeysError, match="a process that shares the work ended by itself"), workers(2) as pool:
        list(pool.map(os._exit, [1, 1, 1]))
