"""What MIDI keeps a channel: controllers, pedals, bend, pressure, registered parameters, and MPE zones.

Sources: MIDI 1.0 Detailed Specification 4.2; RP-015 (reset of all controllers); RP-036 (pan); MPE 1.0 (RP-053).
"""

from __future__ import annotations

import dataclasses
from typing import overload

import mido
import numpy as np

from synth.instrument.ramp import Ramp, Times

SMOOTHING_MS = 5.0  # from one controller value to the next
MEMBER_BEND_SEMITONES, MASTER_BEND_SEMITONES = 48.0, 2.0  # in an MPE zone
AT_REST = {1: 0, 7: 100, 10: 64, 11: 127, 74: 64}  # controllers that parameters can take over
_REGISTERED = (6, 38, *range(96, 102))
_LOWER_MASTER, _UPPER_MASTER = 0, 15


@dataclasses.dataclass(frozen=True)
class Controller:
    """A controller that every channel has for itself."""

    number: int
    name: str
    meaning: str


CONTROLLERS = (
    Controller(0, "bank select", "the upper 7 bits of the bank that the next program change chooses from"),
    Controller(1, "modulation", "vibrato, as deep as wheel_vibrato_cents; a source of modulation"),
    Controller(6, "data entry", "the registered parameter's value"),
    Controller(7, "volume", "loudness, squared"),
    Controller(10, "pan", "from left to right"),
    Controller(11, "expression", "loudness, squared"),
    Controller(32, "bank select, fine", "its lower 7 bits"),
    Controller(38, "data entry, fine", "the registered parameter's value, its lower 7 bits"),
    Controller(64, "sustain pedal", "64 and more: notes last until it is lifted"),
    Controller(66, "sostenuto pedal", "64 and more: the notes that are held now last until it is lifted"),
    Controller(67, "soft pedal", "64 and more: new notes are played more softly"),
    Controller(74, "brightness", "64 is neutral; a source of modulation"),
    Controller(96, "data increment", "the registered parameter's value, one step up"),
    Controller(97, "data decrement", "one step down"),
    Controller(98, "NRPN, fine", "deselects the registered parameter"),
    Controller(99, "NRPN", "deselects the registered parameter"),
    Controller(100, "RPN, fine", "0 bend range, 1 fine tuning, 2 coarse tuning, 6 MPE zone"),
    Controller(101, "RPN", "0, or 127 to deselect"),
    Controller(120, "all sound off", "silence at once"),
    Controller(121, "reset all controllers", "bend, wheel, expression, pressure and pedals"),
    Controller(123, "all notes off", "every key is let go; what a pedal holds sounds on (124 to 127 the same)"),
)


