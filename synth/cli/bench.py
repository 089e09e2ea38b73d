"""`wavekeys bench`: how fast the decoder is here, beside what the processor could do."""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from synth.cli.numbers import FloatRange
from synth.errors import UsageError, WavekeysError, first_line

if TYPE_CHECKING:
    from synth.kernels import Block
    from synth.stream import Stream

REPEATS = 7
BLOCK = 64  # samples a call, as in playing
LONG_BLOCK = 576  # beside which the former tells what a call costs, on accelerators
SPAN_S = 0.1  # a repeat lasts so long at least
_FAILURES = (WavekeysError, RuntimeError)  # of a stream: what it is refused, what JAX or a GPU says
SIZES = "live, large or paper"


@click.command("bench", short_help="Measure the decoder on this machine.")
@click.option("--size", default="live", show_default=True, help=f"A model size: {SIZES}.")
@click.option("--voices", default="1,2,4,8", show_default=True, help="Voice counts.")
@click.option(
    "--backend", "backends", multiple=True, help="What to measure, as cpu,jax; by default all that work here."
)
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
    On an accelerator long blocks are measured too: what is the kernel's time a step, and what a block costs beside it.
    """
    if threads is not None:
        os.environ["WAVEKEYS_THREADS"] = str(threads)  # read when the kernel starts its threads
    from synth import kernels
    from synth.kernels.cpu import PRECISIONS
    from synth.stream import MOST_VOICES
    from synth.wavenet import SIZES as KNOWN

    if size not in KNOWN:
        raise UsageError(f"unknown size {size!r}; one of {', '.join(KNOWN)}")
    counts = _counts(voices)
    if estimate:
        source = click.get_current_context().get_parameter_source
        for option in ("backends", "precision", "threads", "soak", "as_json"):
            if source(option) is ParameterSource.COMMANDLINE:
                raise UsageError("--estimate goes with --size and --voices alone: it is a table of all precisions")
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
    chosen = [name for names in backends for name in names.split(",")]
    chosen = chosen or (["cpu"] if soak else list(kernels.available()))
    known = {name: kernels.backend(name).precisions() for name in chosen}
    for wanted in precisions:
        if not any(wanted in has for has in known.values()):
            there = "; ".join(f"{name} has {', '.join(has)}" for name, has in known.items())
            raise UsageError(f"--precision {wanted}: not on this machine; {there}")
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    threads = threads or allowed or 1
    report: dict[str, Any] = {"peak_gflops_fp32_per_core": _peak(), "cores": os.cpu_count(), "threads": threads}
    cases = [(name, wanted) for name, has in known.items() for wanted in precisions if wanted in has]
    rows = _soak_all(size, counts, cases, soak) if soak else _measure(size, counts, cases, threads)
    done = list(rows) if as_json else _shown(rows, _heading(report, soak=bool(soak)))
    if as_json:
        click.echo(json.dumps(report | {"soak" if soak else "results": done}, indent=1))
    if failed := sum("error" in row for row in done):
        raise WavekeysError(f"{failed} of {len(done)} could not be measured")


def _counts(voices: str) -> list[int]:
    try:
        counts = [int(count) for count in voices.split(",")]
    except ValueError:
        raise UsageError(f"--voices {voices!r} must be numbers with commas between, such as 1,4,8") from None
    if min(counts) < 1:
        raise UsageError(f"--voices {voices!r} must be at least 1")
    return counts


def _estimate(accelerator: str, size: str, counts: list[int]) -> str:
    from synth.kernels.gpu import estimate as gpu
    from synth.kernels.tpu import estimate as tpu
    from synth.stream import sizes_of
    from synth.wavenet import SIZES as KNOWN

    sizes, rate_hz = sizes_of(KNOWN[size], 16), KNOWN[size].sample_rate_hz
    return {"gpu": gpu, "tpu": tpu}[accelerator].table(sizes, counts, rate_hz)


def _shown(rows: Iterable[dict[str, Any]], heading: str) -> list[dict[str, Any]]:
    """The rows, each printed as it comes."""
    click.echo(heading)
    done = []
    for row in rows:
        click.echo(_line(row))
        done.append(row)
    return done


def _heading(report: dict[str, Any], *, soak: bool) -> str:
    peak = report["peak_gflops_fp32_per_core"]
    about = f"{report['cores']} cores, fp32 peak {'unknown' if peak is None else f'{peak:.0f} GFLOP/s each'}"
    if soak:
        return about
    return (
        f"{about}\n{'backend':8} {'size':6} {'weights':8} {'voices':>6} {'µs/step':>9} {'x real time':>12} "
        f"{'GFLOP/s':>8} {'of the fp32 peak':>17}"
    )


def _line(row: dict[str, Any]) -> str:
    if "error" in row:
        case = f"{row['backend']:8} {row['size']:6} {row['precision']:8} {row['voices']:6}"
        return f"{case}  could not be measured: {row['error']}"
    if "blocks" in row:
        return (
            f"{row['backend']}, {row['size']}, {row['precision']}, {row['voices']} voices, "
            f"{row['seconds']:.0f} s in real time: a block of {row['block_ms']:.1f} ms takes "
            f"{row['median_ms']:.2f} ms, 1 in 1000 more than {row['p999_ms']:.2f}, the worst {row['worst_ms']:.2f}; "
            f"{row['late']} of {row['blocks']} late"
        )
    line = (
        f"{row['backend']:8} {row['size']:6} {row['precision']:8} {row['voices']:6} {row['us_per_step']:9.1f} "
        f"{row['realtime_factor']:12.2f} {row['gflops']:8.1f} "
        + ("         unknown" if row["share_of_fp32_peak"] is None else f"{row['share_of_fp32_peak']:16.0%}")
    )
    if "kernel_us_per_step" in row:
        line += f"  kernel {row['kernel_us_per_step']:.1f} µs/step, a block {row['us_per_block']:.0f} µs beside it"
    return line


def _peak() -> float | None:
    """Of a core, in GFLOP/s; None without the CPU kernel, which measures it."""
    from synth.kernels import cpu

    try:
        return cpu.peak_gflops()
    except WavekeysError:
        return None


def _stream(size: str, voices: int, backend: str, precision: str) -> Stream:
    from flax import nnx

    from synth.stream import Stream
    from synth.wavenet import SIZES as KNOWN
    from synth.wavenet import WaveNet

    return Stream(WaveNet(KNOWN[size], rngs=nnx.Rngs(0)), voices=voices, backend=backend, precision=precision)


def _block(stream: Stream, samples: int) -> Block:
    """A block in the middle of a note, the same for every call: only the state moves on. On the kernel's own device."""
    import jax
    import jax.numpy as jnp

    from synth.kernels import Block

    voices = stream.voices
    z = jnp.zeros((voices, 2, stream.config.embedding_channels))
    pitch = jnp.full(voices, 220.0) if stream.config.clock_harmonics else None
    zeros = jnp.zeros(voices, jnp.int32)
    block = Block(
        conditioning=stream.conditioning(z, pitch),
        position=zeros,
        clock=jnp.broadcast_to(jnp.arange(samples, dtype=jnp.uint32) * jnp.uint32(59_055_800), (voices, samples)),
        begin=zeros,
        fresh=zeros,
        seed=jnp.arange(voices, dtype=jnp.uint32),
        temperature=jnp.full((voices, samples), 0.5),
    )
    return jax.device_put(block, stream.kernel.device())


