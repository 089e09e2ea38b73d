"""The table of backends: who can decode here, and which one `auto` takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from jax import Array

from synth.errors import UsageError, WavekeysError
from synth.kernels import reference
from synth.kernels.spec import Block, Sizes, State, Weights

NAMES = ("auto", "cpu", "gpu", "tpu", "jax")


PRECISIONS = ("auto", "fp32", "bf16", "int8", "int16")


class Backend(NamedTuple):
    """One way to run the decoder; signatures as in `synth.kernels.reference`, with weights that `prepare` laid out."""

    name: str
    platform: str | None  # of the device that it runs on, as JAX names it; None: JAX's own choice
    granule: int  # residual, skip and harmonics must be multiples of this
    precisions: Callable[[], tuple[str, ...]]  # what it can compute in here
    fastest: Callable[[], str]  # of these; measurements cannot tell any from fp32 by its sound (docs/kernel.md)
    prepare: Callable[[Sizes, Weights, str], Any]
    generate: Callable[[Sizes, Any, State, Block], tuple[Array, State]]
    score: Callable[[Sizes, Any, State, Block, Array], tuple[Array, Array, State]]

    def device(self) -> jax.Device | None:
        """Where its arrays must lie; None: anywhere."""
        return jax.devices(self.platform)[0] if self.platform else None

    def choose(self, precision: str) -> str:
        """The precision to compute in: the one asked for, or for "auto" the fastest that sounds the same."""
        if precision == "auto":
            return self.fastest()
        if precision not in PRECISIONS:
            raise UsageError(f"unknown precision {precision!r}; one of {', '.join(PRECISIONS)}")
        if precision not in (able := self.precisions()):
            raise WavekeysError(f"backend {self.name} cannot compute in {precision} here; it can in {', '.join(able)}")
        return precision


def _jax() -> Backend:
    def prepare(_: Sizes, weights: Weights, __: str) -> Weights:
        return weights

    return Backend("jax", None, 1, lambda: ("fp32",), lambda: "fp32", prepare, reference.generate, reference.score)


def _cpu() -> Backend:
    from synth.kernels import cpu

    cpu.load()
    return Backend("cpu", "cpu", cpu.GRANULE, cpu.precisions, cpu.fastest, cpu.prepare, cpu.generate, cpu.score)


def _gpu() -> Backend:
    from synth.kernels import gpu

    gpu.load()
    return Backend("gpu", "cuda", gpu.GRANULE, gpu.precisions, gpu.fastest, gpu.prepare, gpu.generate, gpu.score)


def _tpu() -> Backend:
    from synth.kernels import tpu

    tpu.load()
    return Backend("tpu", "tpu", tpu.GRANULE, tpu.precisions, tpu.fastest, tpu.prepare, tpu.generate, tpu.score)


# In the order in which they are tried and listed.
_MAKERS: dict[str, Callable[[], Backend]] = {"gpu": _gpu, "tpu": _tpu, "cpu": _cpu, "jax": _jax}


def backend(name: str = "auto") -> Backend:
    """The backend of that name; "auto" is the compiled CPU kernel, or pure JAX where that was not built.

    A stream's "auto" compares accelerators with it: `synth.stream.choose`.
    """
    if name not in NAMES:
        raise UsageError(f"unknown backend {name!r}; one of {', '.join(NAMES)}")
    if name != "auto":
        return _MAKERS[name]()
    return _made("cpu") or _jax()


def available() -> tuple[str, ...]:
    """The backends that work here, accelerators first, pure JAX last."""
    return tuple(name for name in _MAKERS if _made(name))


def _made(name: str) -> Backend | None:
    """The backend of that name; None where it does not work here. What was asked for wrongly is an error still."""
    try:
        return _MAKERS[name]()
    except UsageError:
        raise
    except WavekeysError:
        return None
