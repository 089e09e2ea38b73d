"""Hours of an impatient player, and what must never come of it.

`python -m synth.testing.soak --minutes 30` plays dense random MIDI on a preset as fast as it can: notes, pedals, bends,
wheels, pressure, program changes, blends, modes, registered parameters with MPE zones among them, and now and then the
messages that end everything. Once a minute all is let go. Counted are notes that stay then, samples that are not
finite, clicks outside of onsets, and how much the process has grown since its first minute.
"""

from __future__ import annotations

import collections
import dataclasses
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import click
import mido
import numpy as np

from synth.bank import Preset, list_presets, load_preset
from synth.instrument import Instrument
from synth.instrument.channels import registered_controls
from synth.instrument.events import Event, Set, SetBlend

BLOCK_FRAMES = 64
CHANNELS = 4
_ONSET_S = 0.1  # from a key on: an attack may be as sharp as it is
_MINUTE_S = 60.0
_PAUSE_S = 2.0  # at a minute's end, after all keys: longer than any release that is played
_HELD_AT_ONCE = 12  # keys; more than the voices, so that some are stolen
# How often a second each kind of thing is done.
_NOTES, _BENDS, _WHEELS, _PEDALS, _PROGRAMS, _BLENDS, _MODES = 8.0, 6.0, 2.0, 1.0, 0.2, 1.0, 0.1
_REGISTERED, _ENDS = 0.2, 0.05
_CONTROLLERS = (1, 7, 10, 11, 16, 17, 74)
_ENDINGS = (120, 121, 123)  # all sound off, reset of all controllers, all notes off


@dataclasses.dataclass(kw_only=True)
class Report:
    """What came of it."""

    minutes: float = 0.0
    notes: int = 0
    events: int = 0
    stuck_notes: int = 0
    not_finite: int = 0  # samples
    clicks: int = 0  # outside of onsets
    memory_mb: float = 0.0  # after the first minute
    memory_growth: float = 0.0  # since then, as a share
    loudest: float = 0.0  # sample, before the limiter
    seconds: float = 0.0  # that it took


class Hands:
    """Random things to do, block by block; the same seed does the same."""

    def __init__(self, rng: np.random.Generator, *, instruments: Sequence[str], programs: int, rate_hz: int) -> None:
        self._rng = rng
        self._instruments = instruments
        self._programs = programs
        self._rate_hz = rate_hz
        self._down: collections.deque[tuple[int, int]] = collections.deque()  # channel, key

    def block(self) -> list[Event]:
        """What is done in the next block."""
        rng, events = self._rng, []
        for rate, act in (
            (_NOTES, self._strike),
            (_BENDS, lambda: [self._on_channel("pitchwheel", pitch=int(rng.integers(-8192, 8192)))]),
            (_WHEELS, lambda: [self._control(int(rng.choice(_CONTROLLERS)), int(rng.integers(128)))]),
            (_WHEELS, lambda: [self._on_channel("aftertouch", value=int(rng.integers(128)))]),
            (_WHEELS, self._press),
            (_PEDALS, lambda: [self._control(int(rng.choice((64, 66, 67))), int(rng.integers(2)) * 127)]),
            (_PROGRAMS, lambda: [self._on_channel("program_change", program=int(rng.integers(self._programs)))]),
            (_BLENDS, self._blend),
            (_MODES, lambda: [Set("mode", str(rng.choice(("poly", "poly", "mono", "legato"))))]),
            (_REGISTERED, self._register),
            (_ENDS, lambda: [self._control(int(rng.choice(_ENDINGS)), 0)]),
        ):
            for _ in range(rng.poisson(rate * BLOCK_FRAMES / self._rate_hz)):
                events += [(int(rng.integers(BLOCK_FRAMES)), message) for message in act()]
        return events

    def let_go(self) -> list[Event]:
        """Every key and every pedal up, as hands and feet do it."""
        events: list[Event] = [(0, _up(*key)) for key in self._down]
        self._down.clear()
        pedals = [(channel, pedal) for channel in range(CHANNELS) for pedal in (64, 66, 67)]
        return events + [(0, _control(channel, pedal, 0)) for channel, pedal in pedals]

    def _strike(self) -> list[mido.Message]:
        key = int(self._rng.integers(CHANNELS)), int(self._rng.integers(24, 108))
        messages = []
        if key in self._down:
            self._down.remove(key)
            messages.append(_up(*key))
        while len(self._down) >= self._rng.integers(1, _HELD_AT_ONCE + 1):
            messages.append(_up(*self._down.popleft()))
        self._down.append(key)
        velocity = int(self._rng.integers(1, 128))
        return [*messages, mido.Message("note_on", channel=key[0], note=key[1], velocity=velocity)]

    def _blend(self) -> list[SetBlend]:
        if self._rng.random() < 0.3:
            return [SetBlend(None)]
        count = int(self._rng.integers(1, min(4, len(self._instruments)) + 1))
        names = self._rng.choice(list(self._instruments), size=count, replace=False)
        return [SetBlend({str(name): float(self._rng.uniform(0.1, 1.0)) for name in names})]

    def _press(self) -> list[mido.Message]:
        """A key that is down, harder or less hard."""
        if not self._down:
            return []
        channel, key = self._down[int(self._rng.integers(len(self._down)))]
        return [mido.Message("polytouch", channel=channel, note=key, value=int(self._rng.integers(128)))]

    def _register(self) -> list[mido.Message]:
        """A bend range of up to two octaves, a tuning, or an MPE zone of the channels from the first one on."""
        parameter = int(self._rng.choice((0, 1, 2, 6)))
        data = {
            0: int(self._rng.integers(25)) << 7,
            1: int(self._rng.integers(1 << 14)),
            2: int(self._rng.integers(52, 77)) << 7,
            6: int(self._rng.integers(CHANNELS)) << 7,
        }[parameter]
        channel = 0 if parameter == 6 else int(self._rng.integers(CHANNELS))
        return [_control(channel, *pair) for pair in registered_controls(parameter, data)]

    def _on_channel(self, kind: str, **values: int) -> mido.Message:
        return mido.Message(kind, channel=int(self._rng.integers(CHANNELS)), **values)

    def _control(self, number: int, value: int) -> mido.Message:
        return _control(int(self._rng.integers(CHANNELS)), number, value)


