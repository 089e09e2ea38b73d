"""The GPU kernels compute what the reference does: as plain C++, a thread for each block, or on a GPU."""

from __future__ import annotations

import _ctypes
import ctypes
import dataclasses
import functools
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import jax
import jaxlib
import numpy as np
import pytest

from synth import SIZES, WavekeysError, kernels
from synth.kernels import gpu
from synth.kernels.gpu import estimate
from synth.stream import sizes_of

from .conftest import VOICES

SOURCES = Path(kernels.__file__).parent / "gpu"
FLAGS = ["g++", "-std=c++20", "-Wall", "-Wextra", "-pthread", f"-I{SOURCES}"]
# Several links or teams, each with little memory: what a small GPU would be.
CHAIN_BYTES = {
    "paper": {"fp32": 63_000, "bf16": 57_000, "int8": 53_000},
    "live": {"fp32": 26_000, "bf16": 20_000, "int8": 16_000},
}
KERNELS = ("chain", "grid")
GPU_HERE = "gpu" in kernels.available()
LAYOUTS = ("small", "whole") if GPU_HERE else ("small",)
TOLERANCE = {"fp32": 1e-5, "bf16": 1e-2, "int8": 2e-2}  # of the largest output; measured: 3e-7, 3e-3, 6e-3


@pytest.fixture(scope="session")
def launch(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., gpu.Launch]:
    """How to run a kernel: on a small GPU, emulated where there is none, or where there is one on the whole of it."""

    def of(kernel: str, kind: str, layout: str = "small", precision: str = "fp32") -> gpu.Launch:
        if layout == "whole":
            return gpu.Launch(kernel=kernel)
        if kernel == "grid":
            return gpu.Launch(kernel=kernel, teams=4, shared_bytes=60_000)
        return gpu.Launch(kernel=kernel, teams=3, shared_bytes=CHAIN_BYTES[kind][precision])

    if GPU_HERE:
        return of
    folder = tmp_path_factory.mktemp("emulation")
    include = Path(jaxlib.__file__).parent / "include"
    common = [*FLAGS, "-O1", "-fPIC", "-DWAVEKEYS_EMULATED", "-isystem", str(include)]
    sources = [str(SOURCES / name) for name in ("handler.cpp", "emulate.cpp")]
    jobs = [subprocess.Popen([*common, "-c", source, "-o", str(folder / Path(source).stem)]) for source in sources]
    assert [job.wait() for job in jobs] == [0, 0]
    objects = [str(folder / Path(source).stem) for source in sources]
    subprocess.run([*common, "-shared", *objects, "-o", str(folder / "emulated.so")], check=True)
    gpu.register(folder / "emulated.so", "cpu")
    return of


@pytest.mark.parametrize("voices", [1, VOICES])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("kind", ["paper", "live"])
def test_the_same_samples_are_drawn_as_by_the_reference(
    kind: str, kernel: str, layout: str, voices: int, launch, tiny_problem
) -> None:
    problem = tiny_problem(kind) if voices > 1 else tiny_problem(kind).alone()
    generate = functools.partial(gpu.generate, launch=launch(kernel, kind, layout))
    audio, state = problem.generate(generate, gpu.prepare(problem.sizes, problem.weights))
    assert np.abs(problem.audio).max() > 5e-3
    np.testing.assert_allclose(audio, problem.audio, rtol=0, atol=1e-6)  # measured: 0 paper, 1e-9 live
    np.testing.assert_array_equal(state.age, problem.state.age)
    np.testing.assert_array_equal(state.step, problem.state.step)


@pytest.mark.parametrize("voices", [1, VOICES])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("precision", gpu.PRECISIONS)
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("kind", ["paper", "live"])
def test_samples_are_scored_as_by_the_reference(
    kind: str, kernel: str, precision: str, layout: str, voices: int, launch, tiny_problem
) -> None:
    problem = tiny_problem(kind) if voices > 1 else tiny_problem(kind).alone()
    score = functools.partial(gpu.score, launch=launch(kernel, kind, layout, precision))
    outputs, prediction = problem.score(score, gpu.prepare(problem.sizes, problem.weights, precision))
    allowed = TOLERANCE[precision] * np.abs(problem.outputs).max()
    np.testing.assert_allclose(outputs, problem.outputs, rtol=0, atol=allowed)
    np.testing.assert_allclose(prediction, problem.prediction, rtol=0, atol=1e-6)  # measured: 3e-8


