"""What a control surface sees and does: the terminal's screen and keys, OSC, or whatever comes next.

Threads: every method may be called from any thread. None waits for the engine; those that must load something leave it
to the main thread and return. `Status` is a snapshot, never changed once it is made.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import mido


@dataclasses.dataclass(frozen=True, kw_only=True)
class PartStatus:
    """One instrument of the host."""

    name: str  # by which commands mean it
    preset: str
    edited: bool  # sounds otherwise than its preset
    channel: int | None  # 1 to 16; None: all of them
    sounding: int  # voices
    voices: int  # at most
    blend: Mapping[str, float]  # of all instruments that there are; 0 for those that are silent
    parameters: Mapping[str, float]  # by id; see `synth.instrument.PARAMETERS`
    controllers: Mapping[int, str]  # the parameter that a MIDI controller moves
    learning: str | None  # the parameter that the next controller will move


@dataclasses.dataclass(frozen=True, kw_only=True)
class Status:
    """The host at one moment."""

    parts: tuple[PartStatus, ...]
    presets: tuple[str, ...]  # what `load_preset` finds
    level_db: tuple[float, float]  # largest sample of each channel since the last snapshot; 0 is full scale
    limiting: bool  # the limiter worked since the last snapshot
    load: float  # share of the time that rendering takes, lately
    underruns: int
    recording: Path | None
    recorded_s: float
    latency_ms: float
    remark: str  # the last thing worth telling; "" for none
    played: tuple[mido.Message, ...] = ()  # note-ons and note-offs since the last snapshot


class Desk(Protocol):
    """Commands. Those that name something raise WavekeysError at once if there is no such thing."""

    def status(self) -> Status: ...

    def midi(self, message: mido.Message) -> None:
        """As if it came from a keyboard, now."""

    def set(self, part: str, parameter: str, value: float | str) -> None: ...

    def set_blend(self, part: str, blend: Mapping[str, float] | None) -> None:
        """None: the preset's own."""

    def load_preset(self, part: str, preset: str) -> None:
        """By name, as soon as it is loaded; if that fails, `Status.remark` says why."""

    def step_preset(self, part: str, steps: int) -> None:
        """The next (1) or the one before (-1) of `Status.presets`, around the end."""

    def save_preset(self, part: str, name: str | None) -> None:
        """What it plays now as a preset of the user's own; if that fails, `Status.remark` says why.

        None: under the preset's name if it is the user's own, else under a free one made of it.
        """

    def learn(self, part: str, parameter: str | None) -> None:
        """The next MIDI controller that is moved will move this parameter from now on; None: never mind."""

    def forget(self, part: str, parameter: str) -> None:
        """What the parameter has learnt counts no longer: controllers move what they usually do."""

    def panic(self) -> None:
        """All sound off, at once."""

    def record(self, on: bool) -> None:
        """Start a new take, or end the one that is running."""

    def stop(self) -> None:
        """End playing."""
