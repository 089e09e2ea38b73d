"""One run of `wavekeys play`: everything is opened in order, kept open, and closed in the opposite order.

Threads: the main thread only. It waits in short sleeps, because a signal handler may safely do no more than set a
flag, and no lock is needed to look at one.

What can be refused is refused first, in the order of its cost: device, ports, take, and only then the instruments
are loaded and compiled. The stream opens when nothing is left to compile.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from synth.errors import WavekeysError
from synth.host.audio import choose_output
from synth.host.controls import Controls, Library
from synth.host.engine import Engine, ring_frames
from synth.host.events import EventQueue
from synth.host.midi import Inputs, plan_inputs
from synth.host.midi_take import Performer
from synth.host.osc import OscServer, refuse_taken
from synth.host.output import Output
from synth.host.priority import compute_where_asked, go_before_other_work
from synth.host.recorder import Recorder, refuse_unwritable
from synth.host.ring import Ring
from synth.host.settings import Learnt
from synth.host.speaker import Speaker
from synth.host.terminal import Terminal
from synth.host.wav import EncodingName
from synth.instrument import Instrument, Rack
from synth.instrument.takes import command_text, former_parts, header_text

LOOK_EVERY_S = 0.02  # at signals; a key of the computer's keyboard ends the wait at once
SNAPSHOT_EVERY_S = 0.05
LOOK_AT_PORTS_EVERY_S = 0.2  # a port that is gone and there again between two looks stays deaf
PATIENCE_S = 5.0  # a device that has not called back for this long after it was opened never will
SWITCH_INTERVAL_S = 0.0005  # the longest that the engine's Python code keeps the callback waiting for its turn

Say = Callable[[str], None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class PlaySettings:
    """What the command line chose."""

    midi: str = "all"  # "all", "virtual", or a part of a port's name
    audio: str | None = None  # index or part of a name; None: the default device
    block_frames: int  # at the model's rate; smaller is quicker to answer and costs more
    spare_blocks: float  # rendered ahead of what the device takes; each adds a block to the latency
    record: Path | None = None  # from the start
    encoding: EncodingName = "pcm24"  # of recordings
    stems: bool = False  # record each instrument apart as well
    osc_port: int | None = None
    terminal: bool = False  # the live screen, and the computer's keyboard


def play(settings: PlaySettings, build: Callable[[], Rack], library: Library, *, say: Say, warn: Say) -> None:
    """Play what `build` returns until SIGINT, SIGTERM, or a fault.

    `say` prints one line of the course of things, `warn` one of what went wrong while playing went on.
    """
    with contextlib.ExitStack() as stack:
        _Session(settings, library, say=say, warn=warn, stack=stack).run(build)


class _Session:
    def __init__(
        self, settings: PlaySettings, library: Library, *, say: Say, warn: Say, stack: contextlib.ExitStack
    ) -> None:
        self._settings = settings
        self._library = library
        self._say = say
        self._warn = warn
        self._stack = stack
        self._screen = False  # lines go to the live screen while it is there

    def run(self, build: Callable[[], Rack]) -> None:
        settings = self._settings
        device = choose_output(settings.audio)
        plan = plan_inputs(settings.midi, needed=not settings.terminal and settings.osc_port is None)
        if settings.osc_port is not None:
            refuse_taken(settings.osc_port)
        if settings.record is not None:
            refuse_unwritable(settings.record)
        self._learnt = Learnt()
        go_before_other_work()
        compute_where_asked()
        self._rack = build()
        self._teach()
        self._say(f"warming up for blocks of {settings.block_frames} frames")
        self._rack.warm_up(settings.block_frames)
        if plan.remark:
            self._say(plan.remark)
        stop_asked = self._stack.enter_context(_stop_signals())
        self._events = EventQueue()
        capacity_frames = ring_frames(
            block_frames=settings.block_frames,
            spare_blocks=settings.spare_blocks,
            source_hz=self._rack.sample_rate_hz,
            rate_hz=device.rate_hz,
        )
        self._ring = Ring(capacity_frames=capacity_frames, channels=2)
        self._output = Output(self._ring, rate_hz=device.rate_hz)
        self._inputs = Inputs(plan, self._events.deliver)
        self._stack.callback(self._inputs.close)
        self._stack.enter_context(_quiet_interpreter())
        self._speaker = Speaker(device, self._output, before_return=self._renew_inputs)
        self._stack.callback(self._speaker.close)
        self._engine = Engine(
            instrument=self._rack,
            block_frames=settings.block_frames,
            spare_blocks=settings.spare_blocks,
            rate_hz=device.rate_hz,
            events=self._events,
            ring=self._ring,
            output=self._output,
            stems=settings.stems,
        )
        self._engine.start()
        self._recorder: Recorder | None = None
        self._broken: list[Recorder] = []  # takes that ended early
        self._stack.callback(self._finish)
        if not self._wait_for_device(stop_asked):
            return
        self._controls = Controls(
            self._rack,
            engine=self._engine,
            events=self._events,
            output=self._output,
            library=self._library,
            block_frames=settings.block_frames,
            record=self._record,
            remark=lambda line: None if self._screen else self._say(line),
        )
        self._controls.latency_ms = self._engine.latency(device_s=self._speaker.latency_s).total_ms
        if settings.record is not None:
            self._controls.start_recording()
        fault = self._loop(stop_asked)
        self._controls.end_recording()
        self._say_end()
        if fault:
            raise WavekeysError(fault)
        for recorder in self._broken:
            kept = f"{recorder.path} holds its first {recorder.recorded_s:.1f} s"
            raise WavekeysError(f"the take is not whole: {kept} ({recorder.failure})")

    def _loop(self, stop_asked: Callable[[], bool]) -> str | None:
        """None if a signal or a surface ended it, else what went wrong."""
        controls = self._controls
        with contextlib.ExitStack() as surfaces:
            osc = None
            if self._settings.osc_port is not None:
                osc = surfaces.enter_context(OscServer(controls, port=self._settings.osc_port))
            self._say_start()
            terminal = None
            if self._settings.terminal:
                terminal = surfaces.enter_context(self._live_screen())
            snapshot_due, ports_due = _Every(SNAPSHOT_EVERY_S), _Every(LOOK_AT_PORTS_EVERY_S)
            while not (stop_asked() or controls.stop_asked):
                if self._engine.failure is not None:
                    return f"the engine failed: {self._engine.failure}"
                if snapshot_due():
                    line = self._speaker.poll()
                    if line is not None:
                        controls.say(line)
                    controls.latency_ms = self._engine.latency(device_s=self._speaker.latency_s).total_ms
                    status = controls.poll()
                    self._keep_learnt()
                    if osc is not None:
                        osc.echo(status)
                if ports_due() and not self._speaker.lost:
                    self._look_at_ports()
                if terminal is None:
                    time.sleep(LOOK_EVERY_S)
                else:
                    terminal.poll(LOOK_EVERY_S)
        return None

    def _renew_inputs(self) -> None:
        """While nobody waits for our callback; the device may yet refuse, and then keyboards must be heard too."""
        self._inputs.renew()
        self._look_at_ports()

    def _look_at_ports(self) -> None:
        for line in self._inputs.look():
            self._controls.say(line)

    @contextlib.contextmanager
    def _live_screen(self) -> Iterator[Terminal]:
        with Terminal(self._controls) as terminal:
            self._screen = True
            try:
                yield terminal
            finally:
                self._screen = False

    def _teach(self) -> None:
        """What the user's controllers have learnt, to every instrument."""
        for part in self._rack.parts.values():
            if isinstance(part.instrument, Instrument):
                for number, parameter in self._learnt.controllers.items():
                    part.instrument.learn(number, parameter)
                self._learnt.begin(part.name, part.instrument.controllers)

    def _keep_learnt(self) -> None:
        for part in self._controls.status().parts:
            try:
                self._learnt.follow(part.name, part.controllers)
            except WavekeysError as error:
                self._controls.say(str(error))

    def _record(self, on: bool) -> Recorder | None:
        if not on:
            self._engine.record(None)
            if self._recorder is not None:
                self._recorder.close()
                if self._recorder.failure is None:
                    self._controls.say(f"recorded   {self._recorder.path}, {self._recorder.recorded_s:.1f} s")
                else:
                    self._broken.append(self._recorder)
            self._recorder = None
            return None
        settings, rack = self._settings, self._rack
        path = settings.record or Path(time.strftime("take-%Y%m%d-%H%M%S.wav"))
        self._recorder = Recorder(
            path,
            sample_rate_hz=self._output.rate_hz,
            channels=2,
            report=lambda line: self._controls.say(line) if self._screen else self._warn(line),
            encoding=settings.encoding,
            stems=list(rack.parts) if settings.stems else (),
            performer=Performer(
                rate_hz=rack.sample_rate_hz,
                name=", ".join(rack.parts),
                header=lambda: header_text(rack, block_frames=settings.block_frames),
                as_text=command_text,
            ),
            former_stems=former_parts(path.with_suffix(".mid")),
        )
        if self._recorder.set_aside is not None:
            self._controls.say(f"{path} was there already: the earlier take is now {self._recorder.set_aside}")
        self._recorder.start()
        self._engine.record(self._recorder)
        return self._recorder

    def _wait_for_device(self, stop_asked: Callable[[], bool]) -> bool:
        """False where a signal ended the wait."""
        deadline_s = time.monotonic() + PATIENCE_S
        device = self._speaker.device
        while not self._engine.target_frames and self._engine.failure is None:
            if stop_asked():
                return False
            if time.monotonic() > deadline_s:
                raise WavekeysError(
                    f"audio device {device.name!r} ({device.host_api}) was opened but asks for no sound; "
                    f"choose another with --audio (`wavekeys devices`)"
                )
            time.sleep(LOOK_EVERY_S)
        return True

    def _finish(self) -> None:
        self._engine.stop()
        if self._recorder is not None:
            self._recorder.close()
        deadline_s = time.monotonic() + 1.0
        while self._ring.fill_frames and self._output.calls and time.monotonic() < deadline_s:
            time.sleep(0.001)
        time.sleep(2 * self._output.period_frames / self._output.rate_hz)  # the last period is still in the driver

    def _say_start(self) -> None:
        settings, engine, rack, say = self._settings, self._engine, self._rack, self._say
        device, rate_hz = self._speaker.device, self._output.rate_hz
        block_ms = settings.block_frames * 1e3 / rack.sample_rate_hz
        ring_ms = engine.target_frames * 1e3 / rate_hz
        say(f"device     {device.name} ({device.host_api})")
        say(f"rate       {rate_hz} Hz, {self._output.period_frames} frames a period")
        say(f"block      {settings.block_frames} frames at {rack.sample_rate_hz} Hz ({block_ms:.1f} ms)")
        spare = f"a period and {settings.spare_blocks:g} blocks"
        say(f"ring       {engine.target_frames} frames ({ring_ms:.1f} ms): {spare}")
        say(f"latency    {engine.latency(device_s=self._speaker.latency_s)}")
        for name, part in rack.parts.items():
            channel = "" if part.channel is None else f" on channel {part.channel + 1}"
            voices = getattr(part.instrument, "voices", "?")
            say(f"plays      {name}{channel}: {voices} voices, backend {getattr(part.instrument, 'why', 'none')}")
        say(f"MIDI       {', '.join(self._inputs.names)}")
        if settings.osc_port is not None:
            say(f"OSC        127.0.0.1, port {settings.osc_port}")
        if self._recorder is not None:
            say(f"recording  {self._recorder.path} ({settings.encoding})")
        say("playing; Ctrl-C ends")

    def _say_end(self) -> None:
        meters, events, output, say = self._engine.meters, self._events, self._output, self._say
        say(f"notes      {events.notes}")
        say(f"underruns  {output.underruns} (and {output.device_xruns} reported by the driver)")
        say(f"longest    {meters.longest_s * 1e3:.1f} ms for a block of {meters.block_s * 1e3:.1f} ms")
        say(f"load       {meters.load:.0%}")
        for count, what in (
            (events.late, "events came too late for their place"),
            (events.unreadable, "messages were not MIDI"),
            (self._engine.limited_blocks, "blocks were limited"),
            (meters.silenced_blocks, "blocks were silenced: not a number"),
        ):
            if count:
                say(f"           {count} {what}")


class _Every:
    """True once in so many seconds."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._due_s = time.monotonic() + seconds

    def __call__(self) -> bool:
        if time.monotonic() < self._due_s:
            return False
        self._due_s = time.monotonic() + self._seconds
        return True


@contextlib.contextmanager
def _stop_signals() -> Iterator[Callable[[], bool]]:
    """Interrupts, and that the terminal was closed."""
    asked: list[int] = []
    numbers = {signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)}  # Windows has no SIGHUP
    previous = {number: signal.signal(number, lambda received, _frame: asked.append(received)) for number in numbers}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _quiet_interpreter() -> Iterator[None]:
    """No garbage collection while playing (a full one takes tens of milliseconds), and quick turns for the callback."""
    interval_s = sys.getswitchinterval()
    gc.collect()
    gc.freeze()
    gc.disable()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    try:
        yield
    finally:
        sys.setswitchinterval(interval_s)
        gc.enable()
        gc.unfreeze()
