"""The devices that a run uses: each takes a part of every batch, and all hold the weights.

One process sees all devices of its machine. Several, each with devices of its own and perhaps on other machines, find
each other by `join`; then every array here is one that spans them all.
"""

from __future__ import annotations

import math
from typing import TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from synth.errors import UsageError, WavekeysError

Tree = TypeVar("Tree")

PEAK_TFLOPS: dict[str, dict[str, float]] = {
    "H100": {"bf16": 989.0, "fp32": 494.5},
    "H200": {"bf16": 989.0, "fp32": 494.5},
    "A100": {"bf16": 312.0, "fp32": 156.0},
    "L4": {"bf16": 121.0, "fp32": 60.0},
}
"""Dense matrix products by part of the device's name, from NVIDIA's data sheets (SXM). fp32 is TF32, JAX's default."""


def join(coordinator: str, processes: int, process: int) -> None:
    """Make this one of several processes that train together; before JAX is used. All write to the same folder."""
    if not 0 <= process < processes:
        raise UsageError(f"--process is 0 to {processes - 1} for {processes} processes, not {process}")
    try:
        jax.distributed.initialize(coordinator, processes, process)
    except (RuntimeError, ValueError) as error:
        raise WavekeysError(f"cannot reach the other processes at {coordinator}: {error}") from None


class Devices:
    """The devices among which a batch divides."""

    def __init__(self, batch: int) -> None:
        available = jax.devices()
        if jax.process_count() > 1 and batch % len(available):
            raise WavekeysError(
                f"[training] batch {batch} does not divide among {len(available)} devices of {jax.process_count()} "
                f"processes; give a multiple of {len(available)}"
            )
        self.used = available[: math.gcd(batch, len(available))]
        mesh = Mesh(np.array(self.used), ("batch",))
        self.everywhere = NamedSharding(mesh, PartitionSpec())
        self._divided = NamedSharding(mesh, PartitionSpec("batch"))

    def replicate(self, tree: Tree) -> Tree:
        """The same arrays on every device."""
        return jax.tree.map(lambda leaf: self._placed(self.everywhere, leaf), tree)

    def divide(self, tree: Tree) -> Tree:
        """This process's rows [B / processes, ...] of a batch, as part of the whole batch [B, ...]."""
        return jax.tree.map(lambda leaf: self._placed(self._divided, leaf), tree)

    @staticmethod
    def _placed(sharding: NamedSharding, leaf: np.ndarray) -> jax.Array:
        return jax.make_array_from_process_local_data(sharding, np.asarray(leaf))

    @staticmethod
    def agree(*told: bool) -> list[bool]:
        """Whether each of these is true in any process: all get the same answer."""
        if jax.process_count() == 1:
            return [*told]
        return [bool(any_one) for any_one in multihost_utils.process_allgather(np.array(told)).any(axis=0)]

    def peak_flops(self, precision: str) -> float | None:
        """What all of them together can do in a second; None where it is not known."""
        kind = self.used[0].device_kind
        peaks = [peak[precision] for name, peak in PEAK_TFLOPS.items() if name in kind.split()]
        return peaks[0] * 1e12 * len(self.used) if peaks else None
