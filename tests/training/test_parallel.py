"""Several devices, or several processes, compute what one computes."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import tomli_w

from synth import WaveNet

STEPS = 4
QUICK = "--xla_backend_optimization_level=0"  # to compile, which is most of the work here
TWO_DEVICES = "--xla_force_host_platform_device_count=2"


@pytest.fixture
def config(tmp_path: Path, tiny_model: Callable[[str], WaveNet]) -> Callable[[str], Path]:
    """The config of a short run on three notes, by the name of its output."""
    folder = tmp_path / "notes"
    folder.mkdir()
    t = np.arange(16_000) / 16_000
    for number in (60, 64, 67):
        tone = 0.3 * np.exp(-2 * t) * np.sin(2 * np.pi * 440.0 * 2.0 ** ((number - 69) / 12.0) * t)
        soundfile.write(folder / f"pipe_{number}.wav", tone, 16_000)
    model = dataclasses.asdict(dataclasses.replace(tiny_model("live").config, hop=512, layers=2))

    def write(name: str, steps: int = STEPS) -> Path:
        document = {
            "output": str(tmp_path / name),
            "model": {**model, "size": "live"},
            "data": {"notes": str(folder)},
            "training": {"steps": steps, "batch": 4, "frames": 2, "warm_up_steps": 1},
            "validation": {"every": 3, "steps": 2, "crops": 4},
        }
        path = tmp_path / f"{name}.toml"
        path.write_text(tomli_w.dumps(document))
        return path

    return write


def start(config: Path, *options: str, flags: str = "") -> subprocess.Popen[str]:
    command = [sys.executable, "-c", "from synth.cli.main import main; main()", "train", str(config), *options]
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": f"{QUICK} {flags}"}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def metrics_of(config: Path, *runs: subprocess.Popen[str]) -> list[dict[str, float]]:
    for run in runs:
        output, _ = run.communicate(timeout=300)
        assert run.returncode == 0, output
    lines = (config.with_suffix("") / "metrics.jsonl").read_text().splitlines()
    names = ("step", "loss", "validation_notes")
    return [{name: json.loads(line)[name] for name in names} for line in lines]


def test_processes_that_train_together_end_together(config: Callable[..., Path]) -> None:
    path = config("together", steps=100_000)
    runs = [start(path, *options) for options in two_processes()]
    metrics = path.with_suffix("") / "metrics.jsonl"
    for _ in range(1200):
        if metrics.exists() and metrics.read_text():
            break
        time.sleep(0.1)
    runs[1].send_signal(signal.SIGTERM)  # one of them is enough
    for run in runs:
        output, _ = run.communicate(timeout=120)
        assert run.returncode == 130, output
    steps = sorted(int(folder.name) for folder in (path.with_suffix("") / "checkpoints").iterdir())
    assert steps[-1] % 10 == 0
    assert (path.with_suffix("") / "model.safetensors").is_file()


def two_processes() -> list[tuple[str, ...]]:
    """Options for either of two."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    return [("--coordinator", address, "--processes", "2", "--process", str(i)) for i in range(2)]


def test_two_devices_and_two_processes_have_the_loss_of_one(config: Callable[[str], Path]) -> None:
    one = config("one")
    alone = metrics_of(one, start(one))
    assert [line["step"] for line in alone] == [2, 4]

    devices = config("devices")
    run = start(devices, flags=TWO_DEVICES)
    shared = metrics_of(devices, run)

    processes = config("processes")
    joint = metrics_of(processes, *[start(processes, *options) for options in two_processes()])

    for line, *others in zip(alone, shared, joint, strict=True):
        for other in others:
            assert other == pytest.approx(line, rel=1e-5)  # measured: the same numbers