def soak(
    instrument: Instrument,
    minutes: float,
    *,
    programs: int = 1,
    seed: int = 0,
    progress: Callable[[Report], None] = lambda _: None,
) -> Report:
    """Play for so many minutes of sound."""
    report, started_s = Report(), time.monotonic()
    rate = instrument.sample_rate_hz
    names = instrument.preset.bank.instruments
    hands = Hands(np.random.default_rng(seed), instruments=names, programs=programs, rate_hz=rate)
    left = round(minutes * _MINUTE_S * rate / BLOCK_FRAMES)
    minute = round((_MINUTE_S - _PAUSE_S) * rate / BLOCK_FRAMES)
    pause = round(_PAUSE_S * rate / BLOCK_FRAMES)
    room = np.zeros((max(minute, pause + 1) * BLOCK_FRAMES, 2), np.float32)  # once: this is no growth of the instrument
    while left > 0:
        playing = min(minute, max(left - pause, 1))
        _play(instrument, report, (hands.block() for _ in range(playing)), room)
        _play(instrument, report, [hands.let_go(), *([] for _ in range(pause))], room)
        report.stuck_notes += instrument.sounding
        left -= playing + pause
        report.minutes += (playing + pause) * BLOCK_FRAMES / rate / _MINUTE_S
        report.seconds = time.monotonic() - started_s
        memory_mb = _memory_mb()
        report.memory_mb = report.memory_mb or memory_mb
        report.memory_growth = memory_mb / report.memory_mb - 1.0
        progress(report)
    return report


def _play(instrument: Instrument, report: Report, blocks: Iterable[list[Event]], room: np.ndarray) -> None:
    """Play the blocks, and look at their sound in `room` [T, 2]."""
    onsets, end = [], 0
    for number, events in enumerate(blocks):
        strikes = [offset for offset, event in events if getattr(event, "type", "") == "note_on"]
        onsets += [number * BLOCK_FRAMES + offset for offset in strikes]
        report.notes += len(strikes)
        report.events += len(events)
        begin, end = end, end + BLOCK_FRAMES
        room[begin:end] = instrument.process(events, BLOCK_FRAMES)
    sound = room[:end]
    report.not_finite += int(np.count_nonzero(~np.isfinite(sound)))
    report.loudest = max(report.loudest, float(np.max(np.abs(sound))))
    for side in sound.T:
        report.clicks += clicks_outside(side, np.array(onsets, np.int64), rate_hz=instrument.sample_rate_hz)


def clicks_outside(audio: np.ndarray, onsets: np.ndarray, *, rate_hz: int) -> int:
    """Clicks in [T] that are not within a tenth of a second after one of the onsets [N], in samples, ascending."""
    from synth.analysis import click_positions

    positions = click_positions(audio)
    onsets = np.sort(onsets)
    if not len(onsets):
        return len(positions)
    before = np.searchsorted(onsets, positions + 2, side="right") - 1
    excused = (before >= 0) & (positions - onsets[np.maximum(before, 0)] < _ONSET_S * rate_hz)
    return int(np.count_nonzero(~excused))


def _up(channel: int, key: int) -> mido.Message:
    return mido.Message("note_off", channel=channel, note=key)


def _control(channel: int, number: int, value: int) -> mido.Message:
    return mido.Message("control_change", channel=channel, control=number, value=value)


def _memory_mb() -> float:
    """What the process keeps in memory now."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return float(fields["VmRSS"].split()[0]) / 1024


def programs_of(preset: Preset) -> Mapping[int, Preset]:
    """Every factory preset of the same model, as program changes choose them."""
    same = [info for info in list_presets() if info.factory and info.model_sha256 == preset.info.model_sha256]
    return {number: load_preset(str(info.folder)) for number, info in enumerate(same)}


@click.command()
@click.option("--minutes", default=30.0, show_default=True, type=click.FloatRange(0.1))
@click.option("--preset", default="factory", show_default=True)
@click.option("--voices", default=8, show_default=True, type=click.IntRange(1, 64))
@click.option("--seed", default=0, show_default=True)
def main(minutes: float, preset: str, voices: int, seed: int) -> None:
    """Play random MIDI on a preset and report what went wrong, as JSON, minute by minute."""
    loaded = load_preset(preset)
    programs = programs_of(loaded)
    instrument = Instrument(loaded, voices=voices, programs=programs)
    instrument.warm_up(BLOCK_FRAMES)
    soak(
        instrument,
        minutes,
        programs=len(programs),
        seed=seed,
        progress=lambda report: click.echo(json.dumps(dataclasses.asdict(report))),
    )


if __name__ == "__main__":
    main()
