"""The fused CPU kernel: C++ behind the XLA FFI, in a shared library that knows no Python.

Reading order: packing.py (the weights' layout), problem.h (what is computed with), vector.inc, product.inc, amx.inc and
operand.inc (products in each precision), layer.inc (a layer), sampling.inc, decoder.inc (a group of voices through a
stretch of samples), variants.cpp (choice of instruction set), decode.cpp and pool.h (a block over threads), handler.cpp
and kernels/reader.h (shapes). Environment: WAVEKEYS_ISA=amx|avx512bf16|avx512|avx2|portable forces an instruction set,
WAVEKEYS_THREADS sets how many threads share a block.
"""

from __future__ import annotations

import ctypes
import functools
import os
import time
from collections.abc import Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from synth.errors import UsageError, WavekeysError
from synth.kernels.cpu.packing import DTYPES, STRIP, Packed, pack
from synth.kernels.spec import Block, Sizes, State, Weights, check_room

_TARGET = "wavekeys_decode"
PRECISIONS = tuple(DTYPES)  # in the order of `Precision` in problem.h
INSTRUCTION_SETS = ("amx", "avx512bf16", "avx512", "avx2", "portable")
GRANULE = STRIP  # widths are padded to multiples of this


def _library_path() -> Path | None:
    # An editable install keeps the built library in site-packages, beside the sources' redirect.
    import synth.kernels.cpu as package

    for folder in package.__path__:
        for path in sorted(Path(folder).glob("libwavekeys_cpu.*")):
            return path
    return None


@functools.cache
def load() -> ctypes.CDLL:
    """Load the library and register its handler with XLA, once. Raises WavekeysError where it was not built, and
    UsageError where the environment asks for what no processor has."""
    asked, threads = os.environ.get("WAVEKEYS_ISA"), os.environ.get("WAVEKEYS_THREADS")
    if asked and asked not in INSTRUCTION_SETS:
        raise UsageError(f"WAVEKEYS_ISA={asked}: one of {', '.join(INSTRUCTION_SETS)}")
    if threads and not (threads.isascii() and threads.isdigit() and int(threads)):
        raise UsageError(f"WAVEKEYS_THREADS={threads}: a whole number, 1 or more")
    path = _library_path()
    if path is None:
        raise WavekeysError(
            "the CPU kernel was not built (no C++ compiler at install time): apt install g++ and install again"
        )
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        raise WavekeysError(f"the CPU kernel cannot be loaded: {error}") from None
    jax.ffi.register_ffi_target(_TARGET, jax.ffi.pycapsule(library.wavekeys_decode), platform="cpu")
    library.wavekeys_isa.restype = ctypes.c_char_p
    library.wavekeys_supports.argtypes = [ctypes.c_int]
    library.wavekeys_peak.argtypes, library.wavekeys_peak.restype = [ctypes.c_int, ctypes.c_int64], ctypes.c_double
    return library


def instruction_set() -> str:
    """The instruction set that the kernel runs with here."""
    return load().wavekeys_isa().decode()


def precisions() -> tuple[str, ...]:
    """What this processor can compute in, of "fp32", "bf16", "int8" and "int16"."""
    library = load()
    return tuple(name for index, name in enumerate(PRECISIONS) if library.wavekeys_supports(index))


def fastest() -> str:
    """The precision in which this processor decodes fastest."""
    return PRECISIONS[load().wavekeys_fastest()]


def peak_gflops(precision: str = "fp32") -> float:
    """The multiply-add peak of one core in that precision, as measured now: the best of some runs."""
    library = load()
    best = 0.0
    for _ in range(20):
        start = time.perf_counter()
        operations = library.wavekeys_peak(PRECISIONS.index(precision), 2_000_000)
        best = max(best, operations / (time.perf_counter() - start) / 1e9)
    return best


def prepare(sizes: Sizes, weights: Weights, precision: str = "fp32") -> Packed:
    """Lay the weights out for the C++, once a stream; see `packing`.

    Raises WavekeysError for a model beyond what the C++ has room for (`problem.h`).
    """
    check_room(
        "cpu",
        ("layers", sizes.layers, 64),
        ("residual channels", sizes.residual, 1024),
        ("skip channels", sizes.skip, 1024),
        ("input taps and clock channels", sizes.input_taps + 2 * sizes.clock_harmonics, 256),
        ("harmonics", sizes.harmonics, 256),
        ("outputs", sizes.outputs, 256),
    )
    return jax.tree.map(jnp.asarray, pack(sizes, weights, precision))


def _call(sizes: Sizes, weights: Packed, state: State, block: Block, forced: Array | None) -> Sequence[Array]:
    voices, samples = block.clock.shape
    scored = (voices, samples) if forced is not None else (0, 0)
    results = (
        jax.ShapeDtypeStruct((voices, samples), jnp.float32),
        *(jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in state),
        jax.ShapeDtypeStruct((*scored, sizes.outputs), jnp.float32),
        jax.ShapeDtypeStruct(scored, jnp.float32),
    )
    numbers = {
        "precision": list(DTYPES.values()).index(weights.out1.words.dtype),
        "taps": sizes.filter_width,
        "residual": sizes.residual,
        "skip": sizes.skip,
        "outputs": sizes.outputs,
        "padded_outputs": weights.logits_bias.shape[0],
        "input_taps": sizes.input_taps,
        "clock_harmonics": sizes.clock_harmonics,
        "hop": sizes.hop,
        "smooth": sizes.smooth,
        "mixtures": sizes.mixtures,
        "prediction_order": sizes.prediction_order,
        "harmonics": sizes.harmonics,
        "voices": voices,
        "samples": samples,
        "frames": block.conditioning.shape[1],
    }
    flat = jax.tree.leaves(weights)
    first_state = len(flat)
    call = jax.ffi.ffi_call(
        _TARGET, results, input_output_aliases={first_state + i: 1 + i for i in range(len(State._fields))}
    )
    return call(
        *flat,
        *state,
        *block,
        jnp.zeros((0, 0)) if forced is None else forced,
        **{name: np.int64(number) for name, number in numbers.items()},
        dilations=np.array(sizes.dilations, np.int64),
    )


@functools.partial(jax.jit, static_argnums=0, donate_argnums=2)
def generate(sizes: Sizes, weights: Packed, state: State, block: Block) -> tuple[Array, State]:
    """As `synth.kernels.reference.generate`, with prepared weights."""
    audio, *moved, _, _ = _call(sizes, weights, state, block, None)
    return audio, State(*moved)


@functools.partial(jax.jit, static_argnums=0, donate_argnums=2)
def score(sizes: Sizes, weights: Packed, state: State, block: Block, forced: Array) -> tuple[Array, Array, State]:
    """As `synth.kernels.reference.score`, with prepared weights."""
    _, *moved, outputs, prediction = _call(sizes, weights, state, block, forced)
    return outputs, prediction, State(*moved)
