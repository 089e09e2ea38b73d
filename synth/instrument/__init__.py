"""The plugin: the parameter table, voices and their envelopes, `Instrument.process(events, frames)`, and racks of them.

Imports `synth.bank` and `synth.stream`; it knows of no device.
"""

from synth.instrument.effects import Effect, Effects
from synth.instrument.events import Command, Event, Learn, Load, Set, SetBlend
from synth.instrument.instrument import Instrument
from synth.instrument.offline import render
from synth.instrument.parameters import PARAMETERS, Parameter
from synth.instrument.rack import Part, Rack
from synth.instrument.songs import Song, open_song, read_song
from synth.instrument.takes import Performance, Wishes, command_text, header_text, prepare, read_take_header

__all__ = [
    "PARAMETERS",
    "Command",
    "Effect",
    "Effects",
    "Event",
    "Instrument",
    "Learn",
    "Load",
    "Parameter",
    "Part",
    "Performance",
    "Rack",
    "Set",
    "SetBlend",
    "Song",
    "Wishes",
    "command_text",
    "header_text",
    "open_song",
    "prepare",
    "read_song",
    "read_take_header",
    "render",
]