class Channel:
    """One channel's state. Pressure is 0 to 1, bend -1 to 1."""

    def __init__(self, smoothing: int) -> None:
        self._smoothing = smoothing
        self.bend = Ramp(0.0, smoothing)
        self.bend_range = Ramp(0.0, smoothing)  # semitones
        self.tuning = Ramp(0.0, smoothing)  # semitones
        self.wheel = Ramp(0.0, smoothing)
        self.pressure = Ramp(0.0, smoothing)
        self.brightness = Ramp(0.0, smoothing)  # -1 to 1
        self.gain = Ramp(0.0, smoothing)
        self.pan = Ramp(0.0, smoothing)  # -1 to 1
        self._ramps = [self.bend, self.bend_range, self.tuning]
        self._ramps += [self.wheel, self.pressure, self.brightness, self.gain, self.pan]
        self.key_pressure: dict[int, Ramp] = {}
        self.reset()

    def reset(self) -> None:
        """As a channel is when the power comes on; its bend range is for `Channels` to say."""
        self._volume, self._expression = 100 / 127, 1.0
        self.has_own_range = False  # of bends, by RPN 0 or a zone
        self.sustain = self.sostenuto = self.soft = False
        self.bank = 0
        self._fine, self._coarse = 0.0, 0.0
        self._registered: tuple[int, int] | None = None
        self._data = 0
        for ramp in (self.bend, self.tuning, self.wheel, self.pressure, self.brightness, self.pan):
            ramp.jump(0.0)
        self.gain.jump(self._loudness())
        self.key_pressure.clear()

    def _loudness(self) -> float:
        return (self._volume * self._expression) ** 2

    def forget(self, before: int) -> None:
        """Nobody will ask for times earlier than `before`."""
        for ramp in self._ramps:
            ramp.forget(before)
        for ramp in self.key_pressure.values():
            ramp.forget(before)

    def messages(self, number: int) -> list[mido.Message]:
        """What brings a channel that is at rest to where this one is, as messages on channel `number`."""
        places = (
            *((0, self.bank >> 7), (32, self.bank & 0x7F), (1, round(127 * self.wheel.target))),
            *((7, round(127 * self._volume)), (11, round(127 * self._expression))),
            *((10, round(64 + 63 * self.pan.target)), (74, round(64 + 63 * self.brightness.target))),
            *((64, 127 * self.sustain), (66, 127 * self.sostenuto), (67, 127 * self.soft)),
        )
        controls = [(control, value) for control, value in places if value != AT_REST.get(control, 0)]
        moved = (self.has_own_range, self._fine != 0.0, self._coarse != 0.0)
        for parameter in np.flatnonzero(moved).tolist():
            controls += registered_controls(parameter, self._data_of(parameter))
        fine, coarse = self._registered or (127, 127)
        if controls or self._registered:
            controls += [(101, coarse), (100, fine)]
        found = [mido.Message("control_change", channel=number, control=c, value=value) for c, value in controls]
        pitch = round(self.bend.target * (8191 if self.bend.target > 0 else 8192))
        if pitch:
            found.append(mido.Message("pitchwheel", channel=number, pitch=pitch))
        if self.pressure.target:
            found.append(mido.Message("aftertouch", channel=number, value=round(127 * self.pressure.target)))
        for key, ramp in list(self.key_pressure.items()):
            if ramp.target:
                found.append(mido.Message("polytouch", channel=number, note=key, value=round(127 * ramp.target)))
        return found

    def set_bend(self, at: int, pitch: int) -> None:
        self.bend.move(at, pitch / (8191.0 if pitch > 0 else 8192.0))

    def set_bend_range(self, at: int, semitones: float, *, own: bool) -> None:
        self.has_own_range = own
        self.bend_range.move(at, semitones)

    def set_key_pressure(self, at: int, key: int, value: int) -> None:
        self.key_pressure.setdefault(key, Ramp(0.0, self._smoothing)).move(at, value / 127.0)

    def forget_key_pressure(self, at: int, key: int) -> None:
        """A key is struck: how hard it was pressed before does not matter any more."""
        if key in self.key_pressure:
            self.set_key_pressure(at, key, 0)

    @overload
    def pressure_over(self, key: int, times: int) -> float: ...

    @overload
    def pressure_over(self, key: int, times: Times) -> float | np.ndarray: ...

    def pressure_over(self, key: int, times: Times) -> float | np.ndarray:
        """Channel pressure, or the key's own where that is more."""
        pressure = self.pressure.over(times)
        own = self.key_pressure.get(key)
        if own is None:
            return pressure
        larger = np.maximum(pressure, own.over(times))
        return float(larger) if isinstance(times, int) else larger  # as without: a blend's roundings depend on it

    def control(self, at: int, number: int, value: int) -> None:
        """A controller that concerns this channel alone; pedals and the like are the instrument's to act on."""
        if number in (0, 32):
            self.bank = value << 7 | self.bank & 0x7F if number == 0 else self.bank & ~0x7F | value
        elif number == 1:
            self.wheel.move(at, value / 127.0)
        elif number in (7, 11):
            if number == 7:
                self._volume = value / 127.0
            else:
                self._expression = value / 127.0
            self.gain.move(at, self._loudness())
        elif number == 10:
            self.pan.move(at, float(np.clip((value - 64) / 63.0, -1.0, 1.0)))
        elif number == 74:
            self.brightness.move(at, float(np.clip((value - 64) / 63.0, -1.0, 1.0)))
        elif number == 67:
            self.soft = value >= 64
        elif number in _REGISTERED:
            self._register(at, number, value)

    def _register(self, at: int, number: int, value: int) -> None:
        """The controllers that choose a registered parameter and give it a value."""
        fine, coarse = self._registered or (127, 127)
        match number:
            case 98 | 99:
                self._registered = None
            case 100 | 101:
                self._registered = (value, coarse) if number == 100 else (fine, value)
                self._data = self._data_of(self.registered)
            case 6:
                self._data = value << 7
                self._enter_data(at)
            case 38:
                self._data = self._data & 0x3F80 | value
                self._enter_data(at)
            case _:
                self._step(at, 1 if number == 96 else -1)

    @property
    def registered(self) -> int | None:
        """The registered parameter that data entry sets now."""
        return self._registered[0] if self._registered and self._registered[1] == 0 else None

    def _data_of(self, parameter: int | None) -> int:
        """A registered parameter's present value as data entry would set it: 14 bits."""
        if parameter == 0:
            semitones, cents = divmod(self._bend_range_cents(), 100)
            return semitones << 7 | cents
        if parameter == 1:
            return round(8192 * self._fine) + 8192
        if parameter == 2:
            return round(self._coarse + 64) << 7
        return 0

    def _bend_range_cents(self) -> int:
        return round(100 * self.bend_range.target)

    def _step(self, at: int, way: int) -> None:
        """Data increment or decrement (RP-018): by a cent of bend range, a semitone of coarse tuning, else by one."""
        if self.registered == 0:
            cents = int(np.clip(self._bend_range_cents() + way, 0, 12_799))
            self._data = cents // 100 << 7 | cents % 100
        else:
            self._data = int(np.clip(self._data + way * (128 if self.registered == 2 else 1), 0, 0x3FFF))
        self._enter_data(at)

    def _enter_data(self, at: int) -> None:
        if self.registered == 0:
            self.set_bend_range(at, (self._data >> 7) + min(self._data & 127, 99) / 100.0, own=True)
        elif self.registered == 1:
            self._fine = (self._data - 8192) / 8192.0
        elif self.registered == 2:
            self._coarse = float((self._data >> 7) - 64)
        self.tuning.move(at, self._fine + self._coarse)

    def reset_controllers(self, at: int) -> None:
        """RP-015: what a player moves goes to rest; volume, pan, sound controllers such as 74 and tuning stay."""
        for ramp in (self.bend, self.wheel, self.pressure, *self.key_pressure.values()):
            ramp.move(at, 0.0)
        self._expression = 1.0
        self.gain.move(at, self._loudness())
        self.sustain = self.sostenuto = self.soft = False
        self._registered = None


