"""The plugin: MIDI and commands in, blocks of audio out. It knows of no device.

From a key to what the decoder is told, and the module of each part:

    a message or a command   at an offset in a block                                  events, songs, takes
    Instrument               which keys are down, what pedals hold, who begins         instrument
    Patch                    what is played: preset, parameters, blend, tuning         patch, parameters
    VoicePool                who sounds, who makes way                                 pool
    Voice                    one slot of the stream: envelope, pitch, phases           voice
      its Touch              the key, and the channels whose controllers move it       voice, channels
      its Dials              the parameters that it began with, as they move           dials
      its Timbre             an embedded note and the blend of its instruments         timbre, blend
    Course                   what touch and dials ask of it over a block               course
    Point                    what the decoder is told every 64 samples                 steering

Everything that moves is a `Ramp` (ramp), a function of time alone. A `Rack` holds several instruments and their effects
(rack, effects); `render` plays one offline (offline).

Imports `synth.bank` and `synth.stream`.
"""

from synth.instrument.effects import Effect, Effects
from synth.instrument.events import Command, Event, Forget, Learn, Load, Set, SetBlend
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
    "Forget",
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
