"""The GPU kernels: CUDA C++ behind the XLA FFI, one cooperative launch for a block of samples.

Reading order: `synth.kernels.ahead` (what XLA computes before), packing.py and problem.h (what is computed with),
team.h (what a GPU is, and how the tests do without), product.h, draw.h, chain.h (live sizes: layers along a chain of
processors), grid.h (the paper's: every layer over all of them), plan.h (which of the two, and how), handler.cpp
(shapes). floor.cu measures what bounds them, estimate.py works out what they should cost; docs/accelerators.md has the
pictures.
"""

from __future__ import annotations

import ctypes
import dataclasses
import functools
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from synth.errors import WavekeysError, first_line
from synth.kernels.ahead import Ahead, audio_of, first_rows, latest_first, look_ahead, ring
from synth.kernels.gpu.packing import DTYPES, GRANULE, Packed, pack
from synth.kernels.spec import HISTORY, Block, Sizes, State, Weights, check_room

_TARGET = "wavekeys_gpu_decode"
PRECISIONS = tuple(DTYPES)  # in the order of `Format` in problem.h
OLDEST = 8.0  # compute capability that the library is built for
KERNELS = ("any", "chain", "grid")  # in the order of `Kernel` in plan.h

__all__ = [
    "GRANULE",
    "KERNELS",
    "PRECISIONS",
    "Launch",
    "fastest",
    "generate",
    "load",
    "precisions",
    "prepare",
    "register",
    "score",
]


@functools.cache
def load() -> None:
    """Load the library and register its handler with XLA, once. Raises WavekeysError where nothing can run it."""
    try:
        jax.devices("cuda")
    except RuntimeError:
        raise WavekeysError(
            "JAX sees no NVIDIA GPU here: pip install 'jax[cuda13]' on a machine that has one"
        ) from None
    capability = jax.devices("cuda")[0].compute_capability
    if float(capability) < OLDEST:
        raise WavekeysError(f"the GPU kernel needs compute capability {OLDEST} (Ampere), this GPU has {capability}")
    # An editable install keeps the built library in site-packages, beside the sources' redirect.
    import synth.kernels.gpu as package

    paths = [path for folder in package.__path__ for path in sorted(Path(folder).glob("libwavekeys_gpu.*"))]
    if not paths:
        raise WavekeysError(
            "the GPU kernel was not built (no nvcc or GPU at install time): install CUDA 13, then wavekeys"
        )
    register(paths[0], "CUDA")


def register(path: Path, platform: str) -> None:
    """Register the handler in that library with XLA. The tests do so for one that emulates the GPU ("cpu")."""
    try:
        handler = ctypes.CDLL(str(path)).wavekeys_gpu_decode
        jax.ffi.register_ffi_target(_TARGET, jax.ffi.pycapsule(handler), platform=platform)
    except (OSError, AttributeError, RuntimeError) as error:  # no library, not ours, or of a newer XLA
        raise WavekeysError(f"the GPU kernel cannot be loaded: {first_line(error)}") from None


def precisions() -> tuple[str, ...]:
    """What the weights may be held in; activations and sums are fp32."""
    return PRECISIONS


def fastest() -> str:
    """The precision with the fewest bytes."""
    return "int8"


class Prepared(NamedTuple):
    """The reference's weights, for what is computed ahead, and the kernel's."""

    weights: Weights
    packed: Packed


def prepare(sizes: Sizes, weights: Weights, precision: str = "fp32") -> Prepared:
    """Lay the weights out for the kernel, once a stream; see `packing`.

    Raises WavekeysError for a model beyond what it has room for (`problem.h`).
    """
    check_room("gpu", ("layers", sizes.layers, 64))
    return Prepared(weights, jax.tree.map(jnp.asarray, pack(sizes, weights, precision)))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Launch:
    """How a block is laid over the GPU; what is 0 or "any" the kernel finds out."""

    kernel: str = "any"  # of KERNELS
    teams: int = 0  # blocks that run at once: one for each multiprocessor
    shared_bytes: int = 0  # of memory that each has for itself


def _call(
    sizes: Sizes, prepared: Prepared, state: State, block: Block, forced: Array | None, launch: Launch
) -> tuple[Ahead, State, tuple[Array, ...]]:
    """What was known ahead, the state after the block, and (value [T, V], outputs [T, V, O], prediction [T, V])."""
    ahead, after = look_ahead(sizes, prepared.weights, state, block)
    voices, samples = block.clock.shape
    scored = (samples, voices) if forced is not None else (0, 0)
    packed = prepared.packed
    results = tuple(
        jax.ShapeDtypeStruct(shape, jnp.float32)
        for shape in (
            (samples, voices),
            state.cache.shape,
            (voices, HISTORY),
            (*scored, sizes.outputs),
            scored,
        )
    )
    arguments = (
        *jax.tree.leaves(packed),
        *ahead,
        first_rows(sizes, state.step),
        jnp.zeros((0, 0)) if forced is None else forced.T,
        state.cache,
        latest_first(state.history, state.step),
    )
    words = packed.current.words.shape[0] * packed.current.words.dtype.itemsize
    width = words * 8 // (sizes.layers * 2 * sizes.residual**2)  # bits of a weight
    numbers = {
        "format": {32: 0, 16: 1, 8: 2}[width],
        "kernel": KERNELS.index(launch.kernel),
        "teams": launch.teams,
        "shared_bytes": launch.shared_bytes,
        "taps": sizes.filter_width,
        "residual": sizes.residual,
        "skip": sizes.skip,
        "outputs": sizes.outputs,
        "input_taps": sizes.input_taps,
        "mixtures": sizes.mixtures,
        "prediction_order": sizes.prediction_order,
        "voices": voices,
        "samples": samples,
    }
    count = len(arguments)
    call = jax.ffi.ffi_call(_TARGET, results, input_output_aliases={count - 2: 1, count - 1: 2})
    value, cache, recent, outputs, prediction = call(
        *arguments,
        **{name: np.int64(number) for name, number in numbers.items()},
        dilations=np.array(sizes.dilations, np.int64),
    )
    return ahead, State(cache, ring(recent, after.step), *after), (value, outputs, prediction)


@functools.partial(jax.jit, static_argnums=0, donate_argnums=2, static_argnames="launch")
def generate(
    sizes: Sizes, prepared: Prepared, state: State, block: Block, *, launch: Launch = Launch()
) -> tuple[Array, State]:
    """As `synth.kernels.reference.generate`, with prepared weights."""
    ahead, moved, (value, _, _) = _call(sizes, prepared, state, block, None, launch)
    return audio_of(sizes, ahead, value), moved


@functools.partial(jax.jit, static_argnums=0, donate_argnums=2, static_argnames="launch")
def score(
    sizes: Sizes, prepared: Prepared, state: State, block: Block, forced: Array, *, launch: Launch = Launch()
) -> tuple[Array, Array, State]:
    """As `synth.kernels.reference.score`, with prepared weights."""
    _, moved, (_, outputs, prediction) = _call(sizes, prepared, state, block, forced, launch)
    return outputs.swapaxes(0, 1), prediction.T, moved
