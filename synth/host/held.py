"""What a source of MIDI holds down, so that it can be let go of when the source has gone.

Threads: one at a time; `see` on the thread that plays, the rest once nothing plays any more.
"""

from __future__ import annotations

from collections.abc import Sequence

At = tuple[int, int]  # channel, and a key or a controller


class Held:
    """Keys and pedals that are down."""

    def __init__(self) -> None:
        self._keys: set[At] = set()
        self._pedals: set[At] = set()

    def see(self, message: Sequence[int]) -> None:
        """Follow one message, given as bytes. Anything else than a key or a pedal is nothing to it."""
        if len(message) != 3:
            return
        status, number, value = message
        at = (status & 0x0F, number)
        kind = status & 0xF0
        if kind == 0x90 and value:
            self._keys.add(at)
        elif kind in (0x80, 0x90):
            self._keys.discard(at)
        elif kind == 0xB0 and number in (64, 66):
            (self._pedals.add if value >= 64 else self._pedals.discard)(at)

    def take(self) -> tuple[list[At], list[At]]:
        """The keys and the pedals that are down, in order; from now on they count as up."""
        keys, self._keys = self._keys, set()
        pedals, self._pedals = self._pedals, set()
        return sorted(keys), sorted(pedals)

    def let_go(self) -> list[list[int]]:
        """The messages that end it all, as bytes."""
        keys, pedals = self.take()
        return [[0xB0 | channel, number, 0] for channel, number in pedals] + [
            [0x80 | channel, number, 0] for channel, number in keys
        ]
