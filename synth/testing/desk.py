"""A desk that remembers what it is told, for the tests of surfaces."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import mido

from synth.errors import WavekeysError
from synth.host.desk import PartStatus, Status
from synth.instrument.parameters import initial_values


def two_parts() -> Status:
    """Two instruments that play, one of them edited, while a take is recorded."""
    first = PartStatus(
        name="keys",
        preset="grand",
        edited=True,
        channel=None,
        sounding=3,
        voices=4,
        blend={"piano": 0.7, "organ": 0.3},
        parameters=initial_values({}),
        controllers={73: "attack_ms"},
        learning=None,
    )
    second = PartStatus(
        name="lead",
        preset="warm-flute",
        edited=False,
        channel=2,
        sounding=0,
        voices=4,
        blend={"flute": 1.0},
        parameters=initial_values({}),
        controllers={},
        learning=None,
    )
    return Status(
        parts=(first, second),
        presets=("grand", "warm-flute"),
        level_db=(-12.0, -18.5),
        limiting=False,
        load=0.42,
        underruns=0,
        recording=Path("take.wav"),
        recorded_s=65.0,
        latency_ms=14.9,
        remark="",
    )


class FakeDesk:
    """A `synth.host.Desk`, as `now` says: `messages` and `calls` in their order. Refuses all while `refusal` is set."""

    def __init__(self, status: Status | None = None) -> None:
        self.messages: list[mido.Message] = []
        self.calls: list[tuple[object, ...]] = []
        self.refusal: WavekeysError | None = None
        self.now = status or _idle()

    def status(self) -> Status:
        return self.now

    def midi(self, message: mido.Message) -> None:
        self.messages.append(message)

    def set(self, part: str, parameter: str, value: float | str) -> None:
        self._call("set", part, parameter, value)

    def set_blend(self, part: str, blend: Mapping[str, float] | None) -> None:
        self._call("set_blend", part, blend)

    def load_preset(self, part: str, preset: str) -> None:
        self._call("load_preset", part, preset)

    def step_preset(self, part: str, steps: int) -> None:
        self._call("step_preset", part, steps)

    def save_preset(self, part: str, name: str | None) -> None:
        self._call("save_preset", part, name)

    def forget(self, part: str, parameter: str) -> None:
        self._call("forget", part, parameter)

    def learn(self, part: str, parameter: str | None) -> None:
        self._call("learn", part, parameter)

    def panic(self) -> None:
        self._call("panic")

    def record(self, on: bool) -> None:
        self._call("record", on)

    def stop(self) -> None:
        self._call("stop")

    def _call(self, *call: object) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.calls.append(call)


def _idle() -> Status:
    return dataclasses.replace(two_parts(), recording=None, recorded_s=0.0)
