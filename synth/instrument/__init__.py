"""The plugin: the parameter table, voices and their envelopes, and `Instrument.process(events, frames)`.

Imports `synth.bank` and `synth.stream`; it knows of no device.
"""

from synth.instrument.instrument import Event, Instrument, Set
from synth.instrument.offline import render
from synth.instrument.parameters import PARAMETERS, Parameter
from synth.instrument.songs import read_song

__all__ = ["PARAMETERS", "Event", "Instrument", "Parameter", "Set", "read_song", "render"]
