"""What a step should cost on a TPU core, by operations, bytes and VMEM: `wavekeys bench --estimate tpu`.

A model, not a measurement: no TPU has run the kernel. A few rows of voices leave the matrix units waiting for weights,
so a product is counted by the tiles of weights that are pushed into them, not by its multiply-adds; the layers form a
chain of dependent products, each of which is counted with the latency of one. The pipeline hides what comes from HBM.
"""

from __future__ import annotations

import dataclasses

from synth.kernels.spec import HISTORY, Sizes

BYTES = {"fp32": 4, "bf16": 2}
PASSES = {"fp32": 6, "bf16": 1}  # bf16 products that make one of fp32 (`lax.Precision.HIGHEST`)
LANES, SUBLANES = 128, 8  # every array in VMEM is padded to these, its last two axes
VMEM_BYTES = 100 * 2**20  # that the kernel may take of a v5e's or v6e's 128 MiB; a smaller chip's compiler takes less
BLOCK = 64  # samples a call, as in playing
STRETCH = 8  # samples whose `Ahead` is in VMEM at once (twice over: the next one is on its way)
VECTOR_CYCLES = 150  # of a layer's gate, masks and additions: some 40 dependent operations (assumed)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Chip:
    """One core of a generation; numbers of `jax.experimental.pallas.tpu.get_tpu_info`."""

    name: str
    vmem_bytes: int
    units: int  # matrix units of a core
    edge: int  # rows and columns of a matrix unit
    bf16_flops: float  # a second
    hbm_bytes: float  # a second

    @property
    def clock_hz(self) -> float:
        """As the peak implies: edge * edge multiply-adds a cycle and unit."""
        return self.bf16_flops / (2 * self.units * self.edge**2)


_MIB = 2**20
CHIPS = (
    Chip(name="v5e", vmem_bytes=128 * _MIB, units=4, edge=128, bf16_flops=1.97e14, hbm_bytes=8.2e11),
    Chip(name="v5p", vmem_bytes=64 * _MIB, units=4, edge=128, bf16_flops=2.295e14, hbm_bytes=1.23e12),
    Chip(name="v6e", vmem_bytes=128 * _MIB, units=2, edge=256, bf16_flops=9.2e14, hbm_bytes=1.64e12),
    Chip(name="7x", vmem_bytes=64 * _MIB, units=2, edge=256, bf16_flops=1.155e15, hbm_bytes=3.7e12),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Estimate:
    """One step of all voices, in microseconds; its parts add up but for `hbm_us`, which is hidden behind the others."""

    vmem_bytes: int
    matrix_us: float  # weights pushed into the matrix units
    chain_us: float  # latency of dependent products and of the vector operations between them
    hbm_us: float  # the inputs known ahead, and the caches once a block

    @property
    def step_us(self) -> float:
        return max(self.matrix_us + self.chain_us, self.hbm_us)


def _products(sizes: Sizes) -> list[tuple[int, int, bool]]:
    """Every product of a step: rows and columns of its weights, and whether they are in the chosen precision."""
    r, s = sizes.residual, sizes.skip
    layer = [(r, 2 * r, True)] * sizes.filter_width + [(r, r, True), (r, s, True)]
    return [(HISTORY, r, False), (r, s, False), *layer * sizes.layers, (s, s, True), (s, sizes.outputs, False)]


def padded_bytes(rows: int, columns: int, width: int = 4) -> int:
    """Bytes of an array [rows, columns] in VMEM; narrow types are packed along the rows."""
    packed = SUBLANES * 4 // width
    return -(-rows // packed) * packed * -(-columns // LANES) * LANES * width


def vmem_bytes(sizes: Sizes, precision: str, voices: int) -> int:
    """What the kernel keeps in VMEM: weights, caches, and two stretches of inputs."""
    width = BYTES[precision]
    weights = sum(padded_bytes(rows, columns, width if chosen else 4) for rows, columns, chosen in _products(sizes))
    caches = sizes.cache_offsets[-1] * padded_bytes(voices, sizes.residual) + padded_bytes(voices, HISTORY)
    sample = sizes.layers * padded_bytes(voices, 2 * sizes.residual) + padded_bytes(voices, sizes.residual)
    sample += padded_bytes(voices, sizes.skip) + 5 * padded_bytes(voices, 1)
    return weights + caches + 2 * STRETCH * sample


def estimate(chip: Chip, sizes: Sizes, precision: str, voices: int) -> Estimate:
    """A step of `voices` voices on one core."""
    tiles = sum(
        -(-rows // chip.edge) * -(-columns // chip.edge) * PASSES[precision if chosen else "fp32"]
        for rows, columns, chosen in _products(sizes)
    )
    push = max(chip.edge, voices) / chip.clock_hz
    # A product's first result comes after the last weights are in and the rows have crossed the unit: two edges.
    dependent = 2 * sizes.layers + 4  # current taps and residual of each layer; first layer, two of the head, drawing
    chain = (dependent * 2 * chip.edge + sizes.layers * VECTOR_CYCLES) / chip.clock_hz
    moved = 2 * sizes.cache_offsets[-1] * sizes.residual * 4 / BLOCK + 4 * (sizes.conditioning + sizes.residual)
    return Estimate(
        vmem_bytes=vmem_bytes(sizes, precision, voices),
        matrix_us=1e6 * tiles * push / chip.units,
        chain_us=1e6 * chain,
        hbm_us=1e6 * voices * moved / chip.hbm_bytes,
    )


def table(sizes: Sizes, counts: list[int], sample_rate_hz: int) -> str:
    """Every chip, precision and number of voices, a line each."""
    lines = ["core  weights  voices  VMEM MiB  matrix µs  chain µs  HBM µs  step µs  x real time"]
    for chip in CHIPS:
        for precision in BYTES:
            for voices in counts:
                cost = estimate(chip, sizes, precision, voices)
                fits = cost.vmem_bytes <= min(chip.vmem_bytes, VMEM_BYTES)
                factor = f"{1e6 / (cost.step_us * sample_rate_hz):11.2f}" if fits else "too large"
                lines.append(
                    f"{chip.name:5} {precision:7} {voices:7} {cost.vmem_bytes / _MIB:9.1f} {cost.matrix_us:10.1f} "
                    f"{cost.chain_us:9.1f} {cost.hbm_us:7.1f} {cost.step_us:8.1f}  {factor:>11}"
                )
    return "\n".join(lines)
