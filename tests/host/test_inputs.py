"""Ports that come and go, with a MIDI system that a test plays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import mido
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth.errors import WavekeysError
from synth.host import midi
from synth.host.midi import Held, Inputs, plan_inputs


class RtMidiError(Exception):
    """RtMidi's own, of which only some are OSError too."""


class FakeSystem:
    """As much of RtMidi as we use; a test puts ports into `names` and takes them out."""

    API_UNIX_JACK, API_LINUX_ALSA = 1, 2
    RtMidiError = RtMidiError

    def __init__(self) -> None:
        self.names: list[str] = []
        self.open: dict[str, Any] = {}
        self.opened: list[Any] = []
        self.alive = 0  # inputs that were made and not deleted
        self.late: list[mido.Message] = []  # that come while a port is being closed
        system = self

        class MidiIn:
            def __init__(self, _api: int, _client: str) -> None:
                self.name = ""
                system.alive += 1

            def get_ports(self) -> list[str]:
                return list(system.names)

            def set_callback(self, callback: Any) -> None:
                self.callback = callback

            def open_port(self, index: int, _name: str) -> None:
                if system.names[index].startswith("busy"):
                    raise RtMidiError("the port is taken")
                self.name = system.names[index]
                system.open[self.name] = self
                system.opened.append(self)

            def open_virtual_port(self, name: str) -> None:
                self.name = name
                system.open[name] = self

            def close_port(self) -> None:
                system.open.pop(self.name, None)
                for message in system.late:
                    self.callback((message.bytes(), 0.0), None)

            def delete(self) -> None:
                system.alive -= 1

        self.MidiIn = MidiIn

    def get_compiled_api(self) -> list[int]:
        return [self.API_LINUX_ALSA]

    def play(self, name: str, *messages: mido.Message) -> None:
        for message in messages:
            self.open[name].callback((message.bytes(), 0.0), None)


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSystem]:
    fake = FakeSystem()
    monkeypatch.setattr(midi, "_rtmidi", lambda: fake)
    midi._systems.cache_clear()
    yield fake
    midi._leave(midi._systems())
    midi._systems.cache_clear()


@pytest.fixture
def heard() -> list[list[int]]:
    return []


def opened(wanted: str, heard: list[list[int]]) -> Inputs:
    return Inputs(plan_inputs(wanted), lambda _time, data: heard.append(list(data)))


def on(key: int, channel: int = 0) -> mido.Message:
    return mido.Message("note_on", note=key, channel=channel)


def test_a_keyboard_that_is_plugged_in_while_playing_is_heard(system: FakeSystem, heard: list[list[int]]) -> None:
    system.names = ["Keystation"]
    inputs = opened("all", heard)
    system.names = ["nanoKEY", "Keystation"]
    assert inputs.look() == ["nanoKEY is there"]
    system.play("nanoKEY", on(60))
    assert heard == [on(60).bytes()]
    assert inputs.look() == []
    assert inputs.names == ["Keystation", "nanoKEY"]


def test_a_port_is_found_by_its_name_when_the_list_has_moved_up(system: FakeSystem, heard: list[list[int]]) -> None:
    system.names = ["Keystation", "nanoKEY", "nanoKEY"]
    plan = plan_inputs("nano")
    system.names = ["nanoKEY", "another", "nanoKEY"]  # while the instruments were loaded
    inputs = Inputs(plan, lambda _time, data: heard.append(list(data)))
    assert [port.name for port in system.opened] == ["nanoKEY", "nanoKEY"]
    assert inputs.look() == []


def test_a_port_that_is_gone_before_it_is_opened_is_told_or_waited_for(system: FakeSystem) -> None:
    system.names = ["Keystation", "nanoKEY"]
    every, one = plan_inputs("all"), plan_inputs("nano")
    system.names = ["Keystation"]
    with pytest.raises(WavekeysError, match="MIDI: port 'nanoKEY' cannot be opened: it is there no longer"):
        Inputs(one, lambda *_: None)
    inputs = Inputs(every, lambda *_: None)
    assert inputs.names == ["Keystation"]
    system.names = ["Keystation", "nanoKEY"]
    assert inputs.look() == ["nanoKEY is there"]


def test_a_port_that_refuses_is_told_and_left_alone(system: FakeSystem, heard: list[list[int]]) -> None:
    system.names = ["busy one"]
    with pytest.raises(WavekeysError, match="MIDI: port 'busy one' cannot be opened: the port is taken"):
        opened("all", heard)
    assert system.alive == 0
    system.names = ["Keystation"]
    inputs = opened("all", heard)
    system.names.append("busy one")
    assert inputs.look() == []
    alive = system.alive
    assert inputs.look() == []
    assert system.alive == alive
    inputs.close()
    assert system.alive == 0


