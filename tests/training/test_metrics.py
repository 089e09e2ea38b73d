"""What a run tells of itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from synth.training import progress
from synth.training.data.records import MESSAGES, read_records
from synth.training.metrics import MetricsLog
from synth.training.progress import Pace


def test_metrics_stand_in_json_lines_and_in_tensorboards_events(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path, 0)
    log.write(250, {"loss": 2.5, "samples_per_second": 1e4})
    log.write(500, {"loss": 2.0, "odd": float("nan")})
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert lines == [{"step": 250, "loss": 2.5, "samples_per_second": 1e4}, {"step": 500, "loss": 2.0, "odd": None}]
    (path,) = tmp_path.glob("events.out.tfevents.*")
    head, *events = [MESSAGES["Event"].FromString(record) for record in read_records(path)]
    assert head.file_version == "brain.Event:2"
    assert [(e.step, {v.tag: v.simple_value for v in e.summary.value}) for e in events] == [
        (250, {"loss": 2.5, "samples_per_second": 1e4}),
        (500, {"loss": 2.0, "odd": pytest.approx(float("nan"), nan_ok=True)}),
    ]


def test_what_is_told_of_steps_that_were_lost_is_forgotten(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path, 0)
    for step in (100, 200, 300):
        log.write(step, {"loss": 1.0})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 4')  # cut short by a crash
    MetricsLog(tmp_path, 230).write(300, {"loss": 0.5})
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [(line["step"], line["loss"]) for line in lines] == [(100, 1.0), (200, 1.0), (300, 0.5)]


def test_the_pace_counts_what_steps_take_and_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    pace = Pace(50, 1050)
    now[0] += 20.0
    pace.waits(5.0)
    report = pace.report(150, 2.5, samples=1000, flops=3e9, peak_flops=1e12, validation={"validation_notes": 2.6})
    assert report.samples_per_second == 5000.0
    assert report.seconds_left == 900 / 5.0
    assert (report.waiting_share, report.peak_share) == (0.25, pytest.approx(0.015))
    assert report.numbers()["validation_notes"] == 2.6
    now[0] += 80.0  # a slower hundred steps: the end is told from all
    report = pace.report(250, 2.5, samples=1000, flops=3e9, peak_flops=None, validation={})
    assert report.samples_per_second == 1250.0
    assert report.seconds_left == 800 * 100.0 / 200
    assert "peak_share" not in report.numbers()


def test_a_pace_that_will_slow_down_says_so_and_is_forgotten_then(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    pace = Pace(0, 1000, slower_from=200)
    told = []
    for step, seconds in ((100, 10.0), (200, 10.0), (300, 50.0)):
        now[0] += seconds
        report = pace.report(step, 0.0, samples=1, flops=1.0, peak_flops=None, validation={})
        told.append((report.seconds_left, report.slower_later))
    assert told == [(90.0, True), (80.0, True), (350.0, False)]
