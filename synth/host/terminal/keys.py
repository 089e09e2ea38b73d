"""The bytes that a terminal sends, as keys that go down, repeat and come up.

Threads: none of its own; whoever polls the terminal. It never waits and never raises, whatever the bytes are.

A terminal of the old kind tells of presses and of autorepeat, which look the same. One that knows the Kitty keyboard
protocol (sw.kovidgoyal.net/kitty/keyboard-protocol) tells all three apart. It is asked by `START`, and answers with
`KittyFlags`; then `PUSH` switches it over, until `POP`.
"""

from __future__ import annotations

import codecs
import dataclasses
import re
from typing import Literal

ESCAPE_WAIT_S = 0.05  # an escape that nothing follows for so long is the key; what it began otherwise is dropped
LONGEST_SEQUENCE = 256

QUERY = "\x1b[?u"
START = "\x1b[?1004h" + QUERY  # tell of the focus; tell what of the protocol is switched on
PUSH = "\x1b[>15u" + QUERY  # escape codes without doubt (1) for all keys (8), kinds of event (2), keys' places (4)
POP = "\x1b[<u"
END = "\x1b[?1004l"
TELLS_RELEASES = 2  # among the flags

Kind = Literal["press", "repeat", "release"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class KeyEvent:
    """Something that a key did. Terminals of the old kind know only "press", and repeat that."""

    key: str  # what it types, in lower case, or its name: "up", "escape", "space"
    place: str  # what the key at this place types on a US keyboard, where the terminal tells; else as `key`
    kind: Kind = "press"
    modifier: Literal["", "ctrl", "other"] = ""  # shift is none


@dataclasses.dataclass(frozen=True, kw_only=True)
class FocusLost:
    """The keyboard is another window's from now on, and so are the releases."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class KittyFlags:
    """The terminal knows the protocol; `flags` are switched on."""

    flags: int


Event = KeyEvent | FocusLost | KittyFlags

ARROWS = {"A": "up", "B": "down", "C": "right", "D": "left"}
CODES = {
    8: "backspace",
    9: "tab",
    10: "enter",
    13: "enter",
    27: "escape",
    32: "space",
    127: "backspace",
    # The keypad, which the protocol gives numbers of Unicode's private use
    57412: "-",
    57413: "+",
    57414: "enter",
    57417: "left",
    57418: "right",
    57419: "up",
    57420: "down",
}
KINDS: dict[int, Kind] = {1: "press", 2: "repeat", 3: "release"}
SHIFT, CTRL, LOCKS = 1, 4, 64 | 128  # of the protocol's modifiers; locks are caps and num

SEQUENCE = re.compile(
    r"\x1b\[\[."  # a function key of the Linux console
    r"|\x1b\[(?P<fields>[ -?]*)(?P<final>[@-Z\\-~])"
    r"|\x1bO(?P<arrow>[ -~])"
    r"|\x1b[\]P^_X][^\x07\x1b]*(?:\x07|\x1b\\)"  # a string that answers a question of someone else's
    r"|\x1b\[[ -?]*(?=[^ -~])"  # broken off
    r"|(?P<typed>[^\x1b])",
    re.DOTALL,
)
UNFINISHED = re.compile(r"\x1b(?:\[\[?|\[[ -?]*|O|[\]P^_X][^\x07\x1b]*\x1b?)?")


class KeyReader:
    """Reads the bytes in the pieces in which they come."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="ignore")
        self._pending = ""
        self._came_s = 0.0

    def read(self, data: bytes, now_s: float) -> list[Event]:
        """What the bytes say. To be called without any, too: that nothing follows an escape says that it is the key."""
        if data:
            self._pending += self._decoder.decode(data)
            self._came_s = now_s
        events: list[Event] = []
        at = 0
        while at < len(self._pending):
            if match := SEQUENCE.match(self._pending, at):
                events += _meaning(match)
                at = match.end()
            elif UNFINISHED.fullmatch(self._pending, at) and len(self._pending) - at <= LONGEST_SEQUENCE:
                break
            else:  # an escape that begins nothing
                events.append(_named("escape"))
                at += 1
        self._pending = self._pending[at:]
        if self._pending and now_s - self._came_s >= ESCAPE_WAIT_S:
            if self._pending == "\x1b":
                events.append(_named("escape"))
            self._pending = ""
        return events


def _named(key: str) -> KeyEvent:
    return KeyEvent(key=key, place=key)


def _meaning(match: re.Match[str]) -> list[Event]:
    if match["typed"]:
        return _typed(match["typed"])
    if match["arrow"]:
        return [_named(ARROWS[match["arrow"]])] if match["arrow"] in ARROWS else []
    final, fields = match["final"], match["fields"]
    if final == "u" and fields.startswith("?"):
        return [KittyFlags(flags=_number(fields[1:], 0))]
    if final == "O" and not fields:
        return [FocusLost()]
    if final == "u" or final in ARROWS:
        return _kitty(final, fields)
    return []


def _typed(character: str) -> list[Event]:
    code = ord(character)
    if code in CODES:
        return [_named(CODES[code])]
    if 1 <= code <= 26:
        letter = chr(code + 96)
        return [KeyEvent(key=letter, place=letter, modifier="ctrl")]
    return [_named(character.lower())] if character.isprintable() else []


def _kitty(final: str, fields: str) -> list[Event]:
    """`key:shifted:base;modifiers:kind;text`, every number may be missing."""
    codes, state, *_ = [*fields.split(";"), ""]
    code, _, base, *_ = [*codes.split(":"), "", ""]
    modifiers, kind, *_ = [*state.split(":"), ""]
    name = ARROWS.get(final) or _name(_number(code, 0))
    held = (_number(modifiers, 1) - 1) & ~(SHIFT | LOCKS)
    if not name or _number(kind, 1) not in KINDS:
        return []
    return [
        KeyEvent(
            key=name,
            place=_name(_number(base, 0)) or name,
            kind=KINDS[_number(kind, 1)],
            modifier="" if not held else "ctrl" if held == CTRL else "other",
        )
    ]


def _name(code: int) -> str:
    """Empty for what types nothing and has no name here."""
    if code in CODES:
        return CODES[code]
    return chr(code).lower() if code <= 0x10FFFF and chr(code).isprintable() else ""


def _number(digits: str, otherwise: int) -> int:
    return int(digits) if digits.isdecimal() and digits.isascii() and len(digits) < 10 else otherwise