def test_a_pulled_keyboard_lets_go_of_its_notes_and_pedals_alone(system: FakeSystem, heard: list[list[int]]) -> None:
    system.names = ["a", "b"]
    inputs = opened("all", heard)
    pedal = mido.Message("control_change", control=64, value=127)
    system.play("a", on(60), on(62), mido.Message("note_off", note=60), pedal)
    system.play("b", on(70))
    heard.clear()
    system.names = ["b"]
    assert inputs.look() == ["a was pulled"]
    assert heard == [[0xB0, 64, 0], [0x80, 62, 0]]
    system.names = ["a", "b"]
    assert inputs.look() == ["a is there"]


def test_without_a_keyboard_our_own_port_is_open_and_one_that_comes_is_opened_too(
    system: FakeSystem, heard: list[list[int]]
) -> None:
    inputs = opened("all", heard)
    assert inputs.names == ["wavekeys"]
    system.names = ["Keystation"]
    inputs.look()
    assert inputs.names == ["wavekeys", "Keystation"]


def test_a_port_that_was_asked_for_by_name_is_the_only_one_opened(system: FakeSystem, heard: list[list[int]]) -> None:
    system.names = ["Keystation", "nanoKEY"]
    inputs = opened("nano", heard)
    system.names = ["Keystation", "another"]
    assert inputs.look() == ["nanoKEY was pulled"]
    assert inputs.names == []
    system.names = ["Keystation", "nanoKEY"]
    assert inputs.look() == ["nanoKEY is there"]


def test_after_the_system_was_restarted_every_port_is_opened_anew(system: FakeSystem, heard: list[list[int]]) -> None:
    system.names = ["Keystation"]
    inputs = opened("all", heard)
    system.play("Keystation", on(60))
    before = system.open["Keystation"]
    system.late = [on(62)]
    inputs.renew()
    system.late = []
    assert heard[-3:] == [[0x90, 62, 64], [0x80, 60, 0], [0x80, 62, 0]]
    inputs.look()
    assert system.open["Keystation"] is not before


@given(st.lists(st.lists(st.integers(0, 255), max_size=4)))
def test_whatever_came_letting_go_ends_every_note_that_is_held(messages: Sequence[Sequence[int]]) -> None:
    held = Held()
    sounding: set[tuple[int, int]] = set()
    for message in messages:
        held.see(message)
        if len(message) == 3 and message[0] >> 4 in (8, 9):
            at = (message[0] & 15, message[1])
            (sounding.add if message[0] >> 4 == 9 and message[2] else sounding.discard)(at)
    ends = {(end[0] & 15, end[1]) for end in held.let_go() if end[0] >> 4 == 8}
    assert ends == sounding
    assert held.let_go() == []


def test_letting_go_brings_wheels_pedals_and_pressures_to_rest() -> None:
    moved = [
        mido.Message("pitchwheel", channel=1, pitch=3000),
        mido.Message("aftertouch", channel=1, value=90),
        mido.Message("polytouch", channel=1, note=60, value=70),
        *(mido.Message("control_change", channel=2, control=number, value=70) for number in (1, 7, 11, 64, 67)),
    ]
    rest = [
        *(mido.Message("polytouch", channel=1, note=60, value=0), mido.Message("aftertouch", channel=1, value=0)),
        mido.Message("pitchwheel", channel=1, pitch=0),
    ]
    # Wheel and expression may have been taught anything: they are reset with all controllers.
    rest += [mido.Message("control_change", channel=2, control=number) for number in (67, 121)]
    held = Held()
    for message in [*moved, mido.Message("control_change", channel=2, control=64)]:
        held.see(message.bytes())
    assert held.let_go() == sorted(message.bytes() for message in rest)
    back = [mido.Message("control_change", channel=2, control=number, value=n) for number, n in ((1, 0), (11, 127))]
    for message in [*moved, *rest[:-1], *back]:
        held.see(message.bytes())
    assert held.let_go() == [[0xB2, 64, 0]]  # 7 stays where the player has put it
    for message in [*moved, *(mido.Message("control_change", channel=channel, control=121) for channel in (1, 2))]:
        held.see(message.bytes())
    assert held.let_go() == []


def test_two_keyboards_of_one_name_are_both_heard(system: FakeSystem, heard: list[list[int]]) -> None:
    system.names = ["Keystation", "Keystation"]
    inputs = opened("all", heard)
    first, second = system.opened
    for port in (first, second):
        port.callback((on(60).bytes(), 0.0), None)
    assert heard == 2 * [on(60).bytes()]
    heard.clear()
    system.names = ["Keystation"]
    assert inputs.look() == 2 * ["Keystation was pulled"] + ["Keystation is there"]  # nobody knows which one it was
    assert heard == 2 * [[0x80, 60, 0]]
    system.opened[-1].callback((on(61).bytes(), 0.0), None)
    assert heard[-1] == on(61).bytes()
