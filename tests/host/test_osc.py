"""Open Sound Control, over real loopback UDP, with a desk that only remembers."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mido
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pythonosc.osc_bundle_builder import IMMEDIATELY, OscBundleBuilder
from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import OscMessageBuilder

from synth.errors import WavekeysError
from synth.host.desk import PartStatus, Status
from synth.host.osc import OscServer
from synth.host.osc.addresses import _OF_A_PART, _OF_THE_HOST, ERROR, OF_A_PART, OF_THE_HOST
from synth.host.osc.echoes import GONE_AFTER_S, SUBSCRIBERS
from synth.host.osc.page import page
from synth.host.osc.wire import MAX_DATAGRAM_BYTES, write
from synth.instrument import PARAMETERS, Parameter
from synth.testing import FakeClock
from synth.testing.desk import FakeDesk

WAIT_S = 5.0  # for a datagram that must come; loopback takes less than 1 ms
LEVELS = "/wavekeys/level_db"
GAIN = "/wavekeys/glass_bow/gain_db"
POLY = PARAMETERS["mode"].choices[0]


def part(name: str) -> PartStatus:
    return PartStatus(
        name=name,
        preset="glass-bow",
        edited=False,
        channel=None,
        sounding=0,
        voices=8,
        blend={"bow": 0.5, "glass": 0.5},
        parameters={parameter.id: float(parameter.default) for parameter in PARAMETERS.values()},
        controllers={1: "speed"},
        learning=None,
    )


class ObedientDesk(FakeDesk):
    """Does what it is told of parameters and presets, and can do no more than that."""

    def __init__(self) -> None:
        super().__init__(
            Status(
                parts=(part("glass bow"), part("duo")),
                presets=("duo", "glass-bow"),
                level_db=(-math.inf, -math.inf),
                limiting=False,
                load=0.25,
                underruns=0,
                recording=None,
                recorded_s=0.0,
                latency_ms=12.5,
                remark="",
            )
        )

    def change(self, **fields: Any) -> Status:
        self.now = dataclasses.replace(self.now, **fields)
        return self.now

    def midi(self, message: mido.Message) -> None:
        self.calls.append(("midi", message.hex()))

    def set(self, part: str, parameter: str, value: float | str) -> None:
        super().set(part, parameter, value)
        self.change(
            parts=tuple(
                dataclasses.replace(known, parameters={**known.parameters, parameter: value})
                if known.name == part
                else known
                for known in self.now.parts
            )
        )

    def load_preset(self, part: str, preset: str) -> None:
        if preset not in self.now.presets:
            raise WavekeysError(f"no preset {preset!r};\nthere are duo, glass-bow")
        super().load_preset(part, preset)

    def stop(self) -> None:
        raise RuntimeError("broken on purpose")


class Client:
    """Sends from one port and listens on it."""

    def __init__(self, server: OscServer) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(WAIT_S)
        self.place = self.socket.getsockname()
        self._server = ("127.0.0.1", server.port)

    def send(self, address: str, *values: Any) -> None:
        self.send_bytes(write(address, values))

    def send_bytes(self, datagram: bytes) -> None:
        self.socket.sendto(datagram, self._server)

    def receive(self) -> tuple[Any, ...]:
        message = OscMessage(self.socket.recv(1 << 16))
        return (message.address, *message.params)

    def ask(self, address: str, *values: Any) -> tuple[Any, ...]:
        self.send(address, *values)
        return self.receive()

    def settle(self) -> list[tuple[Any, ...]]:
        """All that came, after everything that was sent until now has been handled."""
        self.send("/wavekeys/latency_ms")
        return self.until("/wavekeys/latency_ms", 12.5)

    def until(self, *last: Any) -> list[tuple[Any, ...]]:
        messages: list[tuple[Any, ...]] = []
        while (message := self.receive()) != last:
            messages.append(message)
        return messages

    def whole_state(self, status: Status) -> list[tuple[Any, ...]]:
        tables = [OF_THE_HOST, *[OF_A_PART] * len(status.parts)]
        return [self.receive() for table in tables for address in table.values() if address.shows is not None]

    def subscribe(self, server: OscServer, status: Status) -> list[tuple[Any, ...]]:
        """And take in the whole state."""
        self.send("/wavekeys/subscribe")
        self.settle()
        server.echo(status)
        return self.whole_state(status)


@pytest.fixture
def desk() -> ObedientDesk:
    return ObedientDesk()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def server(desk: ObedientDesk, clock: FakeClock) -> Iterator[OscServer]:
    with OscServer(desk, port=0, clock=clock) as server:
        yield server


@pytest.fixture
def client(server: OscServer) -> Iterator[Client]:
    client = Client(server)
    with contextlib.closing(client.socket):
        yield client


# The table.


def test_no_two_addresses_are_the_same() -> None:
    assert len(OF_THE_HOST) == len(_OF_THE_HOST)
    assert len(OF_A_PART) == len(_OF_A_PART) + len(PARAMETERS)


def test_the_page_is_what_the_table_says() -> None:
    assert (Path(__file__).parents[2] / "docs" / "osc.md").read_text(encoding="utf-8") == page()


# Commands.


@pytest.mark.parametrize(
    ("message", "call"),
    [
        (("/wavekeys/note", 60, 100), ("midi", "90 3C 64")),
        (("/wavekeys/note", 60.0, 0.0, 16), ("midi", "9F 3C 00")),
        (("/wavekeys/midi", b"\xe0\x00\x40"), ("midi", "E0 00 40")),
        (("/wavekeys/midi", 0xB0, 1, 64), ("midi", "B0 01 40")),
        (("/wavekeys/midi", (0, 0xC3, 5, 0)), ("midi", "C3 05")),
        (("/wavekeys/panic",), ("panic",)),
        (("/wavekeys/panic", 1.0), ("panic",)),
        (("/wavekeys/record", 1), ("record", True)),
        (("/wavekeys/record", False), ("record", False)),
        (("/wavekeys/duo/preset", "glass-bow"), ("load_preset", "duo", "glass-bow")),
        (("/wavekeys/duo/step_preset", -1), ("step_preset", "duo", -1)),
        (("/wavekeys/duo/save", "mine"), ("save_preset", "duo", "mine")),
        (("/wavekeys/duo/blend", "bow", 0.25, "glass", 1), ("set_blend", "duo", {"bow": 0.25, "glass": 1.0})),
        (("/wavekeys/duo/reset_blend",), ("set_blend", "duo", None)),
        (("/wavekeys/duo/learn", "speed"), ("learn", "duo", "speed")),
        (("/wavekeys/duo/learn", ""), ("learn", "duo", None)),
        (("/wavekeys/duo/forget", "speed"), ("forget", "duo", "speed")),
        (("/wavekeys/glass_bow/mode", "legato"), ("set", "glass bow", "mode", 2.0)),
        (("/wavekeys/duo/mode", 1), ("set", "duo", "mode", 1.0)),
        (("/wavekeys/duo/hold", True), ("set", "duo", "hold", 1.0)),
    ],
)
def test_a_message_calls_the_desk(
    desk: ObedientDesk, client: Client, message: tuple[Any, ...], call: tuple[Any, ...]
) -> None:
    client.send(*message)
    assert client.settle() == []
    assert desk.calls == [call]


@pytest.mark.parametrize("parameter", PARAMETERS.values(), ids=PARAMETERS)
def test_every_parameter_comes_back_as_it_was_set(
    desk: ObedientDesk, server: OscServer, client: Client, parameter: Parameter
) -> None:
    address = f"/wavekeys/duo/{parameter.id}"
    for fraction in (0.0, 0.3, 1.0):
        value = parameter.at(fraction)
        sent = parameter.choices[round(value)] if parameter.choices else value
        as_float = pytest.approx(value, rel=1e-6)  # 32 bits keep 6e-8
        client.send(address, sent)
        client.settle()
        assert desk.calls[-1] == ("set", "duo", parameter.id, as_float)
        server.echo(desk.status())
        assert client.ask(address) == (address, sent if parameter.choices else as_float)


def test_limits_and_defaults_stay_themselves_through_32_bits(desk: ObedientDesk, client: Client) -> None:
    for parameter in PARAMETERS.values():
        for value in (parameter.low, parameter.default, parameter.high):
            client.send(f"/wavekeys/duo/{parameter.id}", float(value))
            assert client.settle() == []
            assert desk.calls[-1] == ("set", "duo", parameter.id, value)


def test_a_button_does_nothing_as_it_comes_up(desk: ObedientDesk, client: Client) -> None:
    client.send("/wavekeys/panic", 0.0)
    client.send("/wavekeys/duo/reset_blend", 0)
    assert client.settle() == []
    assert desk.calls == []


def test_a_bundle_is_acted_on_at_once_in_its_order(desk: ObedientDesk, client: Client) -> None:
    inner, outer = OscBundleBuilder(IMMEDIATELY), OscBundleBuilder(int(time.time()) + 3600)
    inner.add_content(OscMessage(write("/wavekeys/panic", [])))
    outer.add_content(OscMessage(write("/wavekeys/note", [60, 1])))
    outer.add_content(inner.build())
    outer.add_content(OscMessage(write("/wavekeys/note", [60, 0])))
    client.send_bytes(outer.build().dgram)
    client.settle()
    assert desk.calls == [("midi", "90 3C 01"), ("panic",), ("midi", "90 3C 00")]


# Queries.


@pytest.mark.parametrize(
    "answer",
    [
        ("/wavekeys/parts", "glass_bow", "duo"),
        ("/wavekeys/presets", "duo", "glass-bow"),
        ("/wavekeys/record", 0, ""),
        (LEVELS, -120.0, -120.0),
        ("/wavekeys/load", 0.25),
        ("/wavekeys/glass_bow/name", "glass bow"),
        ("/wavekeys/duo/preset", "glass-bow"),
        ("/wavekeys/duo/blend", "bow", 0.5, "glass", 0.5),
        ("/wavekeys/duo/channel", 0),
        ("/wavekeys/duo/controllers", 1, "speed"),
        ("/wavekeys/duo/learn", ""),
        ("/wavekeys/duo/mode", POLY),
    ],
)
def test_an_address_without_values_answers_what_it_shows(client: Client, answer: tuple[Any, ...]) -> None:
    assert client.ask(answer[0]) == answer


def test_a_message_without_types_is_a_query(client: Client) -> None:
    client.send_bytes(b"/wavekeys/load\0\0")
    assert client.receive() == ("/wavekeys/load", 0.25)


def test_more_presets_than_a_datagram_holds_are_cut_off(desk: ObedientDesk, server: OscServer, client: Client) -> None:
    server.echo(desk.change(presets=tuple(f"preset {number}" for number in range(5000))))
    client.send("/wavekeys/presets")
    datagram = client.socket.recv(1 << 16)
    assert MAX_DATAGRAM_BYTES / 2 < len(datagram) <= MAX_DATAGRAM_BYTES


def test_parts_whose_words_would_be_the_same_are_numbered(
    desk: ObedientDesk, server: OscServer, client: Client
) -> None:
    server.echo(desk.change(parts=tuple(map(part, ("a/b", "a b", "a_b", "")))))
    assert client.ask("/wavekeys/parts") == ("/wavekeys/parts", "a_b", "a_b_2", "a_b_3", "_")
    assert client.ask("/wavekeys/a_b_2/name") == ("/wavekeys/a_b_2/name", "a b")


# Echoes.


def test_a_subscriber_first_gets_the_whole_state(desk: ObedientDesk, server: OscServer, client: Client) -> None:
    messages = client.subscribe(server, desk.status())
    assert len({message[0] for message in messages}) == len(messages)
    assert (GAIN, 0.0) in messages
    assert client.settle() == []


def test_a_change_is_echoed_to_every_subscriber_and_to_the_one_that_made_it(
    desk: ObedientDesk, server: OscServer, client: Client
) -> None:
    other = Client(server)
    with contextlib.closing(other.socket):
        client.subscribe(server, desk.status())
        other.subscribe(server, desk.status())
        server.echo(desk.status())
        client.settle()
        client.send(GAIN, -6.0)
        client.settle()
        server.echo(desk.status())
        assert client.settle() == [(GAIN, -6.0)]
        assert other.settle() == [(GAIN, -6.0)]


def test_every_key_is_told_to_subscribers_whoever_plays_it(
    desk: ObedientDesk, server: OscServer, client: Client
) -> None:
    client.subscribe(server, desk.status())
    on, off = mido.Message("note_on", note=60, velocity=90, channel=2), mido.Message("note_off", note=60, channel=2)
    server.echo(desk.change(played=(on, off)))
    server.echo(desk.change(played=()))
    server.echo(desk.change(played=(on,)))
    told = [message for message in client.settle() if message[0] == "/wavekeys/note"]
    assert told == [("/wavekeys/note", 60, velocity, 3) for velocity in (90, 0, 90)]


def test_what_did_not_change_is_not_sent(
    desk: ObedientDesk, clock: FakeClock, server: OscServer, client: Client
) -> None:
    client.subscribe(server, desk.status())
    clock.sleep(1.0)
    server.echo(desk.status())  # the meters, once
    client.settle()
    clock.sleep(1.0)
    server.echo(desk.status())
    assert client.settle() == []


def test_a_change_while_nobody_was_subscribed_is_not_missed(
    desk: ObedientDesk, server: OscServer, client: Client
) -> None:
    client.subscribe(server, desk.change(underruns=1))
    client.send("/wavekeys/unsubscribe")
    client.settle()
    server.echo(desk.status())
    server.echo(desk.change(underruns=2))
    client.subscribe(server, desk.status())
    server.echo(desk.change(underruns=1))
    assert ("/wavekeys/underruns", 1) in client.settle()


def test_everything_that_can_change_is_echoed(
    desk: ObedientDesk, clock: FakeClock, server: OscServer, client: Client
) -> None:
    client.subscribe(server, desk.status())
    server.echo(desk.status())
    client.settle()
    clock.sleep(1.0)
    changed = dataclasses.replace(
        desk.now.parts[1],
        preset="duo",
        edited=True,
        sounding=3,
        blend={"glass": 1.0},
        learning="speed",
        controllers={},
    )
    desk.change(parts=(desk.now.parts[0], changed), level_db=(-6.0, -12.0), recording=Path("take.wav"), recorded_s=1.5)
    server.echo(desk.change(limiting=True, load=0.5, underruns=3, remark="late"))
    assert sorted(client.settle()) == [
        ("/wavekeys/duo/blend", "glass", 1.0),
        ("/wavekeys/duo/controllers",),
        ("/wavekeys/duo/edited", 1),
        ("/wavekeys/duo/learn", "speed"),
        ("/wavekeys/duo/preset", "duo"),
        ("/wavekeys/duo/sounding", 3),
        (LEVELS, -6.0, -12.0),
        ("/wavekeys/limiting", 1),
        ("/wavekeys/load", 0.5),
        ("/wavekeys/record", 1, "take.wav"),
        ("/wavekeys/recorded_s", 1.5),
        ("/wavekeys/remark", "late"),
        ("/wavekeys/underruns", 3),
    ]


def test_meters_come_at_a_modest_rate_and_miss_no_peak(
    desk: ObedientDesk, clock: FakeClock, server: OscServer, client: Client
) -> None:
    client.subscribe(server, desk.status())
    for number in range(32):  # two seconds; every other snapshot is due, and number 21 is not
        clock.sleep(0.0625)
        server.echo(desk.change(level_db=(-1.0 if number == 21 else -20.0 - number, -40.0)))
    levels = [message for message in client.settle() if message[0] == LEVELS]
    assert len(levels) == 16
    assert (LEVELS, -1.0, -40.0) in levels


def test_a_subscriber_can_listen_on_another_port_and_gets_its_answers_there(
    desk: ObedientDesk, server: OscServer, client: Client
) -> None:
    sender = Client(server)
    with contextlib.closing(sender.socket):
        sender.send("/wavekeys/subscribe", client.place[1])
        sender.send("/wavekeys/load")
        assert client.receive() == ("/wavekeys/load", 0.25)
        server.echo(desk.status())
        assert client.receive()[0] == "/wavekeys/record"  # the first of the whole state
        sender.send("/wavekeys/nothing")
        while client.receive()[0] != ERROR:
            pass


@pytest.mark.parametrize("with_port", [True, False])
def test_after_the_subscription_of_another_port_has_ended_answers_go_to_who_asks(
    desk: ObedientDesk, server: OscServer, client: Client, with_port: bool
) -> None:
    sender = Client(server)
    with contextlib.closing(sender.socket):
        sender.send("/wavekeys/subscribe", client.place[1])
        sender.send("/wavekeys/unsubscribe", *([client.place[1]] if with_port else []))
        sender.send("/wavekeys/load")
        assert sender.receive() == ("/wavekeys/load", 0.25)
        server.echo(desk.status())
        server.echo(desk.change(underruns=1))
        sender.settle()
        client.socket.settimeout(0.2)
        heard = []
        with contextlib.suppress(TimeoutError):
            while True:
                heard.append(client.receive())
        assert ("/wavekeys/underruns", 1) not in heard


def test_a_refresh_sends_the_whole_state_once(desk: ObedientDesk, server: OscServer, client: Client) -> None:
    client.send("/wavekeys/refresh")
    client.settle()
    server.echo(desk.status())
    assert (GAIN, 0.0) in client.whole_state(desk.status())
    server.echo(desk.change(underruns=1))
    assert client.settle() == []


def test_one_subscriber_too_many_takes_the_oldest_ones_place(
    desk: ObedientDesk, server: OscServer, client: Client
) -> None:
    with contextlib.ExitStack() as stack:
        others = [Client(server) for _ in range(SUBSCRIBERS)]
        for other in others:
            stack.callback(other.socket.close)
        for one in (client, *others):
            one.subscribe(server, desk.status())
        client.settle()
        server.echo(desk.change(underruns=1))
        assert client.settle() == []
        assert all(("/wavekeys/underruns", 1) in other.settle() for other in others)


def test_a_subscriber_that_is_gone_is_dropped_after_a_while(
    desk: ObedientDesk, clock: FakeClock, server: OscServer
) -> None:
    client = Client(server)
    client.subscribe(server, desk.status())
    client.socket.close()
    for _ in range(4):  # the first refusal tells of the datagram before
        clock.sleep(1.0)
        server.echo(desk.change(underruns=desk.now.underruns + 1))
    assert server._echoes._subscribers
    for _ in range(int(GONE_AFTER_S)):
        clock.sleep(1.0)
        server.echo(desk.change(underruns=desk.now.underruns + 1))
    assert not server._echoes._subscribers


def test_a_subscriber_that_comes_back_in_time_is_kept(desk: ObedientDesk, clock: FakeClock, server: OscServer) -> None:
    client = Client(server)
    client.subscribe(server, desk.status())
    client.socket.close()
    for _ in range(4):
        clock.sleep(1.0)
        server.echo(desk.change(underruns=desk.now.underruns + 1))
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as again:
        again.bind(client.place)
        again.settimeout(WAIT_S)
        for _ in range(2 * int(GONE_AFTER_S)):
            clock.sleep(1.0)
            server.echo(desk.change(underruns=desk.now.underruns + 1))
            assert again.recv(1 << 16)
    assert server._echoes._subscribers


def test_a_file_name_that_is_no_text_is_sent_as_far_as_it_can_be(
    desk: ObedientDesk, server: OscServer, client: Client
) -> None:
    client.subscribe(server, desk.status())
    server.echo(desk.change(recording=Path("take\udcff.wav")))
    assert ("/wavekeys/record", 1, "take?.wav") in client.settle()


# What is refused.


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (("/other",), "all begin with /wavekeys/"),
        (("/wavekeys/painc",), "did you mean /wavekeys/panic?"),
        (("/wavekeys/due/speed",), "did you mean /wavekeys/duo/speed?"),
        (("/wavekeys/duo/gain", 1.0), "did you mean /wavekeys/duo/gain_db?"),
        (("/wavekeys/duo/speed/of", 1.0), "no address"),
        (("/wavekeys/*/speed", 1.0), "there are glass_bow, duo"),
        (("/wavekeys/duo/speed", math.nan), "must be from 0 to 4, not nan"),
        (("/wavekeys/duo/speed", -math.inf), "must be from 0 to 4, not -inf"),
        (("/wavekeys/duo/speed", 4.5), "must be from 0 to 4, not 4.5"),
        (("/wavekeys/duo/speed", "fast"), "must be a number, not 'fast'"),
        (("/wavekeys/duo/speed", b"1"), "must be a number or a string"),
        (("/wavekeys/duo/speed", 1.0, 2.0), "it takes value, not 2 values"),
        (("/wavekeys/duo/mode", "polly"), "one of poly, mono, legato"),
        (("/wavekeys/duo/blend", "bow"), "the weight of 'bow' is missing"),
        (("/wavekeys/duo/blend", "bow", math.nan), "must be a number from 0 to 1000000, not nan"),
        (("/wavekeys/duo/blend", "bow", 1e30), "must be a number from 0 to 1000000, not 1e+30"),
        (("/wavekeys/duo/blend", 1.0, "bow"), "name must be a string, not 1.0"),
        (("/wavekeys/duo/preset", "nothing"), "no preset 'nothing'; there are duo, glass-bow"),
        (("/wavekeys/duo/preset", 3), "name must be a string, not 3"),
        (("/wavekeys/duo/edited", 1), "it only tells; ask without values"),
        (("/wavekeys/note",), "key is missing"),
        (("/wavekeys/note", 60), "velocity is missing"),
        (("/wavekeys/note", 128, 1), "key must be a whole number from 0 to 127, not 128"),
        (("/wavekeys/note", 60.5, 1), "key must be a whole number"),
        (("/wavekeys/note", math.nan, 1), "key must be a whole number"),
        (("/wavekeys/note", 60, 1, 0), "channel must be a whole number from 1 to 16"),
        (("/wavekeys/note", 60, 1, 1, 1), "it takes key velocity [channel], not 4 values"),
        (("/wavekeys/midi",), "a MIDI message is missing"),
        (("/wavekeys/midi", 0x90, 60), "not one MIDI message: 90 3c"),
        (("/wavekeys/midi", 0x90, 600, 1), "a byte must be a whole number from 0 to 255"),
        (("/wavekeys/midi", b"\x40"), "not one MIDI message: 40"),
        (("/wavekeys/midi", (0, 0xF0, 1, 2)), "not one MIDI message: f0 01 02"),
        (("/wavekeys/record", 2), "on must be a whole number from 0 to 1"),
        (("/wavekeys/subscribe", 0), "port must be a whole number from 1 to 65535"),
        (("/wavekeys/stop",), "the host failed: RuntimeError('broken on purpose')"),
    ],
)
def test_the_sender_is_told_in_one_line_and_nothing_else_happens(
    desk: ObedientDesk, client: Client, message: tuple[Any, ...], reason: str
) -> None:
    address, line = client.ask(*message)
    assert address == ERROR
    assert reason in line
    assert "\n" not in line
    assert client.settle() == []
    assert desk.calls == []


def _bundle(*elements: bytes) -> bytes:
    return b"#bundle\0" + bytes(7) + b"\1" + b"".join(struct.pack(">i", len(each)) + each for each in elements)


def _nested(depth: int) -> bytes:
    packet = write("/wavekeys/panic", [])
    for _ in range(depth):
        packet = _bundle(packet)
    return packet


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        b"junk",
        b"/wavekeys/panic",  # no end of the string
        b"/wavekeys/pani\xff\0\0,\0\0\0",
        b"/wavekeys/note\0\0,ii\0\0\0\0\x3c",  # cut
        b"/wavekeys/duo/speed\0,f\0\0\x3f",  # cut, and python-osc would complete it
        b"/wavekeys/note\0\0,Iii\0\0\0\0\0\0\0\x3c\0\0\0\x40",  # a type that python-osc would skip
        b"/wavekeys/note\0\0,[ii]\0\0\0\0\0\0\x3c\0\0\0\x40",
        b"/wavekeys/note\0\0,ii\0\0\0\0\x3c\0\0\0\x40more",
        write("/wavekeys/note", [60, 100]) + bytes(MAX_DATAGRAM_BYTES),
        b"#bundle\0",
        _bundle(write("/wavekeys/panic", [])) + struct.pack(">i", -4),  # would keep python-osc for ever
        _bundle(write("/wavekeys/panic", [])) + struct.pack(">i", 1000),
        _bundle(write("/wavekeys/panic", []), b"junk"),
        _nested(200),
    ],
)
def test_a_datagram_that_is_not_sound_is_refused_as_a_whole(
    desk: ObedientDesk, client: Client, datagram: bytes
) -> None:
    client.send_bytes(datagram)
    assert client.receive()[0] == ERROR
    assert client.settle() == []
    assert desk.calls == []


def test_an_error_of_another_server_is_not_answered(client: Client) -> None:
    client.send(ERROR, "no address")
    assert client.settle() == []


def test_the_server_does_not_subscribe_to_itself(desk: ObedientDesk, server: OscServer, client: Client) -> None:
    address, line = client.ask("/wavekeys/subscribe", server.port)
    assert address == ERROR
    assert f"port {server.port} is where commands go" in line
    server.echo(desk.status())
    assert client.settle() == []


_LETTERS = "ab1/*?{[,#\0é"
_VALUES = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.floats(width=32),
    st.text(_LETTERS, max_size=12),
    st.binary(min_size=1),
    st.booleans(),
)
_WORDS = st.one_of(st.sampled_from(["duo", "glass_bow", *OF_THE_HOST, *OF_A_PART]), st.text(_LETTERS, max_size=8))


@st.composite
def _near_misses(draw: st.DrawFn) -> bytes:
    """Messages that are nearly right, some of them damaged."""
    builder = OscMessageBuilder("/wavekeys/" + "/".join(draw(st.lists(_WORDS, min_size=1, max_size=3))))
    for value in draw(st.lists(_VALUES, max_size=4)):
        builder.add_arg(value)
    try:
        datagram = bytearray(builder.build().dgram)
    except Exception:  # what cannot be built cannot be sent
        return b"/"
    for at, byte in draw(st.lists(st.tuples(st.integers(0, len(datagram) - 1), st.integers(0, 255)), max_size=2)):
        datagram[at] = byte
    cut = draw(st.integers(0, len(datagram)))
    packet = bytes(datagram[:cut] if draw(st.booleans()) else datagram)
    return _bundle(packet, packet) if draw(st.booleans()) else packet


_DATAGRAMS = st.one_of(
    st.binary(max_size=64), st.binary(max_size=64).map(lambda tail: b"#bundle\0" + tail), _near_misses()
)


@given(datagrams=st.lists(_DATAGRAMS, max_size=5))
@example(datagrams=[b"/" + b"*" * 4000 + b"\0" * 3, b"/wavekeys/" + b"{" * 4000 + b"\0\0"])
def test_no_datagram_makes_the_handler_raise_or_a_wrong_value_reach_the_desk(datagrams: list[bytes]) -> None:
    desk = ObedientDesk()
    server = OscServer(desk, port=0)
    with contextlib.closing(server):
        for datagram in datagrams:
            server.handle(datagram, ("127.0.0.1", 9))
        for call in desk.calls:
            if call[0] == "set":
                assert PARAMETERS[call[2]].checked(call[3]) == call[3]


def test_no_datagram_ends_the_receiving_thread(server: OscServer, client: Client) -> None:
    with contextlib.closing(Client(server).socket) as stranger:

        @given(datagram=_DATAGRAMS)
        def send(datagram: bytes) -> None:
            stranger.sendto(datagram, ("127.0.0.1", server.port))
            assert client.settle() == []

        send()


# The end.


def test_what_clients_hold_down_is_let_go_when_the_server_closes(desk: ObedientDesk) -> None:
    server = OscServer(desk, port=0)
    server.start()
    client = Client(server)
    with contextlib.closing(client.socket):
        client.send("/wavekeys/note", 60, 100, 2)
        client.send("/wavekeys/note", 62, 100)
        client.send("/wavekeys/note", 62, 0)
        client.send("/wavekeys/midi", 0x90, 64, 1)
        client.send("/wavekeys/midi", 0x90, 65, 1)
        client.send("/wavekeys/midi", 0x80, 65, 1)
        client.send("/wavekeys/midi", 0xB0, 64, 127)
        client.send("/wavekeys/midi", 0xB0, 66, 127)
        client.send("/wavekeys/midi", 0xB0, 66, 0)
        client.settle()
    desk.calls.clear()
    server.close()
    assert desk.calls == [("midi", "B0 40 00"), ("midi", "80 40 00"), ("midi", "81 3C 00")]


def test_a_port_that_is_taken_is_said_in_one_line(server: OscServer, desk: ObedientDesk) -> None:
    with pytest.raises(WavekeysError, match=rf"^OSC: port {server.port} of 127.0.0.1 cannot be had .*another port$"):
        OscServer(desk, port=server.port)


@pytest.mark.parametrize(("host", "port"), [("127.0.0.1", 65536), ("127.0.0.1", -1), ("no such host", 0)])
def test_a_place_that_cannot_be_is_refused(desk: ObedientDesk, host: str, port: int) -> None:
    with pytest.raises(WavekeysError, match=r"^OSC: .*"):
        OscServer(desk, port=port, host=host)


def test_the_server_listens_on_loopback_alone(server: OscServer) -> None:
    assert server._socket.getsockname()[0] == "127.0.0.1"


def test_a_server_that_was_never_started_can_be_closed(desk: ObedientDesk) -> None:
    OscServer(desk, port=0).close()


def test_the_port_is_free_again_after_the_end(desk: ObedientDesk) -> None:
    server = OscServer(desk, port=0)
    server.start()
    server.close()
    OscServer(desk, port=server.port).close()
