"""Where notes come from: NSynth's dataset, a folder of recordings, a SoundFont. All give 4 s of mono at one rate.

`open_notes` reads what a `DataConfig` names, one note at a time, so that a set may be larger than memory. What cannot
be used comes as a `BadNote`, named with the reason; `good_notes` lists those and goes on. Imports nothing of training
but its config and `synth.training.soundfont`.
"""

from synth.training.data.folder import listed_recordings
from synth.training.data.note import BadNote, Note, NoteSource, good_notes
from synth.training.data.soundfont import soundfont_programs
from synth.training.data.sources import SOUNDFONT, kind_of, open_notes

__all__ = [
    "SOUNDFONT",
    "BadNote",
    "Note",
    "NoteSource",
    "good_notes",
    "kind_of",
    "listed_recordings",
    "open_notes",
    "soundfont_programs",
]
