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
    """So many voices at once."""

    voices: int
    share: float  # of real time that a block takes in the median; 1 is all of it


def measure_loads(preset: Preset, counts: Sequence[int], *, block_frames: int) -> tuple[Instrument, list[Load]]:
    """Let so many voices sound (ascending counts) and time the blocks; also gives the instrument that played them.

    A preset that plays one note at a time, or several voices a note, is measured as if it played chords of single ones,
    as far as its zones let it; each count is that of the voices that do sound.
    """
    compute_where_asked()
    instrument = Instrument(preset, voices=max(counts))
    instrument.warm_up(block_frames)
    own = instrument.state()
    instrument.set("mode", "poly")
    instrument.set("unison", 1)
    loads = list(_loads(instrument, counts, block_frames))
    instrument.restore(own)
    return instrument, loads


def _loads(instrument: Instrument, counts: Sequence[int], block_frames: int) -> Iterator[Load]:
    block_s = block_frames / instrument.sample_rate_hz
    keys = iter(_keys_that_sound(instrument))
    for count in counts:
        while instrument.sounding < count and (key := next(keys, None)) is not None:
            instrument.process([(0, mido.Message("note_on", note=key[0], velocity=key[1]))], block_frames)
        if not instrument.sounding:
            return
        taken = []
        for _ in range(round(_SPAN_S / block_s)):
            started_s = time.perf_counter()
            instrument.process([], block_frames)
            taken.append(time.perf_counter() - started_s)
        yield Load(voices=instrument.sounding, share=statistics.median(taken) / block_s)


def _keys_that_sound(instrument: Instrument) -> list[tuple[int, int]]:
    """Keys with a velocity at which a zone holds them, from the middle outwards."""
    found = []
    for key in sorted(range(128), key=lambda key: abs(key - 60)):
        zone = next((zone for zone in instrument.preset.info.zones if zone.key_low <= key <= zone.key_high), None)
        if zone is not None:
            found.append((key, min(max(64, zone.velocity_low), zone.velocity_high)))
    return found
