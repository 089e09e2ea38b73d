"""Standard MIDI Files as timelines."""

from __future__ import annotations

from pathlib import Path

import mido

from synth.errors import WavekeysError


def read_song(path: Path) -> list[tuple[float, mido.Message]]:
    """Channel messages of a Standard MIDI File (types 0 and 1) with their times in seconds, tempo changes applied."""
    try:
        song = mido.MidiFile(path)
        if song.type == 2:
            raise WavekeysError(f"{path}: a type 2 MIDI file holds independent songs; save it as type 0 or 1")
        seconds, timeline = 0.0, []
        for message in song:
            seconds += message.time
            if not message.is_meta and message.type != "sysex":
                timeline.append((seconds, message))
    except FileNotFoundError:
        raise WavekeysError(f"no MIDI file at {path}") from None
    except (OSError, EOFError, ValueError, KeyError, IndexError, ZeroDivisionError) as error:
        raise WavekeysError(f"{path}: not a readable Standard MIDI File ({error or type(error).__name__})") from None
    if not any(message.type == "note_on" for _, message in timeline):
        raise WavekeysError(f"{path}: it holds no notes")
    return timeline
