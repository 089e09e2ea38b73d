"""What clients hold down: whoever leaves without letting go must not leave a note behind.

Threads: one at a time; the receiving thread, and after its end the one that closes the server.
"""

from __future__ import annotations

import mido

from synth.host.desk import Desk

_PEDALS = (64, 66)  # sustain and sostenuto: from 64 on they hold notes


class Keys:
    """Plays on a desk and remembers what is still down."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._notes: set[tuple[int, int]] = set()  # channel, key
        self._pedals: set[tuple[int, int]] = set()  # channel, controller

    def play(self, message: mido.Message) -> None:
        self._desk.midi(message)
        if message.type in ("note_on", "note_off"):
            down = message.type == "note_on" and message.velocity > 0
            _keep(self._notes, (message.channel, message.note), down)
        elif message.type == "control_change" and message.control in _PEDALS:
            _keep(self._pedals, (message.channel, message.control), message.value >= 64)

    def release(self) -> None:
        """Let everything go."""
        for channel, key in sorted(self._notes):
            self._desk.midi(mido.Message("note_off", channel=channel, note=key))
        for channel, controller in sorted(self._pedals):
            self._desk.midi(mido.Message("control_change", channel=channel, control=controller, value=0))
        self._notes.clear()
        self._pedals.clear()


def _keep(kept: set[tuple[int, int]], item: tuple[int, int], down: bool) -> None:
    if down:
        kept.add(item)
    else:
        kept.discard(item)
