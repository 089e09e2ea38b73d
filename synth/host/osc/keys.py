"""What clients hold down: whoever leaves without letting go must not leave a note behind.

Threads: one at a time; the receiving thread, and after its end the one that closes the server.
"""

from __future__ import annotations

import mido

from synth.host.desk import Desk
from synth.host.held import Held


class Keys:
    """Plays on a desk and remembers what is still down."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._held = Held()

    def play(self, message: mido.Message) -> None:
        self._desk.midi(message)
        self._held.see(message.bytes())

    def release(self) -> None:
        """Let everything go."""
        for message in self._held.let_go():
            self._desk.midi(mido.Message.from_bytes(message))
