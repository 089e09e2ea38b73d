"""Where each microsecond of a step should go on a GPU: `wavekeys bench --estimate gpu`.

A model, not a measurement: no GPU has run the kernels. What a hop, a barrier and a read cost is of third parties'
measurements of an H100; `wavekeys_floor` measures them where there is a GPU. The H200 has the same processors and more
bandwidth of memory, which the step uses little of.
"""

from __future__ import annotations

import dataclasses

from synth.kernels.spec import Sizes

BYTES = {"fp32": 4, "bf16": 2, "int8": 1}
BLOCK = 64  # samples a call, as in playing
REACH = 16  # samples whose past the grid multiplies at once, as kReach in plan.h
GATE_CYCLES = 120  # of a gate: two exponentials, a division, the meeting of the block
MEETING_CYCLES = 60  # of a product's end: sums over lanes, and the meeting
DRAW_CYCLES = 1500  # of the draw: three meetings, exponentials, and one thread's walk over the choices


@dataclasses.dataclass(frozen=True, kw_only=True)
class Gpu:
    """Numbers of one kind; what is measured by others is marked in docs/accelerators.md."""

    name: str
    processors: int = 132
    clock_hz: float = 1.755e9
    shared_bytes: int = 232_448  # of each processor, for one block
    hop_us: float = 0.564  # a flag through the device's memory
    shared_rate: float = 128.0  # bytes a cycle that a processor reads from its own memory
    l2_rate: float = 42.0  # the same from L2, all processors reading: 5.5 TB/s and 1.755 GHz over 132 of 24 cycles
    fma_rate: float = 128.0  # multiply-adds a cycle and processor, fp32
    memory_bytes: float = 3.35e12  # a second


GPUS = (Gpu(name="H100"), Gpu(name="H200", memory_bytes=4.8e12))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Estimate:
    """A step of all voices, in microseconds. The parts add up: each waits for the one before."""

    kernel: str
    hops_us: float  # flags on the way of the sample
    products_us: float  # current taps, residuals and what else the sample waits for
    gates_us: float
    head_us: float  # the head's products and the draw
    behind_us: float  # skips and past taps, as far as the flags' wait does not hide them

    @property
    def step_us(self) -> float:
        return self.hops_us + self.products_us + self.gates_us + self.head_us + self.behind_us


def chain(gpu: Gpu, sizes: Sizes, precision: str, voices: int, links: int) -> Estimate:
    """Layers along a chain of `links` processors. Chains share the voices; a batch has one voice or four."""
    width, rows = BYTES[precision], 1 if voices == 1 else 4
    batches = -(-voices // rows)
    waiting = -(-batches // max(1, gpu.processors // links))  # batches of a chain
    r, s = sizes.residual, sizes.skip

    def product_us(weights: int) -> float:
        return (max(weights * width / gpu.shared_rate, weights * rows / gpu.fma_rate) + MEETING_CYCLES) / gpu.clock_hz * 1e6

    layer = product_us(2 * r * r) + product_us(r * (r + s))
    past = (sizes.filter_width - 1) * product_us(2 * r * r)
    hops = links * (gpu.hop_us + 2 * MEETING_CYCLES / gpu.clock_hz * 1e6)
    products, gates = sizes.layers * layer, sizes.layers * GATE_CYCLES / gpu.clock_hz * 1e6
    head = product_us(s * s) + product_us(s * (sizes.outputs + r)) + DRAW_CYCLES / gpu.clock_hz * 1e6
    # With one batch a link has all the time of a round for the past taps. With more, a link is the bottleneck once its
    # share of all batches takes longer than one batch's way round.
    busy = waiting * ((products + gates) / links + past * sizes.layers / links + head)
    behind = max(0.0, busy - (hops + products + gates + head))
    return Estimate(
        kernel=f"chain of {links}", hops_us=hops, products_us=products, gates_us=gates, head_us=head, behind_us=behind
    )


def grid(gpu: Gpu, sizes: Sizes, precision: str, voices: int, teams: int) -> Estimate:
    """Every layer over all processors, one exchange a layer, products by fp32 multiply-adds."""
    width = BYTES[precision]
    r, s, layers = sizes.residual, sizes.skip, sizes.layers
    of_team = 5 * r * r // teams  # weights of a layer: current and fused gates, residual
    activations = 4 * voices * (2 * r + 64 + max(s, sizes.outputs))
    held = min(layers, int((gpu.shared_bytes - activations) // (of_team * width)))

    def read_us(weights: float, rate: float, rows: float) -> float:
        return max(weights * width / rate, weights * rows / gpu.fma_rate) / gpu.clock_hz * 1e6

    products = held * read_us(of_team, gpu.shared_rate, voices) + (layers - held) * read_us(of_team, gpu.l2_rate, voices)
    products += layers * MEETING_CYCLES / gpu.clock_hz * 1e6
    # An exchange moves all channels of all voices to each processor.
    moved = 4 * voices * 2 * r / gpu.l2_rate / gpu.clock_hz * 1e6
    hops = layers * (gpu.hop_us + moved) + 3 * (gpu.hop_us + moved / 2)
    head = 2 * read_us(s * s / teams, gpu.l2_rate, voices) + DRAW_CYCLES / gpu.clock_hz * 1e6
    past = (sizes.filter_width - 1) * 2 * r * r / teams
    behind = layers * read_us(r * s / teams, gpu.l2_rate, voices)
    for dilation in sizes.dilations:
        behind += read_us(past, gpu.l2_rate * min(dilation, REACH), voices)
    # The way of a flag hides so much: the work starts when the own flag is up.
    behind = max(0.0, behind - layers * gpu.hop_us)
    return Estimate(
        kernel=f"grid of {teams}",
        hops_us=hops,
        products_us=products,
        gates_us=layers * GATE_CYCLES / gpu.clock_hz * 1e6,
        head_us=head,
        behind_us=behind,
    )


def links_needed(gpu: Gpu, sizes: Sizes, precision: str) -> int:
    """Links of the shortest chain whose memory holds the weights, or 0; activations are counted as an eighth."""
    r, s = sizes.residual, sizes.skip
    room = gpu.shared_bytes * 7 // 8
    of_layer = r * (sizes.filter_width * 2 * r + r + s) * BYTES[precision]
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
    lines = ["GPU   weights  voices  kernel       hops µs  products µs  gates µs  head µs  behind µs  step µs  x real time"]
    for gpu in GPUS:
        for precision in BYTES:
            for voices in counts:
                cost = estimate(gpu, sizes, precision, voices)
                lines.append(
                    f"{gpu.name:5} {precision:7} {voices:7}  {cost.kernel:12} {cost.hops_us:7.1f} {cost.products_us:12.1f} "
                    f"{cost.gates_us:9.1f} {cost.head_us:8.1f} {cost.behind_us:10.1f} {cost.step_us:8.1f} "
                    f"{1e6 / (cost.step_us * sample_rate_hz):12.2f}"
                )
    return "\n".join(lines)
