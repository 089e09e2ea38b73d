"""One run of `wavekeys play`: everything is opened in order, kept open, and closed in the opposite order.

Threads: the main thread only. It waits in short sleeps, because a signal handler may safely do no more than set a
flag, and no lock is needed to look at one.

What can be refused is refused first, in the order of its cost: device, ports, take, and only then the instrument
is loaded and compiled. The stream opens when nothing is left to compile.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from synth.errors import WavekeysError
from synth.host.audio import OutputDevice, OutputStream, choose_output
from synth.host.engine import Engine, Playable
from synth.host.events import EventQueue
from synth.host.midi import InputPort, open_inputs, plan_inputs
from synth.host.output import Output
from synth.host.recorder import Recorder, refuse_unwritable
from synth.host.ring import Ring

RING_CAPACITY_FRAMES = 1 << 15  # holds the largest periods that drivers use several times; 256 KiB
LOOK_EVERY_S = 0.05
PRIORITY = -11  # niceness, as sound servers have it
STALL_S = 5.0  # a device that has not called back for this long is gone
SWITCH_INTERVAL_S = 0.0005  # the longest that the engine's Python code keeps the callback waiting for its turn

Say = Callable[[str], None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class PlaySettings:
    """What the command line chose."""

    midi: str = "all"  # "all", "virtual", or a part of a port's name
    audio: str | None = None  # index or part of a name; None: the default device
    block_frames: int = 64  # at the model's rate; smaller is quicker to answer and costs more
    spare_blocks: int = 2  # rendered ahead of what the device takes; each adds a block to the latency
    record: Path | None = None


def play(settings: PlaySettings, build: Callable[[], Playable], *, say: Say, warn: Say) -> None:
    """Play what `build` returns until SIGINT, SIGTERM, or a fault.

    `say` prints one line of the course of things, `warn` one of what went wrong while playing went on.
    """
    device = choose_output(settings.audio)
    plan = plan_inputs(settings.midi)
    if settings.record is not None:
        refuse_unwritable(settings.record)
    _go_before_other_work()
    instrument = build()
    say(f"warming up for blocks of {settings.block_frames} frames")
    instrument.warm_up(settings.block_frames)
    if plan.remark:
        say(f"{plan.remark}: opening a virtual port instead, connect your keyboard to it")
    with contextlib.ExitStack() as stack:
        stop_asked = stack.enter_context(_stop_signals())
        recorder = _open_recorder(settings.record, device, stack, say=say, warn=warn)
        events = EventQueue()
        ring = Ring(capacity_frames=RING_CAPACITY_FRAMES, channels=2)
        output = Output(ring, rate_hz=device.rate_hz)
        ports = open_inputs(plan, events.deliver)
        for port in ports:
            stack.callback(port.close)
        stack.enter_context(_quiet_interpreter())
        stream = OutputStream(device, output if device.channels == 2 else output.mono)
        stack.callback(stream.close)
        engine = Engine(
            instrument=instrument,
            block_frames=settings.block_frames,
            spare_blocks=settings.spare_blocks,
            rate_hz=device.rate_hz,
            events=events,
            ring=ring,
            output=output,
            recorder=recorder,
        )
        engine.start()
        stack.callback(_finish, engine, ring, output)
        _wait_for_device(engine, device)
        _say_start(
            say,
            settings=settings,
            device=device,
            instrument=instrument,
            engine=engine,
            output=output,
            stream=stream,
            ports=ports,
            recorder=recorder,
        )
        fault = _wait_for_end(stop_asked, engine, stream, output)
    _say_end(say, engine, events, output, recorder)
    if fault:
        raise WavekeysError(fault)
    if recorder is not None and recorder.failure is not None:
        raise WavekeysError(
            f"the take is not whole: {recorder.path} holds its first {recorder.recorded_s:.1f} s ({recorder.failure})"
        )


def _open_recorder(
    path: Path | None, device: OutputDevice, stack: contextlib.ExitStack, *, say: Say, warn: Say
) -> Recorder | None:
    if path is None:
        return None
    recorder = Recorder(path, sample_rate_hz=device.rate_hz, channels=2, report=warn)
    stack.callback(recorder.close)
    recorder.start()
    if recorder.set_aside is not None:
        say(f"{path} was there already: the earlier take is now {recorder.set_aside}")
    return recorder


def _wait_for_device(engine: Engine, device: OutputDevice) -> None:
    deadline_s = time.monotonic() + STALL_S
    while not engine.target_frames and engine.failure is None:
        if time.monotonic() > deadline_s:
            raise WavekeysError(
                f"audio device {device.name!r} ({device.host_api}) was opened but asks for no sound; "
                f"choose another with --audio (`wavekeys devices`)"
            )
        time.sleep(LOOK_EVERY_S)


def _wait_for_end(stop_asked: Callable[[], bool], engine: Engine, stream: OutputStream, output: Output) -> str | None:
    """None if a signal ended it, else what went wrong."""
    calls, called_s = output.calls, time.monotonic()
    while not stop_asked():
        if engine.failure is not None:
            return f"the engine failed: {engine.failure}"
        if output.calls != calls:
            calls, called_s = output.calls, time.monotonic()
        if not stream.active or time.monotonic() - called_s > STALL_S:
            return "the audio device has gone; connect it (or start its server) and play again"
        time.sleep(LOOK_EVERY_S)
    return None


def _finish(engine: Engine, ring: Ring, output: Output) -> None:
    engine.stop()
    deadline_s = time.monotonic() + 1.0
    while ring.fill_frames and output.calls and time.monotonic() < deadline_s:
        time.sleep(0.001)
    time.sleep(2 * output.period_frames / output.rate_hz)  # the last period is still inside the driver


def _go_before_other_work() -> None:
    """Ask for more of the processor, for this thread and all that it starts from now on, the model's among them.

    A real-time class would be stronger, but a model that needs more than a core has would then freeze the
    machine. Most desktops grant this to the group `audio`; where it is refused, all goes on as before.
    """
    if sys.platform != "win32":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, 0, PRIORITY)


@contextlib.contextmanager
def _stop_signals() -> Iterator[Callable[[], bool]]:
    asked: list[int] = []
    previous = {
        number: signal.signal(number, lambda received, _frame: asked.append(received))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
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


def _say_start(
    say: Say,
    *,
    settings: PlaySettings,
    device: OutputDevice,
    instrument: Playable,
    engine: Engine,
    output: Output,
    stream: OutputStream,
    ports: list[InputPort],
    recorder: Recorder | None,
) -> None:
    block_ms = settings.block_frames * 1e3 / instrument.sample_rate_hz
    ring_ms = engine.target_frames * 1e3 / device.rate_hz
    say(f"device     {device.name} ({device.host_api})")
    say(f"rate       {device.rate_hz} Hz, {output.period_frames} frames a period")
    say(f"block      {settings.block_frames} frames at {instrument.sample_rate_hz} Hz ({block_ms:.1f} ms)")
    say(f"ring       {engine.target_frames} frames ({ring_ms:.1f} ms): a period and {settings.spare_blocks} blocks")
    say(f"latency    {engine.latency(device_s=stream.latency_s)}")
    say(f"voices     {getattr(instrument, 'voices', '?')}, backend {getattr(instrument, 'backend', 'none')}")
    say(f"MIDI       {', '.join(dict.fromkeys(port.name for port in ports))}")
    if recorder is not None:
        say(f"recording  {recorder.path} (24 bits)")
    say("playing; Ctrl-C ends")


def _say_end(say: Say, engine: Engine, events: EventQueue, output: Output, recorder: Recorder | None) -> None:
    meters = engine.meters
    say(f"notes      {events.notes}")
    say(f"underruns  {output.underruns} (and {output.device_xruns} reported by the driver)")
    say(f"longest    {meters.longest_s * 1e3:.1f} ms for a block of {meters.block_s * 1e3:.1f} ms")
    say(f"load       {meters.load:.0%}")
    for count, what in (
        (events.late, "events came too late for their place"),
        (events.unreadable, "messages were not MIDI"),
        (engine.limited_blocks, "blocks were limited"),
        (meters.silenced_blocks, "blocks were silenced: not a number"),
    ):
        if count:
            say(f"           {count} {what}")
    if recorder is not None:
        say(f"recording  {recorder.path}, {recorder.recorded_s:.1f} s")
