"""A contact sheet of rainbowgrams: sources above, renderings below."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from synth.analysis.rainbowgram import draw_compared
from synth.bank import Preset
from synth.instrument import Instrument
from synth.training.evaluation.evaluate import Sources
from synth.training.evaluation.playing import HELD_SECONDS, render_note


def contact_sheet(preset: Preset, sources: Sources, notes: Sequence[tuple[str, int, int]], path: Path) -> None:
    """Rainbowgrams of notes (instrument, pitch, velocity): above the sources that there are, below the renderings."""
    recorded, rendered = [], []
    for note in notes:
        name, pitch, velocity = note
        instrument = Instrument(preset, voices=1, blend={name: 1.0})
        title = f"{name}-{pitch:03}-{velocity:03}"
        recorded.append((title if note in sources else "", sources.get(note)))
        rendered.append((title, render_note(instrument, pitch, velocity, HELD_SECONDS)))
    draw_compared({"source": recorded, "wavekeys": rendered} if sources else {"wavekeys": rendered}, path, width=4)
