"""Embeddings and presets: building them from notes, lookup by pitch and velocity, blending, holding.

Imports `synth.wavenet`; nothing here knows of voices or devices.
"""

from synth.bank.bank import Bank, HeldNote, load_bank
from synth.bank.build import build_bank
from synth.bank.preset import Modulation, Preset, PresetInfo, Zone, find_preset, list_presets, load_preset

__all__ = [
    "Bank",
    "HeldNote",
    "Modulation",
    "Preset",
    "PresetInfo",
    "Zone",
    "build_bank",
    "find_preset",
    "list_presets",
    "load_bank",
    "load_preset",
]
