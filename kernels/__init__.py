"""The incremental decoder's kernels. They know arrays and sizes only.

`spec` says what they compute with, `reference` (pure JAX) what they compute; `cpu`, `gpu` and `tpu` compute the same
faster. `backend(name)` gives a module-like object with `generate` and `score`.
"""

from synth.kernels.backends import PRECISIONS, Backend, available, backend
from synth.kernels.spec import Block, Sizes, State, Weights, initial_state

__all__ = ["PRECISIONS", "Backend", "Block", "Sizes", "State", "Weights", "available", "backend", "initial_state"]
