"""The TPU kernel, in Pallas: a whole block of all voices in one call, with weights, caches and time on the chip.

Reading order: `synth.kernels.ahead` (what XLA computes before), decode.py (the walk through time), draw.py (a sample
from the head's outputs), estimate.py (what it should cost; `wavekeys bench --estimate tpu`). No TPU has run it
yet: the tests run it in Pallas' interpreter, and docs/accelerators.md says what else was checked.
"""

from __future__ import annotations

import jax

from synth.errors import WavekeysError
from synth.kernels.tpu.decode import Packed, generate, prepare, score

PRECISIONS = ("fp32", "bf16")
GRANULE = 16  # widths are padded to multiples of this

__all__ = ["GRANULE", "PRECISIONS", "Packed", "fastest", "generate", "load", "precisions", "prepare", "score"]


def load() -> None:
    """Raises WavekeysError where JAX sees no TPU."""
    if jax.default_backend() != "tpu":
        raise WavekeysError("JAX sees no TPU here: pip install 'jax[tpu]' on a machine that has one")


def precisions() -> tuple[str, ...]:
    """What the kernel computes in: the weights' and activations' type; sums are fp32."""
    return PRECISIONS


def fastest() -> str:
    """The precision that the matrix unit multiplies in."""
    return "bf16"
