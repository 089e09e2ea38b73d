"""Real time: audio device, MIDI ports, engine thread, ring, recorder, meters.

The path of a note and the thread that walks each part of it:

    MIDI thread (one a port)  stamps the bytes with their arrival time, appends them          midi, events
    engine thread             event -> offset in a block -> instrument -> limiter -> ring      engine and below
    audio callback            copies out of the ring, fades when it is dry                     output
    writer thread             the same mix, from its own ring, to the disk                     recorder
    main thread               opens and closes everything, looks after it, shows it             session, controls

Two neighbours share exactly one structure, and each structure has one writer and one reader; nothing here
holds a lock. `session.play` puts the parts together and is all that the command line needs, beside the two
listings. What a player sees and does beside MIDI (the terminal, OSC) goes through one `desk`. Nothing below `host`
imports it.
"""

from synth.host.audio import OutputDevice, choose_output, list_outputs
from synth.host.controls import Library
from synth.host.desk import Desk, PartStatus, Status
from synth.host.engine import Playable
from synth.host.midi import list_input_names
from synth.host.session import PlaySettings, play

__all__ = [
    "Desk",
    "Library",
    "OutputDevice",
    "PartStatus",
    "PlaySettings",
    "Playable",
    "Status",
    "choose_output",
    "list_input_names",
    "list_outputs",
    "play",
]
