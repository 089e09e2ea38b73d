"""A contact sheet of rainbowgrams: sources above, renderings below."""

from __future__ import annotations

from pathlib import Path

from synth.analysis.rainbowgram import draw
from synth.bank import Preset
from synth.instrument import Instrument
from synth.training.evaluation.evaluate import Sources
from synth.training.evaluation.playing import HELD_SECONDS, render_note


def contact_sheet(preset: Preset, sources: Sources, pitch: int, path: Path) -> None:
    """Rainbowgrams of one pitch on every instrument: the sources that there are above, the renderings below."""
    velocity = int(preset.bank.velocities[-1])
    names = preset.bank.instruments
    notes = [
        (f"{name}, source", sources[name, pitch, velocity]) for name in names if (name, pitch, velocity) in sources
    ]
    for name in names:
        instrument = Instrument(preset, voices=1, blend={name: 1.0})
        notes.append((f"{name}, wavekeys", render_note(instrument, pitch, velocity, HELD_SECONDS)))
    draw(notes, path, columns=len(names))