def registered_controls(parameter: int, data: int) -> list[tuple[int, int]]:
    """Controllers and values that give a registered parameter 14 bits of data."""
    return [(101, 0), (100, parameter), (6, data >> 7), (38, data & 0x7F)]


class Channels:
    """The 16 channels and the MPE zones among them.

    Args:
      mpe_members: member channels of a lower zone from the start; 0: none until RPN 6 sets one up.
      bend_range: semitones, of channels that have none of their own.
    """

    def __init__(self, sample_rate_hz: int, *, mpe_members: int = 0, bend_range: float = 2.0) -> None:
        self.mpe_members = mpe_members
        self._forgetful = 0
        self._all = [Channel(round(SMOOTHING_MS * sample_rate_hz / 1000)) for _ in range(16)]
        self.reset(bend_range)

    def __getitem__(self, number: int) -> Channel:
        return self._all[number]

    def reset(self, bend_range: float) -> None:
        self._usual_range = bend_range
        self._members = {_LOWER_MASTER: 0, _UPPER_MASTER: 0}
        for channel in self._all:
            channel.reset()
            channel.bend_range.jump(bend_range)
        if self.mpe_members:
            self.set_zone(0, _LOWER_MASTER, self.mpe_members)
            for channel in self._all:
                channel.bend_range.jump(channel.bend_range.target)

    def set_usual_bend_range(self, at: int, semitones: float) -> None:
        """The bend range of channels that have none of their own."""
        self._usual_range = semitones
        for channel in self._all:
            if not channel.has_own_range:
                channel.set_bend_range(at, semitones, own=False)

    def set_zone(self, at: int, master: int, members: int) -> None:
        """Give a master channel (0 or 15) so many members next to it; the other zone shrinks to make room."""
        members = min(members, 15)
        former = [number for other, count in self._members.items() if count for number in self.under(other)]
        other = _UPPER_MASTER if master == _LOWER_MASTER else _LOWER_MASTER
        self._members[master] = members
        self._members[other] = max(0, min(self._members[other], 14 - members))
        for number in former:
            if self.master(number) is None and not self._members.get(number):  # in no zone any more
                self._all[number].set_bend_range(at, self._usual_range, own=False)
        self._all[master].set_bend_range(at, MASTER_BEND_SEMITONES if members else self._usual_range, own=members > 0)
        for number in self.under(master)[1:]:
            self._all[number].set_bend_range(at, MEMBER_BEND_SEMITONES, own=True)

    def forget(self, before: int) -> None:
        """Nobody will ask for times earlier than `before`. Asked at each block, it takes one channel at a time."""
        self._all[self._forgetful].forget(before)
        self._forgetful = (self._forgetful + 1) % len(self._all)

    def messages(self) -> list[mido.Message]:
        """What brings all channels from rest to where they are: zones first, since they set bend ranges."""
        zones = [
            mido.Message("control_change", channel=master, control=control, value=value)
            for master, members in self._members.items()
            if members != (self.mpe_members if master == _LOWER_MASTER else 0)
            for control, value in (*registered_controls(6, members << 7)[:-1], (101, 127), (100, 127))
        ]
        return zones + [message for number, channel in enumerate(self._all) for message in channel.messages(number)]

    def rest(self, at: int, control: int) -> None:
        """A parameter has taken this controller over: what it was to the channels is as if it had not been moved."""
        for channel in self._all if control in AT_REST else ():
            channel.control(at, control, AT_REST[control])

    def under(self, number: int) -> list[int]:
        """The channels that a message on this one concerns: its members too if it is a zone's master."""
        members = self._members.get(number, 0)
        step = 1 if number == _LOWER_MASTER else -1
        return [number, *(number + step * i for i in range(1, members + 1))]

    def master(self, number: int) -> int | None:
        """The master of the zone in which this channel is a member."""
        if 0 < number <= self._members[_LOWER_MASTER]:
            return _LOWER_MASTER
        if _UPPER_MASTER > number >= _UPPER_MASTER - self._members[_UPPER_MASTER]:
            return _UPPER_MASTER
        return None

    def numbers_of_note(self, number: int) -> tuple[int, ...]:
        """The channels that concern a note on this one: its own, and its zone's master's."""
        master = self.master(number)
        return (number,) if master is None else (number, master)

    def of_note(self, number: int) -> tuple[Channel, ...]:
        """Those whose bend, pressure and the like add up for a note."""
        return tuple(self._all[of] for of in self.numbers_of_note(number))

    def control(self, at: int, number: int, control: int, value: int) -> None:
        """A controller; RPN 6 on a master sets up its zone, and a member's bend range is that of all members."""
        channel = self._all[number]
        channel.control(at, control, value)
        if control == 6 and channel.registered == 6 and number in self._members:
            self.set_zone(at, number, value)
        if control in (6, 38, 96, 97) and channel.registered == 0 and (master := self.master(number)) is not None:
            for member in self.under(master)[1:]:
                self._all[member].set_bend_range(at, channel.bend_range.target, own=True)
