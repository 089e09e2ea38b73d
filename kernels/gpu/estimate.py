"""Where each microsecond of a step should go on a GPU: `wavekeys bench --estimate gpu`.

A model, not a measurement: no GPU has run the kernels. What a hop, a barrier and a read cost is of third parties'
measurements of an H100; `wavekeys_floor` measures them where there is a GPU. The H200 has the same processors and
reads its memory faster.
"""

from __future__ import annotations

import dataclasses

from synth.kernels.spec import Sizes

BYTES = {"fp32": 4, "bf16": 2, "int8": 1}
REACH = 16  # samples whose past the grid multiplies at once, as kReach in plan.h
TILES = (1, 4, 8)  # rows of the past that are multiplied together; see look_ahead in grid.h
GATE_CYCLES = 120  # of a gate: two exponentials, a division, the meeting of the block
MEETING_CYCLES = 60  # of a product's end: sums over lanes, and the meeting
DRAW_CYCLES = 1500  # of the draw: three meetings, exponentials, and one thread's walk over the choices


@dataclasses.dataclass(frozen=True, kw_only=True)
class Gpu:
    """Numbers of one kind; docs/accelerators.md says where they come from."""

    name: str
    processors: int = 132
    clock_hz: float = 1.755e9
    shared_bytes: int = 232_448  # of each processor, for one block
    hop_us: float = 0.564  # a flag through the device's memory
    l2_rate: float = 24.0  # bytes a cycle that a processor reads from L2, all of them reading (5.5 TB/s in all)
    l2_bytes: float = 50e6
    memory_rate: float  # bytes a cycle and processor from the device's memory


GPUS = (Gpu(name="H100", memory_rate=14.5), Gpu(name="H200", memory_rate=20.7))  # 3.35 and 4.8 TB/s


@dataclasses.dataclass(frozen=True, kw_only=True)
class Estimate:
    """A step of all voices, in microseconds. The parts add up: each waits for the one before."""

    kernel: str
    hops_us: float  # flags on the way of the sample, and what they announce
    products_us: float  # current taps, residuals and what else the sample waits for
    gates_us: float
    head_us: float  # the head's products and the draw
    behind_us: float  # skips and past taps, as far as the flags' wait does not hide them

    @property
    def step_us(self) -> float:
        return self.hops_us + self.products_us + self.gates_us + self.head_us + self.behind_us


# Cycles in which a warp reads 256 weights of so many bytes from the processor's own memory. A cycle brings one word
# from each of 32 banks. Weights of 4 bytes are two reads of a thread, whose neighbour's are 32 bytes on: half of the
# banks have two. In the chain those of 1 byte are 8 neighbouring columns of four chunks, whose distance is a multiple
# of all banks.
GRID_CYCLES = {4: 16, 2: 4, 1: 2}
CHAIN_CYCLES = {4: 16, 2: 4, 1: 4}


def product_us(gpu: Gpu, weights: float, rows: int, reads: float) -> float:
    """One product of one processor, `rows` voices at once; 256 weights are read in `reads` cycles.

    A warp takes 256 weights at a time, each thread 8, and for each of the 8 the activations of all rows: a cycle for
    one row, four for four, which a thread reads at once. That bounds it, not arithmetic: 2 cycles a row.
    """
    return (weights / 256 * (reads + 8 * rows) + MEETING_CYCLES) / gpu.clock_hz * 1e6


