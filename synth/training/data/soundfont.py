"""What a SoundFont holds (SoundFont 2.04, section 7.2), so that it need not be said."""

from __future__ import annotations

import struct
from pathlib import Path

from synth.errors import WavekeysError

_HEADER = struct.Struct("<20sHHHIII")  # name, program, bank, and what is not needed here


def soundfont_programs(path: Path) -> dict[str, int]:
    """The instruments of its bank 0, by name in lower case: their General MIDI programs."""
    data = path.read_bytes()
    at = data.find(b"phdr", data.rfind(b"LIST"))
    if data[:4] != b"RIFF" or data[8:12] != b"sfbk" or at < 0:
        raise WavekeysError(f"{path}: not a SoundFont, or damaged")
    size = int.from_bytes(data[at + 4 : at + 8], "little")
    headers = list(_HEADER.iter_unpack(data[at + 8 : at + 8 + size - size % _HEADER.size]))
    melodic = sorted((program, name) for name, program, bank, *_ in headers[:-1] if bank == 0)  # the last ends the list
    return {name.split(b"\0")[0].decode("latin-1").strip().lower(): program for program, name in melodic}