@pytest.mark.parametrize("kernel", KERNELS)
def test_what_is_not_a_number_is_heard_as_such(kernel: str, launch, tiny_problem) -> None:
    problem = tiny_problem("live").broken()
    generate = functools.partial(gpu.generate, launch=launch(kernel, "live"))
    audio, _ = problem.generate(generate, gpu.prepare(problem.sizes, problem.weights))
    assert np.isnan(audio[problem.heard]).all()


def test_more_layers_than_there_is_room_for_are_refused_beforehand(tiny_problem) -> None:
    problem = tiny_problem("live")
    sizes = dataclasses.replace(problem.sizes, dilations=(1,) * 65)
    with pytest.raises(WavekeysError, match="backend gpu plays models of up to 64 layers, not 65; try --backend jax"):
        gpu.prepare(sizes, problem.weights)


def test_too_small_a_gpu_is_refused_before_anything_runs(launch, tiny_problem) -> None:
    problem = tiny_problem("live")
    small = dataclasses.replace(launch("chain", "live"), teams=2, shared_bytes=9_000)
    generate = functools.partial(gpu.generate, launch=small)
    with pytest.raises(jax.errors.JaxRuntimeError, match="too few processors, or too little memory"):
        problem.generate(generate, gpu.prepare(problem.sizes, problem.weights))


@pytest.mark.skipif(GPU_HERE, reason="there is a GPU")
def test_a_machine_without_a_gpu_is_told_so() -> None:
    with pytest.raises(WavekeysError, match="JAX sees no NVIDIA GPU here"):
        kernels.backend("gpu")


def test_a_library_that_is_none_or_not_ours_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty.so").touch()
    for path in (tmp_path / "missing.so", tmp_path / "empty.so", Path(_ctypes.__file__)):
        with pytest.raises(WavekeysError, match=r"^the GPU kernel cannot be loaded: .+$"):
            gpu.register(path, "cpu")


def test_a_library_built_for_a_newer_jax_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("API version (0.4) is incompatible with the runtime's (0.3)\nand more")

    monkeypatch.setattr(ctypes, "CDLL", lambda _: SimpleNamespace(wavekeys_gpu_decode=None))
    monkeypatch.setattr(jax.ffi, "pycapsule", lambda _: None)
    monkeypatch.setattr(jax.ffi, "register_ffi_target", refuse)
    with pytest.raises(WavekeysError, match=r"^the GPU kernel cannot be loaded: API version \(0.4\) [^\n]*$"):
        gpu.register(Path("newer.so"), "cpu")


@pytest.fixture(scope="session")
def races(tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = tmp_path_factory.mktemp("races") / "races"
    sources = [str(SOURCES / "emulate.cpp"), str(Path(__file__).parent / "races.cpp")]
    sanitizer = ["-fsanitize=thread", "-fno-sanitize-recover=all"]
    subprocess.run([*FLAGS, "-O1", "-g", *sanitizer, *sources, "-o", str(program)], check=True)
    return program


def test_blocks_meet_by_flags_alone_and_both_kernels_agree(races: Path) -> None:
    done = subprocess.run([races], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("worst difference")


def test_an_h100_holds_the_live_sizes_in_chains_and_spreads_the_paper_over_all_processors(races: Path) -> None:
    h100 = estimate.GPUS[0]
    problems, expected = [], []
    for size, precision, voices in (
        ("live", "bf16", 64),
        ("large", "bf16", 64),
        ("large", "int8", 1),
        ("paper", "int8", 1),
    ):
        s = sizes_of(SIZES[size], gpu.GRANULE)
        numbers = [gpu.PRECISIONS.index(precision), s.layers, s.filter_width, s.residual, s.skip, s.outputs, voices]
        problems.append(" ".join(map(str, [*numbers, h100.processors, h100.shared_bytes])))
        expected.append(estimate.estimate(h100, s, precision, voices).kernel)
    done = subprocess.run([races, "plan"], input="\n".join(problems), capture_output=True, text=True, check=True)
    planned = [line.split() for line in done.stdout.splitlines()]
    assert [f"{kernel} of {count}" for kernel, _, count, *_ in planned] == expected
    assert expected == ["chain of 4", "chain of 11", "chain of 5", "grid of 128"]


def test_a_step_of_the_paper_size_is_bound_by_flags_for_one_voice_and_by_products_for_eight() -> None:
    sizes = sizes_of(SIZES["paper"])
    one, eight = (estimate.estimate(estimate.GPUS[0], sizes, "int8", voices) for voices in (1, 8))
    assert one.hops_us > one.products_us
    assert eight.products_us > eight.hops_us
    assert one.step_us < 62.5 < eight.step_us, "eight in real time need the tensor cores"
