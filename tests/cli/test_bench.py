"""What `wavekeys bench` makes of its measurements; `test_render.py` runs it as a user does."""

from __future__ import annotations

import dataclasses

import pytest
from click.testing import CliRunner
from flax import nnx

from synth import SIZES, UsageError, WaveNet
from synth.cli import bench
from synth.stream import Stream


def test_bench_goes_on_after_a_case_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def stream(size: str, voices: int, backend: str, precision: str) -> Stream:
        if voices == 2:
            raise RuntimeError("RESOURCE_EXHAUSTED: too many voices\nand more")
        model = WaveNet(dataclasses.replace(SIZES[size], layers=2), rngs=nnx.Rngs(0))
        return Stream(model, voices=voices, backend=backend, precision=precision)

    monkeypatch.setattr(bench, "_stream", stream)
    done = CliRunner().invoke(bench.command, ["--voices", "1,2,3", "--backend", "cpu"])
    cases = [line.split()[:4] for line in done.stdout.splitlines()[2:]]
    assert cases == [["cpu", "live", "fp32", voices] for voices in "123"]
    assert "  could not be measured: RESOURCE_EXHAUSTED: too many voices\n" in done.stdout
    assert str(done.exception) == "1 of 3 could not be measured"


def test_bench_tells_a_kernel_s_time_from_a_block_s() -> None:
    case = object.__new__(bench._Case)
    model = WaveNet(dataclasses.replace(SIZES["live"], layers=2), rngs=nnx.Rngs(0))
    case.stream = Stream(model, voices=1, backend="jax")
    case.seconds = {bench.BLOCK: [840e-6] * 3, bench.LONG_BLOCK: [5960e-6] * 3}
    row = case.row(None, 1)
    assert (row["kernel_us_per_step"], row["us_per_block"]) == pytest.approx((10.0, 200.0))


@pytest.mark.parametrize("option", [("--json",), ("--soak", "3"), ("--precision", "bf16"), ("--backend", "cpu")])
def test_an_estimate_is_refused_beside_what_it_would_not_heed(option: tuple[str, ...]) -> None:
    done = CliRunner().invoke(bench.command, ["--estimate", "gpu", *option])
    assert isinstance(done.exception, UsageError)
    assert "goes with --size and --voices alone" in str(done.exception)


def test_an_estimate_of_what_the_kernel_refuses_says_so() -> None:
    done = CliRunner().invoke(bench.command, ["--estimate", "tpu", "--size", "large", "--voices", "8,64"])
    fits = {line.split()[2] for line in done.stdout.splitlines()[1:] if "too large" not in line}
    assert fits == {"8"}