class _Case:
    """A stream that has been compiled for its blocks, and the times that calls have taken."""

    def __init__(self, size: str, voices: int, backend: str, precision: str) -> None:
        self.stream = _stream(size, voices, backend, precision)
        accelerated = self.stream.kernel.platform not in (None, "cpu")
        lengths = (BLOCK, LONG_BLOCK) if accelerated else (BLOCK,)
        self.blocks = {length: _block(self.stream, length) for length in lengths}
        self.seconds: dict[int, list[float]] = {length: [] for length in lengths}  # a call, by the block's length
        for block in self.blocks.values():
            self.stream.advance(block).block_until_ready()

    def measure(self) -> None:
        for length, block in self.blocks.items():
            start, calls = time.perf_counter(), 0
            while calls < 3 or time.perf_counter() - start < SPAN_S:
                self.stream.advance(block).block_until_ready()
                calls += 1
            self.seconds[length].append((time.perf_counter() - start) / calls)

    def row(self, peak: float | None, threads: int) -> dict[str, Any]:
        call_s = {length: statistics.median(taken) for length, taken in self.seconds.items()}
        step_s, voices = call_s[BLOCK] / BLOCK, self.stream.voices
        gflops = 2e-9 * voices * self.stream.sizes.multiply_adds / step_s
        row = {
            "us_per_step": step_s * 1e6,
            "realtime_factor": 1.0 / (step_s * self.stream.config.sample_rate_hz),
            "gflops": gflops,
            "share_of_fp32_peak": None if peak is None else gflops / (peak * min(threads, voices)),
        }
        if LONG_BLOCK in call_s:
            kernel_s = (call_s[LONG_BLOCK] - call_s[BLOCK]) / (LONG_BLOCK - BLOCK)
            row["kernel_us_per_step"] = kernel_s * 1e6
            row["us_per_block"] = (call_s[BLOCK] - kernel_s * BLOCK) * 1e6
        return row


def _measure(size: str, counts: list[int], cases: list[tuple[str, str]], threads: int) -> Iterator[dict[str, Any]]:
    """A row for each case and number of voices. One that fails has an `error`, and the others go on."""
    for voices in counts:
        ready: dict[tuple[str, str], _Case] = {}
        for backend, precision in cases:
            try:
                ready[backend, precision] = _Case(size, voices, backend, precision)
            except _FAILURES as error:
                yield _row(size, voices, backend, precision) | {"error": first_line(error)}
        peaks = []
        for _ in range(REPEATS):
            peaks.append(_peak())
            for case in ready.values():
                case.measure()
        peak = statistics.median(known) if (known := [each for each in peaks if each is not None]) else None
        for (backend, precision), case in ready.items():
            yield _row(size, voices, backend, precision) | case.row(peak, threads)


def _row(size: str, voices: int, backend: str, precision: str) -> dict[str, Any]:
    return {"backend": backend, "size": size, "precision": precision, "voices": voices}


def _soak_all(size: str, counts: list[int], cases: list[tuple[str, str]], seconds: float) -> Iterator[dict[str, Any]]:
    for backend, precision in cases:
        for voices in counts:
            row = _row(size, voices, backend, precision)
            try:
                row |= _soak(_stream(size, voices, backend, precision), seconds)
            except _FAILURES as error:
                row["error"] = first_line(error)
            yield row


def _soak(stream: Stream, seconds: float) -> dict[str, Any]:
    """Play blocks when they are due, as the host does, and keep every block's time."""
    import numpy as np

    block = _block(stream, BLOCK)
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
        "seconds": seconds,
        "blocks": len(taken),
        "block_ms": period_s * 1e3,
        "median_ms": float(np.median(taken)) * 1e3,
        "p999_ms": float(np.quantile(taken, 0.999)) * 1e3,
        "worst_ms": float(taken.max()) * 1e3,
        "late": int((taken > period_s).sum()),
    }
