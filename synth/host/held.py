"""What a source of MIDI holds down or has moved, so that it can be let go of when the source has gone.

Threads: one at a time; `see` on the thread that plays, `let_go` once nothing plays any more.
"""

from __future__ import annotations

from collections.abc import Sequence

from synth.instrument.channels import AT_REST

PEDALS = (64, 66, 67)  # no parameter can take them over
_RESET = {number: AT_REST[number] for number in (1, 11)}  # others that RP-015's reset of all brings to rest
_RESET_CONTROLLERS = 121


class Held:
    """Keys that are down; pedals, wheels and pressures that are not at rest."""

    def __init__(self) -> None:
        self._keys: set[tuple[int, int]] = set()  # channel, key
        self._moved: set[tuple[int, int]] = set()  # status bytes, and a key or a controller or 0

    def see(self, message: Sequence[int]) -> None:
        """Follow one message, given as bytes. What is neither a key nor comes to rest by itself is nothing to it."""
        if not message:
            return
        kind, channel = message[0] & 0xF0, message[0] & 0x0F
        match kind, *message[1:]:
            case 0x90, key, velocity if velocity:
                self._keys.add((channel, key))
            case 0x80 | 0x90, key, _:
                self._keys.discard((channel, key))
            case 0xB0, number, _ if number == _RESET_CONTROLLERS:
                self._moved = {at for at in self._moved if at[0] & 0x0F != channel}
            case 0xB0, number, value if number in PEDALS:
                self._follow(message[0], number, at_rest=value < 64)
            case 0xB0, number, value if number in _RESET:
                self._follow(message[0], number, at_rest=value == _RESET[number])
            case 0xA0, key, value:
                self._follow(message[0], key, at_rest=value == 0)
            case 0xD0, value:
                self._follow(message[0], 0, at_rest=value == 0)
            case 0xE0, fine, coarse:
                self._follow(message[0], 0, at_rest=(fine, coarse) == (0, 64))

    def _follow(self, status: int, number: int, *, at_rest: bool) -> None:
        (self._moved.discard if at_rest else self._moved.add)((status, number))

    def let_go(self) -> list[list[int]]:
        """The messages that end it all, as bytes, wheels and pedals first; from now on all counts as up."""
        moved, self._moved = self._moved, set()
        keys, self._keys = self._keys, set()
        rests = sorted({_rest(*at) for at in moved})
        return [list(rest) for rest in rests] + [[0x80 | channel, key, 0] for channel, key in sorted(keys)]


def _rest(status: int, number: int) -> tuple[int, ...]:
    """The message that brings it to rest. A wheel or an expression pedal may have been taught to move any parameter,
    which has no rest: all of the channel's controllers are reset instead."""
    match status & 0xF0:
        case 0xB0:
            return (status, _RESET_CONTROLLERS if number in _RESET else number, 0)
        case 0xD0:
            return (status, 0)
        case 0xE0:
            return (status, 0, 64)
        case _:
            return (status, number, 0)
