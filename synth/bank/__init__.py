"""Embeddings and presets: building them from notes, lookup by pitch and velocity, blending, holding; the library.

`synth.bank.arithmetic` mixes, fades, stretches, loops and splices embeddings of single notes.

Imports `synth.wavenet`; nothing here knows of voices or devices.
"""

from synth.bank.bank import Bank, HeldNote, load_bank
from synth.bank.build import Embedded, Recorded, bank_of_notes, build_bank, encoded, is_strange
from synth.bank.favourites import mark_favourite, read_favourites
from synth.bank.library import (
    check_files,
    delete_preset,
    export_preset,
    import_preset,
    own_name,
    rename_preset,
    save_preset,
    search,
)
from synth.bank.preset import Modulation, Preset, PresetInfo, Zone, find_preset, list_presets, load_preset, model_file

__all__ = [
    "Bank",
    "Embedded",
    "HeldNote",
    "Modulation",
    "Preset",
    "PresetInfo",
    "Recorded",
    "Zone",
    "bank_of_notes",
    "build_bank",
    "check_files",
    "delete_preset",
    "encoded",
    "export_preset",
    "find_preset",
    "import_preset",
    "is_strange",
    "list_presets",
    "load_bank",
    "load_preset",
    "mark_favourite",
    "model_file",
    "own_name",
    "read_favourites",
    "rename_preset",
    "save_preset",
    "search",
]
