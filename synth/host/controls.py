"""The desk: commands from any surface to the engine, and the engine's state back.

Threads: the commands of `Desk` come from any thread; they are checked at once and put in the engine's queue, or, if
they need the disk or the compiler, in one for the main thread. `poll` and `requests` belong to the main thread.
"""

from __future__ import annotations

import collections
import functools
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import mido

from synth.bank import Preset, PresetInfo, own_name, save_preset
from synth.errors import WavekeysError, first_line
from synth.host.desk import PartStatus, Status
from synth.host.engine import Engine
from synth.host.events import EventQueue
from synth.host.output import Output
from synth.host.recorder import Recorder
from synth.instrument import Instrument, Part, Rack
from synth.instrument.blend import blends_of
from synth.instrument.events import PANIC, Command, Describe, Forget, Learn, Load, Renew, SavedAs, Set, SetBlend
from synth.instrument.parameters import parameter_named
from synth.instrument.rack import Plays, Replace, To

LOAD_TIME_S = 0.25  # over which the shown load is averaged

Described = collections.deque[tuple[PresetInfo, PresetInfo]]  # an engine's answer to `Describe`


class Library(Protocol):
    """Where presets come from."""

    @property
    def names(self) -> Sequence[str]:
        """Of all presets, in the order in which a player steps through them."""

    def refresh(self) -> None:
        """Presets were saved: look again."""

    def open(self, name: str) -> Preset: ...

    def instrument(self, preset: Preset) -> Plays:
        """A new one, set up as the command line says, not warmed up."""


