"""`wavekeys bench`: how fast the decoder is here, beside what the processor could do."""

from __future__ import annotations

import json
import os
import statistics
import time
from typing import TYPE_CHECKING, Any

import click

from synth.cli.numbers import FloatRange

if TYPE_CHECKING:
    from synth.kernels import Block
    from synth.stream import Stream

REPEATS = 7
BLOCK = 64  # samples a call, as in playing
SPAN_S = 0.1  # a repeat lasts so long at least
SIZES = "live, large or paper"


@click.command("bench", short_help="Measure the decoder on this machine.")
@click.option("--size", default="live", show_default=True, help=f"A model size: {SIZES}.")
@click.option("--voices", default="1,2,4,8", show_default=True, help="Voice counts.")
@click.option("--backend", "backends", multiple=True, help="Backends to measure; by default all that work here.")
@click.option("--precision", default="fp32", show_default=True, help="Of the weights: fp32,bf16,int8,int16 or some.")
@click.option("--threads", type=click.IntRange(1), help="Threads of the CPU kernel; by default one a core.")
@click.option(
    "--soak",
    type=FloatRange(1.0),
    metavar="SECONDS",
    help="Play in real time that long: worst block. By default of the CPU kernel.",
)
@click.option(
    "--estimate", type=click.Choice(["gpu", "tpu"]), help="Work out what it should cost there, and measure nothing."
)
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
def command(
    size: str,
    voices: str,
    backends: tuple[str, ...],
    precision: str,
    threads: int | None,
    soak: float | None,
    estimate: str | None,
    as_json: bool,
) -> None:
    """Time the decoder's step for each backend, precision and number of voices, in blocks of 64 samples as in playing.

    The rows of one voice count are measured in turn, several times over; medians are shown. A share of the peak is that
    of the threads that work: multiply-adds of the model against what a core reaches in registers between the repeats.
    """
    if threads is not None:
        os.environ["WAVEKEYS_THREADS"] = str(threads)  # read when the kernel starts its threads
    from synth import kernels
    from synth.errors import UsageError
    from synth.kernels.cpu import PRECISIONS
    from synth.stream import MOST_VOICES
    from synth.wavenet import SIZES as KNOWN

    if size not in KNOWN:
        raise UsageError(f"unknown size {size!r}; one of {', '.join(KNOWN)}")
    try:
        counts = [int(count) for count in voices.split(",")]
    except ValueError:
        raise UsageError(f"--voices {voices!r} must be numbers with commas between, such as 1,4,8") from None
    if min(counts) < 1:
        raise UsageError(f"--voices {voices!r} must be at least 1")
    if estimate:
        click.echo(_estimate(estimate, size, counts))
        return
    if max(counts) > MOST_VOICES:
        raise UsageError(f"--voices {voices!r}: a stream has {MOST_VOICES} at most")
    precisions = precision.split(",")
    for wanted in precisions:
        if wanted not in PRECISIONS:
            raise UsageError(
                f"--precision {wanted!r}: one of {', '.join(PRECISIONS)}, or some of them with commas between"
            )
    chosen = backends or (("cpu",) if soak else tuple(kernels.available()))
    known = {name: kernels.backend(name).precisions() for name in chosen}
    for wanted in precisions:
        if not any(wanted in has for has in known.values()):
            there = "; ".join(f"{name} has {', '.join(has)}" for name, has in known.items())
            raise UsageError(f"--precision {wanted}: not on this machine; {there}")
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    threads = threads or allowed or 1
    report: dict[str, Any] = {"peak_gflops_fp32_per_core": _peak(), "cores": os.cpu_count(), "threads": threads}
    if soak:
        report["soak"] = [
            _soak(name, size, count, wanted, soak)
            for name, has in known.items()
            for wanted in precisions
            if wanted in has
            for count in counts
        ]
    else:
        report["results"] = _measure(size, counts, chosen, precisions, threads)
    click.echo(json.dumps(report, indent=1) if as_json else _table(report))


def _estimate(accelerator: str, size: str, counts: list[int]) -> str:
    from synth.kernels.gpu import estimate as gpu
    from synth.kernels.tpu import estimate as tpu
    from synth.stream import sizes_of
    from synth.wavenet import SIZES as KNOWN

    sizes, rate_hz = sizes_of(KNOWN[size], 16), KNOWN[size].sample_rate_hz
    return {"gpu": gpu, "tpu": tpu}[accelerator].table(sizes, counts, rate_hz)


