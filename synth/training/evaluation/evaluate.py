"""The whole evaluation, on one process or several."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from synth.bank import Preset, load_preset
from synth.instrument import Instrument
from synth.training.evaluation.blends import measure_bends, measure_blends
from synth.training.evaluation.notes import measure_long_note, measure_note
from synth.training.evaluation.playing import LONG_SECONDS
from synth.training.evaluation.summary import summarise, summarise_blends
from synth.workers import workers

Sources = Mapping[tuple[str, int, int], np.ndarray]  # (instrument, pitch, velocity) to the recording [T]


class _Task(NamedTuple):
    """One pitch of one instrument, all velocities."""

    instrument: str
    pitch: int
    sources: Sources  # of these notes
    long_seconds: float  # the loudest is also held for so long; 0: not


def evaluate(
    preset: Preset,
    sources: Sources,
    *,
    every: int = 1,
    long_pitches: int = 4,
    long_seconds: float = LONG_SECONDS,
    jobs: int = 1,
    progress: Callable[[float], None] = lambda _: None,
) -> dict[str, Any]:
    """Measure all notes of every `every`-th pitch of the bank against their sources, where there are any.

    `long_pitches` of these pitches, spread evenly, are also held for `long_seconds` (0: not at all), played by pairs of
    instruments, and bent while they sound. More than one job: processes of their own, for a preset that can be loaded
    from its folder.
    """
    pitches = tuple(int(pitch) for pitch in preset.bank.pitches[::every])
    apart = max(len(pitches) // max(long_pitches, 1), 1)
    some = pitches[apart // 2 :: apart][:long_pitches]
    tasks = [
        _Task(
            instrument=name,
            pitch=pitch,
            sources={key: note for key, note in sources.items() if key[:2] == (name, pitch)},
            long_seconds=long_seconds if pitch in some else 0.0,
        )
        for name in preset.bank.instruments
        for pitch in pitches
    ]
    rows = []
    for done, measured in enumerate(_measured(preset, tasks, jobs), 1):
        rows += measured
        progress(done / len(tasks))
    blends, bends = measure_blends(preset, some), measure_bends(preset, some)
    summary = summarise(rows) | summarise_blends(blends, bends)
    return {"preset": preset.info.name, "notes": rows, "blends": blends, "bends": bends, "summary": summary}


def _measured(preset: Preset, tasks: Sequence[_Task], jobs: int) -> Iterator[list[dict[str, Any]]]:
    if jobs == 1:
        yield from map(functools.partial(_measure, preset), tasks)
        return
    with workers(jobs, _load, str(preset.info.folder)) as pool:
        yield from pool.map(_measure_loaded, tasks)


def _load(folder: str) -> None:
    global _loaded  # noqa: PLW0603 (a worker's own: loaded once, not with each task)
    _loaded = load_preset(folder)


_loaded: Preset


def _measure_loaded(task: _Task) -> list[dict[str, Any]]:
    return _measure(_loaded, task)


def _measure(preset: Preset, task: _Task) -> list[dict[str, Any]]:
    instrument = Instrument(preset, voices=1, blend={task.instrument: 1.0})
    velocities = [int(velocity) for velocity in preset.bank.velocities]
    rows = []
    for velocity in velocities:
        source = task.sources.get((task.instrument, task.pitch, velocity))
        rows.append({"instrument": task.instrument, **measure_note(instrument, task.pitch, velocity, source)})
    if task.long_seconds:
        rows[-1] |= measure_long_note(instrument, task.pitch, velocities[-1], task.long_seconds)
    return rows
