"""The decoder without Python around it: under sanitizers, on an emulated processor, and with allocations counted."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from synth import SIZES, WaveNet, kernels
from synth.kernels import Block, cpu, initial_state, reference
from synth.kernels.cpu.packing import pack
from synth.stream import conditioning, conditioning_weights_of, sizes_of, weights_of

from .conftest import instruction_sets_here

SOURCES = Path(kernels.__file__).parent / "cpu"
BASE = ["-std=c++20", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math", "-w"]
AVX512 = ["-mavx512f", "-mavx512dq", "-mavx512vl", "-mavx512bw", "-mfma", "-mprefer-vector-width=512"]
DECODERS = {  # each defines a variant
    "decoder_portable.cpp": ("portable_fp32", []),
    "decoder_avx2.cpp": ("avx2_fp32", ["-mavx2", "-mfma"]),
    "decoder_avx2_bf16.cpp": ("avx2_bf16", ["-mavx2", "-mfma"]),
    "decoder_avx2_int8.cpp": ("avx2_int8", ["-mavx2", "-mfma"]),
    "decoder_avx2_int16.cpp": ("avx2_int16", ["-mavx2", "-mfma"]),
    "decoder_avx512.cpp": ("avx512_fp32", AVX512),
    "decoder_avx512_bf16.cpp": ("avx512_bf16", AVX512),
    "decoder_avx512_bf16_pairs.cpp": ("avx512_bf16_pairs", [*AVX512, "-mavx512bf16"]),
    "decoder_avx512_int8.cpp": ("avx512_int8", [*AVX512, "-mavx512vnni"]),
    "decoder_amx_bf16.cpp": ("amx_bf16", [*AVX512, "-mavx512bf16", "-mamx-bf16"]),
}
VOICES, SAMPLES = 11, 70
SHAPES = {
    "live": dataclasses.replace(SIZES["live"], layers=7, dilation_cycle=5, residual=48, skip=96, hop=40),
    "paper": dataclasses.replace(SIZES["paper"], layers=6, dilation_cycle=4, residual=64, skip=80, hop=40),
}
# Of outputs of about 1; measured: 1e-6, 8e-3, 3e-2, 1e-3.
TOLERANCE = {"fp32": 2e-5, "bf16": 0.03, "int8": 0.1, "int16": 0.004}


def needs(program: str) -> None:
    """A failure on CI and a skip elsewhere."""
    if shutil.which(program) is None:
        if os.environ.get("CI"):
            pytest.fail(f"{program} is not installed")
        pytest.skip(f"{program} is not installed")


@pytest.fixture(scope="session")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Path]:
    """A problem of each size and precision, with the reference's outputs: voices that begin at different samples."""
    folder = tmp_path_factory.mktemp("recordings")
    return {
        (size, precision): record(size, precision, folder / f"{size}-{precision}.bin")
        for size in SHAPES
        for precision in cpu.PRECISIONS
    }


def record(size: str, precision: str, path: Path) -> Path:
    model = WaveNet(SHAPES[size], rngs=nnx.Rngs(5))
    sizes = sizes_of(model.config, cpu.GRANULE)
    weights = weights_of(model, sizes)
    rng = np.random.default_rng(2)
    z = rng.normal(scale=0.5, size=(VOICES, 3, 16)).astype(np.float32)
    z[..., 0] = 0.5
    pitch = jnp.linspace(80.0, 900.0, VOICES) if size == "live" else None
    # One after the other, so that more and more sound together; the last one never begins.
    begin = np.minimum(np.arange(VOICES) * 7, SAMPLES).astype(np.int32)
    block = Block(
        conditioning=conditioning(model.config, sizes, conditioning_weights_of(model, sizes), jnp.asarray(z), pitch),
        position=jnp.asarray(-begin),
        clock=jnp.asarray(rng.integers(2**32, size=(VOICES, SAMPLES), dtype=np.uint32)),
        begin=jnp.asarray(begin),
        fresh=jnp.ones(VOICES, jnp.int32),
        seed=jnp.arange(VOICES, dtype=jnp.uint32),
        temperature=jnp.full((VOICES, SAMPLES), 0.5),
    )
    forced = jnp.asarray(rng.normal(scale=0.3, size=(VOICES, SAMPLES)).astype(np.float32))
    outputs, _, _ = reference.score(sizes, weights, initial_state(sizes, VOICES), block, forced)
    heard = np.arange(SAMPLES)[None, :, None] >= begin[:, None, None]
    packed = pack(sizes, weights, precision)
    numbers = [
        *(cpu.PRECISIONS.index(precision), VOICES, SAMPLES, z.shape[1], sizes.layers, sizes.filter_width),
        *(sizes.residual, sizes.skip, sizes.outputs, len(packed.logits_bias), sizes.input_taps, sizes.clock_harmonics),
        *(sizes.hop, int(sizes.smooth), sizes.mixtures, sizes.prediction_order, sizes.harmonics, *sizes.dilations),
    ]
    arrays = [np.array(numbers, np.int64), *jax.tree.leaves(packed), *map(np.asarray, (*block, forced))]
    arrays += [np.where(heard, outputs, 0.0), np.array([TOLERANCE[precision]], np.float32)]
    with path.open("wb") as file:
        for array in arrays:
            file.write(np.int64(array.nbytes).tobytes() + array.tobytes())
    return path