def chain(gpu: Gpu, sizes: Sizes, precision: str, voices: int, links: int) -> Estimate:
    """Layers along a chain of `links` processors. Chains share the voices; a batch has one voice or four."""
    width, rows = BYTES[precision], 1 if voices == 1 else 4
    waiting = -(-voices // (rows * max(1, gpu.processors // links)))  # batches of a chain
    r, s, layers = sizes.residual, sizes.skip, sizes.layers

    def product(weights: int, width: int = width) -> float:
        return product_us(gpu, weights, rows, CHAIN_CYCLES[width])

    products = layers * (product(2 * r * r) + product(r * (r + s)))
    past = layers * (sizes.filter_width - 1) * product(2 * r * r)
    hops = links * (gpu.hop_us + 2 * MEETING_CYCLES / gpu.clock_hz * 1e6)
    gates = layers * GATE_CYCLES / gpu.clock_hz * 1e6
    head = product(s * s) + product(s * sizes.outputs, 4) + product(r * s, 4) + DRAW_CYCLES / gpu.clock_hz * 1e6
    # One batch leaves a link all the time of its way round for the past. With more, the last link may become the
    # bottleneck: its share of all batches.
    busy = waiting * ((products + gates + past) / links + head)
    behind = max(0.0, busy - (hops + products + gates + head))
    return Estimate(
        kernel=f"chain of {links}", hops_us=hops, products_us=products, gates_us=gates, head_us=head, behind_us=behind
    )


def grid(gpu: Gpu, sizes: Sizes, precision: str, voices: int, teams: int) -> Estimate:
    """Every layer over all processors, one exchange a layer."""
    width, rows = BYTES[precision], 1 if voices == 1 else 4
    batches = -(-voices // rows)  # each reads all weights
    r, s, layers = sizes.residual, sizes.skip, sizes.layers
    of_layer = 5 * r * r // teams  # weights of a processor: current and fused gates, residual
    past = (sizes.filter_width - 1) * 2 * r * r // teams
    activations = 4 * batches * rows * (2 * r + 64 + max(s, sizes.outputs))
    held = min(layers, max(0, gpu.shared_bytes - activations) // (of_layer * width))
    streamed = ((layers - held) * of_layer + layers * (r * s // teams + past)) * width * teams
    rate = gpu.l2_rate if streamed <= gpu.l2_bytes else gpu.memory_rate

    def product(weights: float, rows: int = rows, width: int = width, *, own: bool = False) -> float:
        return product_us(gpu, weights, rows, GRID_CYCLES[width] if own else 256 * width / rate)

    # An exchange moves all channels of all voices, gates and inputs, to each processor.
    moved = 4 * batches * rows * 2 * r / gpu.l2_rate / gpu.clock_hz * 1e6
    # Behind its own flag a processor has as long as the flag travels. The past's share is one sample's work for all of
    # its period.
    behind, skips = 0.0, batches * product(r * s / teams)
    for dilation in sizes.dilations:
        period = min(dilation, REACH)
        tiles, rest = divmod(period * voices, TILES[-1])
        looking = skips + tiles * product(past, TILES[-1])
        if rest:
            looking += product(past, next(tile for tile in TILES if tile >= rest))
        late = max(0.0, looking - gpu.hop_us) + (period - 1) * max(0.0, skips - gpu.hop_us)
        behind += late / period
    return Estimate(
        kernel=f"grid of {teams}",
        hops_us=layers * (gpu.hop_us + moved) + 3 * (gpu.hop_us + moved / 2),
        products_us=batches * (held * product(of_layer, own=True) + (layers - held) * product(of_layer)),
        gates_us=layers * GATE_CYCLES / gpu.clock_hz * 1e6,
        head_us=batches * (product(s * s / teams) + product(s * sizes.outputs / teams, width=4))
        + DRAW_CYCLES / gpu.clock_hz * 1e6,
        behind_us=behind,
    )


def links_needed(gpu: Gpu, sizes: Sizes, precision: str) -> int:
    """Links of the shortest chain whose memory holds the weights, or 0; a little is left for activations."""
    r, s = sizes.residual, sizes.skip
    room = gpu.shared_bytes * 31 // 32
    columns = sizes.filter_width * 2 * r + r + s
    of_layer = r * columns * BYTES[precision] + 4 * (r + columns * (precision == "int8"))  # biases and scales too
    head = s * s * BYTES[precision] + 4 * s * (r + sizes.outputs)
    each, last = room // of_layer, max(0, room - head) // of_layer
    if not each or not last:
        return 0
    links = 1 + -(-max(0, sizes.layers - last) // each)
    return links if links <= gpu.processors else 0


def estimate(gpu: Gpu, sizes: Sizes, precision: str, voices: int) -> Estimate:
    """The kernel that plan.h would take."""
    links = links_needed(gpu, sizes, precision)
    if links:
        return chain(gpu, sizes, precision, voices, links)
    share = -(-sizes.residual // gpu.processors)
    return grid(gpu, sizes, precision, voices, sizes.residual // share)


def table(sizes: Sizes, counts: list[int], sample_rate_hz: int) -> str:
    """Every GPU, precision and number of voices, a line each."""
    lines = ["GPU   weights  voices  kernel       hops µs  products  gates   head  behind  step µs  x real time"]
    for gpu in GPUS:
        for precision in BYTES:
            for voices in counts:
                cost = estimate(gpu, sizes, precision, voices)
                lines.append(
                    f"{gpu.name:5} {precision:7} {voices:7}  {cost.kernel:12} {cost.hops_us:7.1f} "
                    f"{cost.products_us:9.1f} {cost.gates_us:6.1f} {cost.head_us:6.1f} {cost.behind_us:7.1f} "
                    f"{cost.step_us:8.1f} {1e6 / (cost.step_us * sample_rate_hz):12.2f}"
                )
    return "\n".join(lines)