def _table(report: dict[str, Any]) -> str:
    peak = report["peak_gflops_fp32_per_core"]
    lines = [f"{report['cores']} cores, fp32 peak {'unknown' if peak is None else f'{peak:.0f} GFLOP/s each'}"]
    if "soak" in report:
        lines += [
            f"{row['backend']}, {row['size']}, {row['precision']}, {row['voices']} voices, "
            f"{row['seconds']:.0f} s in real time: a block of {row['block_ms']:.1f} ms takes "
            f"{row['median_ms']:.2f} ms, 1 in 1000 more than {row['p999_ms']:.2f}, the worst {row['worst_ms']:.2f}; "
            f"{row['late']} of {row['blocks']} late"
            for row in report["soak"]
        ]
        return "\n".join(lines)
    lines.append(
        f"{'backend':8} {'size':6} {'weights':8} {'voices':>6} {'µs/step':>9} {'x real time':>12} {'GFLOP/s':>8} "
        f"{'of the fp32 peak':>17}"
    )
    lines += [
        f"{row['backend']:8} {row['size']:6} {row['precision']:8} {row['voices']:6} {row['us_per_step']:9.1f} "
        f"{row['realtime_factor']:12.2f} {row['gflops']:8.1f} "
        + ("         unknown" if row["share_of_fp32_peak"] is None else f"{row['share_of_fp32_peak']:16.0%}")
        for row in report["results"]
    ]
    return "\n".join(lines)


def _peak() -> float | None:
    """Of a core, in GFLOP/s; None without the CPU kernel, which measures it."""
    from synth.errors import WavekeysError
    from synth.kernels import cpu

    try:
        return cpu.peak_gflops()
    except WavekeysError:
        return None


def _streams(size: str, voices: int, backends: tuple[str, ...], precisions: list[str]) -> dict[tuple[str, str], Stream]:
    from flax import nnx

    from synth import kernels
    from synth.stream import Stream
    from synth.wavenet import SIZES as KNOWN
    from synth.wavenet import WaveNet

    model = WaveNet(KNOWN[size], rngs=nnx.Rngs(0))
    return {
        (name, precision): Stream(model, voices=voices, backend=name, precision=precision)
        for name in backends
        for precision in precisions
        if precision in kernels.backend(name).precisions()
    }


def _block(stream: Stream) -> Block:
    """A block in the middle of a note, the same for every call: only the state moves on."""
    import jax.numpy as jnp

    from synth.kernels import Block

    voices = stream.voices
    z = jnp.zeros((voices, 2, stream.config.embedding_channels))
    pitch = jnp.full(voices, 220.0) if stream.config.clock_harmonics else None
    zeros = jnp.zeros(voices, jnp.int32)
    return Block(
        conditioning=stream.conditioning(z, pitch),
        position=zeros,
        clock=jnp.broadcast_to(jnp.arange(BLOCK, dtype=jnp.uint32) * jnp.uint32(59_055_800), (voices, BLOCK)),
        begin=zeros,
        fresh=zeros,
        seed=jnp.arange(voices, dtype=jnp.uint32),
        temperature=jnp.full((voices, BLOCK), 0.5),
    )


def _measure(
    size: str, counts: list[int], backends: tuple[str, ...], precisions: list[str], threads: int
) -> list[dict[str, Any]]:
    rows = []
    for count in counts:
        streams = _streams(size, count, backends, precisions)
        blocks = {key: _block(stream) for key, stream in streams.items()}
        times: dict[tuple[str, str], list[float]] = {key: [] for key in streams}
        for key, stream in streams.items():
            stream.advance(blocks[key]).block_until_ready()  # compiles
        peaks = []
        for _ in range(REPEATS):
            peaks.append(_peak())
            for key, stream in streams.items():
                start, calls = time.perf_counter(), 0
                while calls < 3 or time.perf_counter() - start < SPAN_S:
                    stream.advance(blocks[key]).block_until_ready()
                    calls += 1
                times[key].append((time.perf_counter() - start) / (calls * BLOCK))
        peak = statistics.median(known) if (known := [each for each in peaks if each is not None]) else None
        for (backend, precision), stream in streams.items():
            seconds = statistics.median(times[backend, precision])
            gflops = 2e-9 * count * stream.sizes.multiply_adds / seconds
            rows.append(
                {
                    "backend": backend,
                    "size": size,
                    "precision": precision,
                    "voices": count,
                    "us_per_step": seconds * 1e6,
                    "realtime_factor": 1.0 / (seconds * stream.config.sample_rate_hz),
                    "gflops": gflops,
                    "share_of_fp32_peak": None if peak is None else gflops / (peak * min(threads, count)),
                }
            )
    return rows


def _soak(backend: str, size: str, voices: int, precision: str, seconds: float) -> dict[str, Any]:
    """Play blocks when they are due, as the host does, and keep every block's time."""
    import numpy as np

    ((_, stream),) = _streams(size, voices, (backend,), [precision]).items()
    block = _block(stream)
    stream.advance(block).block_until_ready()
    period_s = BLOCK / stream.config.sample_rate_hz
    taken = np.zeros(round(seconds / period_s))
    due = time.perf_counter()
    for index in range(len(taken)):
        time.sleep(max(0.0, due - time.perf_counter()))
        start = time.perf_counter()
        stream.advance(block).block_until_ready()
        taken[index] = time.perf_counter() - start
        due = max(due + period_s, start)
    return {
        "backend": backend,
        "size": size,
        "precision": precision,
        "voices": voices,
        "seconds": seconds,
        "blocks": len(taken),
        "block_ms": period_s * 1e3,
        "median_ms": float(np.median(taken)) * 1e3,
        "p999_ms": float(np.quantile(taken, 0.999)) * 1e3,
        "worst_ms": float(taken.max()) * 1e3,
        "late": int((taken > period_s).sum()),
    }
