"""What a source of MIDI holds down or has moved, so that it can be let go of when the source has gone.

Threads: one at a time; `see` on the thread that plays, `let_go` once nothing plays any more.
"""

from __future__ import annotations

from collections.abc import Sequence

AT_REST = {1: 0, 11: 127, 64: 0, 66: 0, 67: 0}  # of controllers, where RP-015's reset of all brings them
_RESET_CONTROLLERS = 121


class Held:
    """Keys that are down; pedals, wheels and pressures that are not at rest."""

    def __init__(self) -> None:
        self._keys: set[tuple[int, int]] = set()  # channel, key
        self._moved: set[tuple[int, ...]] = set()  # the messages that bring each back to rest

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
                self._moved = {rest for rest in self._moved if rest[0] & 0x0F != channel}
            case 0xB0, number, _ if number in AT_REST:
                self._follow(message, (message[0], number, AT_REST[number]))
            case 0xA0, key, _:
                self._follow(message, (message[0], key, 0))
            case 0xD0, _:
                self._follow(message, (message[0], 0))
            case 0xE0, _, _:
                self._follow(message, (message[0], 0, 64))

    def _follow(self, message: Sequence[int], rest: tuple[int, ...]) -> None:
        (self._moved.discard if tuple(message) == rest else self._moved.add)(rest)

    def let_go(self) -> list[list[int]]:
        """The messages that end it all, as bytes, wheels and pedals first; from now on all counts as up."""
        moved, self._moved = self._moved, set()
        keys, self._keys = self._keys, set()
        return [list(rest) for rest in sorted(moved)] + [[0x80 | channel, key, 0] for channel, key in sorted(keys)]
