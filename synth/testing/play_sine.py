"""`wavekeys play` with sines instead of a preset: the whole host, without a model.

python -m synth.testing.play_sine --midi virtual --record take.wav
"""

from __future__ import annotations

import sys

from synth.cli import main as entry
from synth.cli import play
from synth.cli.play import Choice
from synth.testing.sine import SineInstrument


def _build_sine(choice: Choice) -> SineInstrument:
    return SineInstrument(voices=choice.voices)


if __name__ == "__main__":
    play.command = play.make_command(_build_sine)
    entry.main(["play", *sys.argv[1:]])
