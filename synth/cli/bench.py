"""`wavekeys bench`: how fast the decoder is here, beside what the processor could do."""

from __future__ import annotations

import json
import os
import statistics
import time
from typing import Any

import click

REPEATS = 7
BLOCK = 64  # samples a call, as in playing


@click.command("bench", short_help="Measure the decoder on this machine.")
@click.option("--size", default="live", show_default=True, help="A model size: live or paper.")
@click.option("--voices", default="1,2,4,8", show_default=True, help="Voice counts.")
@click.option("--backend", "backends", multiple=True, help="Backends to measure; by default all that work here.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
def command(size: str, voices: str, backends: tuple[str, ...], as_json: bool) -> None:
    """Time the decoder's step for each backend and number of voices, in blocks of 64 samples, state carried over.

    The rows of one voice count are measured in turn, several times over; medians are shown.
    """
    from synth import kernels
    from synth.errors import UsageError
    from synth.wavenet import SIZES

    if size not in SIZES:
        raise UsageError(f"unknown size {size!r}; one of {', '.join(SIZES)}")
    try:
        counts = [int(count) for count in voices.split(",")]
    except ValueError:
        raise UsageError(f"--voices {voices!r} must be numbers with commas between, such as 1,4,8") from None
    if min(counts) < 1:
        raise UsageError(f"--voices {voices!r} must be at least 1")
    chosen = backends or kernels.available()
    report = {"peak_gflops_fp32_per_core": _peak(), "cores": os.cpu_count(), "results": _measure(size, counts, chosen)}
    if as_json:
        click.echo(json.dumps(report, indent=1))
        return
    click.echo(f"{report['cores']} cores, fp32 peak {report['peak_gflops_fp32_per_core']:.0f} GFLOP/s each")
    click.echo(f"{'backend':8} {'size':6} {'voices':>6} {'µs/step':>9} {'x real time':>12} {'GFLOP/s':>8}")
    for row in report["results"]:
        click.echo(
            f"{row['backend']:8} {row['size']:6} {row['voices']:6} {row['us_per_step']:9.1f} "
            f"{row['realtime_factor']:12.2f} {row['gflops']:8.1f}"
        )


def _peak() -> float:
    from synth.errors import WavekeysError
    from synth.kernels import cpu

    try:
        return cpu.peak_gflops()
    except WavekeysError:
        return float("nan")


def _measure(size: str, counts: list[int], backends: tuple[str, ...]) -> list[dict[str, Any]]:
    import jax
    import numpy as np
    from flax import nnx

    from synth.stream import Stream
    from synth.wavenet import SIZES, WaveNet

    config = SIZES[size]
    model = WaveNet(config, rngs=nnx.Rngs(0))
    pitch = 220.0 if config.clock_harmonics else None
    rows = []
    for count in counts:
        streams = {name: Stream(model, voices=count, backend=name) for name in backends}
        z = np.zeros((count, 4, config.embedding_channels), np.float32)
        samples = z.shape[1] * config.hop
        times: dict[str, list[float]] = {name: [] for name in backends}
        for repeat in range(REPEATS + 1):
            for name, stream in streams.items():
                start = time.perf_counter()
                jax.block_until_ready(stream.generate(z, pitch_hz=pitch, block=BLOCK))
                if repeat:  # the first compiles
                    times[name].append((time.perf_counter() - start) / samples)
        for name in backends:
            seconds = statistics.median(times[name])
            rows.append(
                {
                    "backend": name,
                    "size": size,
                    "precision": "fp32",
                    "voices": count,
                    "us_per_step": seconds * 1e6,
                    "realtime_factor": 1.0 / (seconds * config.sample_rate_hz),
                    "gflops": 2e-9 * count * streams[name].sizes.multiply_adds / seconds,
                }
            )
    return rows
