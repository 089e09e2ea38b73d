"""`wavekeys play` with sines instead of a preset: the whole host, without a model.

python -m synth.testing.play_sine --midi virtual --record take.wav
"""

from __future__ import annotations

import sys

from synth.bank import Preset
from synth.cli import main as entry
from synth.cli import play
from synth.cli.play import Choice
from synth.errors import WavekeysError
from synth.instrument import Part, Rack
from synth.instrument.rack import Plays
from synth.testing.sine import SineInstrument


class _NoPresets:
    def __init__(self, _choice: Choice) -> None:
        self.names = ()

    def refresh(self) -> None:
        """There never are any."""

    def open(self, name: str) -> Preset:
        raise WavekeysError(f"no preset {name!r}")

    def instrument(self, preset: Preset) -> Plays:
        raise WavekeysError(f"no preset {preset.info.name!r}")


def _build_sine(choice: Choice) -> Rack:
    return Rack([Part(name="sine", instrument=SineInstrument(voices=choice.voices))], effects=choice.effects)


if __name__ == "__main__":
    play.command = play.make_command(_build_sine, _NoPresets)
    entry.main(["play", *sys.argv[1:]])
