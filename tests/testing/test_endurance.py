"""The endurance test's own senses: a core that stands still is seen, and a lateness is counted once and attributed."""

from __future__ import annotations

import itertools
import os
import time

import numpy as np
import pytest

from synth.testing import endurance
from synth.testing.endurance import Witnesses, lateness, pauses_of, stood_still
from synth.workers import workers


def test_a_witness_that_wakes_late_tells_when(monkeypatch: pytest.MonkeyPatch) -> None:
    affinity, sleep, naps = os.sched_getaffinity(0), time.sleep, itertools.count()
    monkeypatch.setattr(time, "sleep", lambda seconds: sleep(0.1 if next(naps) == 20 else seconds))
    begun = time.perf_counter()
    try:
        pauses = pauses_of(min(affinity), 0.3)
    finally:
        os.sched_setaffinity(0, affinity)
    lengths_s = pauses[:, 1] - pauses[:, 0]
    assert max(lengths_s) > 0.098
    assert begun < pauses[np.argmax(lengths_s), 0] < time.perf_counter() - 0.098


def test_witnesses_end_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endurance, "_SPELL_S", 0.1)
    with workers(len(os.sched_getaffinity(0))) as pool:
        Witnesses(pool, 0.01).pauses()
        watched = Witnesses(pool, 3_600.0)
        begun = time.perf_counter()
        assert watched.pauses().shape[1] == 2
        assert time.perf_counter() - begun < 1_800.0


def test_silent_blocks_in_a_row_are_one_lateness() -> None:
    assert lateness([]).tolist() == []
    assert lateness([1.0, 1.005, 1.01, 2.0]).tolist() == [1.0, 2.0]


def test_a_lateness_belongs_to_the_machine_if_a_core_stood_still_just_before() -> None:
    pauses = np.array([[0.99, 0.998], [5.0, 5.004]])
    assert stood_still(np.array([1.0, 2.0, 5.002, 5.2]), pauses).tolist() == [True, False, True, False]
    assert stood_still(np.array([1.0]), np.zeros((0, 2))).tolist() == [False]
