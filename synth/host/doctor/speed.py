"""How much of real time an instrument needs, as the engine plays it."""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Iterator, Sequence

import mido

from synth.bank import Preset
from synth.host.priority import compute_where_asked
from synth.instrument import Instrument

_SPAN_S = 0.3  # of sound, for each count of voices


@dataclasses.dataclass(frozen=True, kw_only=True)
class Load:
    """So many notes at once."""

    voices: int
    share: float  # of real time that a block takes in the median; 1 is all of it


def measure_loads(preset: Preset, counts: Sequence[int], *, block_frames: int) -> tuple[Instrument, list[Load]]:
    """Hold so many notes (ascending counts) and time the blocks; also gives the instrument that played them."""
    compute_where_asked()
    instrument = Instrument(preset, voices=max(counts))
    instrument.warm_up(block_frames)
    return instrument, list(_loads(instrument, counts, block_frames))


def _loads(instrument: Instrument, counts: Sequence[int], block_frames: int) -> Iterator[Load]:
    block_s = block_frames / instrument.sample_rate_hz
    held = 0
    for count in counts:
        first = [(0, mido.Message("note_on", note=48 + note, velocity=64)) for note in range(held, count)]
        held = count
        instrument.process(first, block_frames)
        taken = []
        for _ in range(round(_SPAN_S / block_s)):
            started_s = time.perf_counter()
            instrument.process([], block_frames)
            taken.append(time.perf_counter() - started_s)
        yield Load(voices=count, share=statistics.median(taken) / block_s)
