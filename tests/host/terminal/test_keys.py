"""Bytes of terminals, as keys."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth.host.terminal.keys import FocusLost, KeyEvent, KeyReader, KittyFlags


def named(key: str, **more: str) -> KeyEvent:
    return KeyEvent(key=key, **{"place": key, **more})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("data", "event"),
    [
        (b"a", named("a")),
        (b"A", named("a")),
        (b" ", named("space")),
        (b"\x12", named("r", modifier="ctrl")),
        (b"\x1b[A", named("up")),
        (b"\x1bOB", named("down")),
        (b"\x1b[I\x1b[O", FocusLost()),
        (b"\x1b[?15u", KittyFlags(flags=15)),
        (b"\x1b[97;1:3u", named("a", kind="release")),
        (b"\x1b[97;1:2u", named("a", kind="repeat")),
        (b"\x1b[97:65;2:1u", named("a")),
        (b"\x1b[113::97;1u", named("q", place="a")),  # the key that types q where a US keyboard has its a
        (b"\x1b[99;5u", named("c", modifier="ctrl")),
        (b"\x1b[97;3u", named("a", modifier="other")),
        (b"\x1b[1;1:3A", named("up", kind="release")),
        ("ö".encode(), named("ö")),
    ],
)
def test_a_sequence_is_a_key_even_in_pieces(data: bytes, event: object) -> None:
    assert KeyReader().read(data, 0.0) == [event]
    reader = KeyReader()
    pieces = [heard for number in range(len(data)) for heard in reader.read(data[number : number + 1], 0.0)]
    assert pieces == [event]


def test_an_escape_that_nothing_follows_is_the_key() -> None:
    reader = KeyReader()
    assert reader.read(b"\x1b", 0.0) == []
    assert reader.read(b"", 0.01) == []
    assert reader.read(b"", 0.1) == [named("escape")]


@given(st.lists(st.tuples(st.binary(max_size=40), st.floats(0, 1))))
def test_no_bytes_whatever_raise_or_are_kept_for_ever(pieces: list[tuple[bytes, float]]) -> None:
    reader = KeyReader()
    now_s = 0.0
    for data, passed_s in pieces:
        now_s += passed_s
        reader.read(data, now_s)
    reader.read(b"", now_s + 1.0)
    assert reader.read(b"a", now_s + 2.0)[-1:] == [named("a")]