class Controls:
    """`Desk` for a rack that an engine plays.

    Args:
      block_frames: of the engine, for which new instruments are compiled.
      record: starts a take, or for False ends it; called by `poll`.
      remark: is told what is worth a line.
    """

    def __init__(
        self,
        rack: Rack,
        *,
        engine: Engine,
        events: EventQueue,
        output: Output,
        library: Library,
        block_frames: int,
        record: Callable[[bool], Recorder | None],
        remark: Callable[[str], None],
        now: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.stop_asked = False
        self.latency_ms = 0.0
        self._rack = rack
        self._engine = engine
        self._events = events
        self._output = output
        self._library = library
        self._block_frames = block_frames
        self._record = record
        self._tell = remark
        self._now = now
        self._requests: collections.deque[Callable[[], None]] = collections.deque()
        self._recorder: Recorder | None = None
        self._coming: dict[str, Instrument] = {}  # of each part, the instrument that was last sent for it
        self._asked: dict[str, tuple[str, str]] = {}  # of each part, what played when a preset was asked for, and that
        self._to_save: collections.deque[tuple[str, str | None, Described]] = collections.deque()
        self._remark = ""
        self._limited = 0
        self._load = 0.0
        self._load_from = (now(), 0.0)  # when, and how long the engine had been busy by then
        self._status = self._snapshot()

    # Desk.

    def status(self) -> Status:
        return self._status

    def midi(self, message: mido.Message) -> None:
        self._events.put(self._now(), message)

    def set(self, part: str, parameter: str, value: float | str) -> None:
        self._instrument(part)
        self._command(part, Set(parameter, parameter_named(parameter).checked(value)))

    def set_blend(self, part: str, blend: Mapping[str, float] | None) -> None:
        preset = self._instrument(part).preset
        blends_of(preset.info, preset.bank, blend)  # what is wrong with it is said to who asked
        self._command(part, SetBlend(blend))

    def load_preset(self, part: str, preset: str) -> None:
        self._rack.part(part)
        if preset not in self._library.names:
            self._library.refresh()  # another wavekeys may have saved it
        if preset not in self._library.names:
            raise WavekeysError(f"no preset {preset!r}; there are: {', '.join(self._library.names)}")
        self._requests.append(lambda: self._load_preset(part, preset))

    def step_preset(self, part: str, steps: int) -> None:
        self._rack.part(part)
        self._requests.append(lambda: self._step_preset(part, steps))

    def save_preset(self, part: str, name: str | None) -> None:
        self._instrument(part)
        self._requests.append(lambda: self._save_preset(part, name))

    def learn(self, part: str, parameter: str | None) -> None:
        self._instrument(part)
        self._command(part, Learn(None if parameter is None else parameter_named(parameter).id))

    def forget(self, part: str, parameter: str) -> None:
        self._instrument(part)
        self._command(part, Forget(parameter_named(parameter).id))

    def panic(self) -> None:
        for message in PANIC:
            self.midi(message)

    def record(self, on: bool) -> None:
        self._requests.append(lambda: self._set_recording(on))

    def stop(self) -> None:
        self.stop_asked = True

    # Main thread.

    def poll(self) -> Status:
        """Do what was asked for and could not be done at once; a new snapshot."""
        while self._requests:
            self._try(self._requests.popleft())
        for _ in range(len(self._to_save)):
            seat, wanted, described = self._to_save.popleft()
            if described:
                self._try(functools.partial(self._save_described, seat, wanted, *described.popleft()))
            else:  # the engine has not come to it yet
                self._to_save.append((seat, wanted, described))
        for name, part in self._rack.parts.items():
            if isinstance(part.instrument, Instrument):
                while part.instrument.refused:
                    self.say(part.instrument.refused.popleft())
                if self._asked.get(name, ("", ""))[1] == part.instrument.preset.info.name:
                    del self._asked[name]  # obeyed
        self._status = self._snapshot()
        return self._status

    def _try(self, request: Callable[[], None]) -> None:
        try:
            request()
        except WavekeysError as error:
            self.say(str(error))

    def say(self, line: str) -> None:
        """A remark, for all surfaces."""
        self._remark = line
        self._tell(line)

    def start_recording(self) -> None:
        """Raises WavekeysError where the take cannot be written."""
        self._set_recording(True)

    def end_recording(self) -> None:
        self._set_recording(False)

    def _command(self, part: str, command: Command) -> None:
        self._events.put(self._now(), To(part, command))

    def _instrument(self, name: str) -> Instrument:
        instrument = self._rack.part(name).instrument
        if not isinstance(instrument, Instrument):
            raise WavekeysError(f"part {name!r} has no parameters")
        return instrument

    def _step_preset(self, part: str, steps: int) -> None:
        names = list(self._library.names)
        current = playing = self._instrument(part).preset.info.name
        former, asked = self._asked.get(part, ("", ""))
        if playing == former:  # the engine has yet to obey
            current = asked
        start = names.index(current) if current in names else -steps
        self._load_preset(part, names[(start + steps) % len(names)])

    def _load_preset(self, part: str, name: str) -> None:
        self._asked[part] = self._instrument(part).preset.info.name, name
        preset = self._library.open(name)
        # What plays may still be another one, which the engine has yet to replace.
        coming = self._coming.get(part, self._instrument(part))
        if preset.info.model_sha256 == coming.preset.info.model_sha256:
            self._command(part, Load(preset))
            return
        self.say(f"preparing {name}, which has another model")
        try:
            instrument = self._library.instrument(preset)
            self._rack.check(instrument)
            instrument.warm_up(self._block_frames)
        except RuntimeError as error:  # XLA's, such as of a memory that is too small
            raise WavekeysError(f"{name} cannot be played: {first_line(error)}") from error
        if isinstance(instrument, Instrument):
            instrument.controllers = dict(coming.controllers)  # what was learnt stays learnt
            self._coming[part] = instrument
        self._events.put(self._now(), Replace(part, instrument))
        self.say(f"{name} is ready")

    def _save_preset(self, part: str, name: str | None) -> None:
        """Ask the engine what plays, behind all that it was told before; `poll` saves it."""
        described: Described = collections.deque()
        self._to_save.append((part, name, described))
        self._command(part, Describe(described))

    def _save_described(self, part: str, name: str | None, former: PresetInfo, played: PresetInfo) -> None:
        own = own_name(former)
        name = own if name is None else name
        # Over its own file a preset may be saved, over another of the same name not.
        info = save_preset(played, name=name, overwrite=name == own == former.name)
        self._library.refresh()
        self._command(part, SavedAs(former, info))
        for each in self._rack.parts:
            self._command(each, Renew(info))
        self.say(f"saved {name}")

    def _set_recording(self, on: bool) -> None:
        if on != (self._recorder is not None):
            self._recorder = self._record(on)

    # Snapshot.

    def _snapshot(self) -> Status:
        engine, meters = self._engine, self._engine.meters
        self._follow_load()
        limited = engine.limited_blocks
        recorder = self._recorder
        if recorder is not None and recorder.failure is not None:
            self._set_recording(False)
            self._remark = recorder.farewell
            recorder = None
        status = Status(
            parts=tuple(self._part_status(part) for part in self._rack.parts.values()),
            presets=tuple(self._library.names),
            level_db=meters.take_levels_db(),
            limiting=limited > self._limited,
            load=self._load,
            underruns=self._output.underruns,
            recording=None if recorder is None else Path(recorder.path),
            recorded_s=0.0 if recorder is None else recorder.recorded_s,
            latency_ms=self.latency_ms,
            remark=self._remark,
            played=tuple(self._events.played.popleft() for _ in range(len(self._events.played))),
        )
        self._limited = limited
        return status

    def _follow_load(self) -> None:
        since_s, busy_s = self._load_from
        now_s, busy_now_s = self._now(), self._engine.meters.busy_s
        if now_s - since_s >= LOAD_TIME_S:
            self._load = (busy_now_s - busy_s) / (now_s - since_s)
            self._load_from = (now_s, busy_now_s)

    @staticmethod
    def _part_status(part: Part) -> PartStatus:
        playing = part.instrument
        own = playing if isinstance(playing, Instrument) else None
        return PartStatus(
            name=part.name,
            preset=own.preset.info.name if own else part.name,
            edited=own is not None and own.edited,
            channel=None if part.channel is None else part.channel + 1,
            sounding=playing.sounding,
            voices=own.voices if own else 0,
            blend={name: own.blend.get(name, 0.0) for name in own.preset.bank.instruments} if own else {},
            parameters=dict(own.values) if own else {},
            controllers=dict(own.controllers) if own else {},
            learning=own.learning if own else None,
        )