def runs_here(flags: list[str]) -> bool:
    """Whether this processor has the instructions that these flags of the compiler allow."""
    listed = Path("/proc/cpuinfo")
    known = set(listed.read_text().replace("_", "").split()) if listed.is_file() else set()
    asked = (flag.removeprefix("-m").replace("-", "") for flag in flags if not flag.startswith("-mprefer"))
    return all(name in known for name in asked)


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Compiles the replay program with more flags, for another processor if need be.

    Decoders that could not run here are left empty: compiling them takes most of the time.
    """

    def compile_with(*flags: str, compiler: str = "g++", portable: bool = False) -> Path:
        needs(compiler)
        folder = tmp_path_factory.mktemp("replay")
        # Behind all else: beside it run tests that play.
        common = ["nice", "-n", "19", compiler, *BASE, *flags, f"-I{SOURCES}"]
        wanted = {name: own for name, (_, own) in DECODERS.items() if (not own if portable else runs_here(own))}
        sources = {SOURCES / name: own for name, own in wanted.items()}
        empty = folder / "empty.cpp"
        missing = [] if portable else [variant for name, (variant, _) in DECODERS.items() if name not in wanted]
        definitions = " ".join(f"const Variant {variant}{{}};" for variant in missing)
        empty.write_text(f'#include "variant.h"\nnamespace wavekeys {{ {definitions} }}\n')
        plain = [*(SOURCES / name for name in ("decode.cpp", "pool.cpp", "variants.cpp")), empty]
        sources |= {source: [] for source in (*plain, Path(__file__).parent / "replay.cpp")}
        objects = [folder / f"{source.stem}.o" for source in sources]
        commands = [
            [*common, *own, "-c", str(source), "-o", str(target)]
            for (source, own), target in zip(sources.items(), objects, strict=True)
        ]
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as jobs:
            assert not any(jobs.map(subprocess.call, commands))
        subprocess.run([*common, *map(str, objects), "-pthread", "-o", str(folder / "replay")], check=True)
        return folder / "replay"

    return compile_with


def run(program: Path, *arguments: str | Path, prefix: tuple[str, ...] = (), **environment: str) -> str:
    done = subprocess.run(
        [*prefix, program, *arguments], env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    assert done.returncode in (0, 3), done.stdout + done.stderr  # 3: this processor lacks that precision
    return done.stdout


@pytest.mark.parametrize("sanitizer", ["address,undefined", "thread"])
def test_the_decoder_is_clean_under_sanitizers(sanitizer: str, build: Callable[..., Path], recordings) -> None:
    program = build("-O0", "-g1", f"-fsanitize={sanitizer}", "-fno-sanitize-recover=all")
    for recording in recordings.values():
        for instructions in instruction_sets_here():
            run(program, recording, WAVEKEYS_ISA=instructions, WAVEKEYS_THREADS="3")
    # All on one thread: they fill a group of 8, before ten of them go in two of 5.
    run(program, recordings["live", "fp32"], WAVEKEYS_THREADS="1")


def test_the_portable_decoder_is_right_on_another_processor(build: Callable[..., Path], recordings) -> None:
    needs("qemu-aarch64")
    program = build("-O2", "-static", compiler="aarch64-linux-gnu-g++", portable=True)
    for (_, precision), recording in recordings.items():
        said = run(program, recording, prefix=("qemu-aarch64",), WAVEKEYS_THREADS="2")
        assert said.startswith("portable: worst error" if precision == "fp32" else "not supported here")


@pytest.fixture(scope="session")
def plain(build: Callable[..., Path]) -> Path:
    return build("-O0", "-DWAVEKEYS_MALLOC_HOOK")


def test_playing_allocates_nothing(plain: Path, recordings) -> None:
    for recording in recordings.values():
        run(plain, recording, "allocate", WAVEKEYS_THREADS="2")


def test_threads_sleep_while_nothing_plays(plain: Path, recordings) -> None:
    run(plain, recordings["live", "fp32"], "idle", WAVEKEYS_THREADS="4")
