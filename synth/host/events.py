"""MIDI and commands on their way to the engine: arrival times in, offsets inside a block out.

Threads: any thread calls `deliver` and `put`, the engine thread calls `take`. Both only append to a deque
(atomic, no lock): parsing waits for the engine, because a JACK MIDI thread holds up the whole audio graph.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Sequence

import mido

from synth.instrument.rack import Played, RackEvent

MOST_TOLD = 1024


class EventQueue:
    """Messages and commands in the order of their arrival, each played a constant time after it.

    `late` counts events whose frame was already rendered when they were seen (played at the next block's
    start), `notes` the note-ons, `unreadable` what is not a MIDI message.
    """

    def __init__(self) -> None:
        self.notes = 0
        self.late = 0
        self.unreadable = 0
        # Note-ons and note-offs, for whoever wants to tell of them; only the latest are kept.
        self.played: collections.deque[mido.Message] = collections.deque(maxlen=MOST_TOLD)
        self._incoming: collections.deque[tuple[float, Sequence[int] | Played]] = collections.deque()
        self._pending: collections.deque[tuple[int, Played]] = collections.deque()
        self._last_frame = 0

    def deliver(self, arrival_s: float, data: Sequence[int]) -> None:
        """Hand over one message's bytes, with the host time (`time.perf_counter`) at which they came."""
        self._incoming.append((arrival_s, data))

    def put(self, arrival_s: float, event: Played) -> None:
        """Hand over a command, or a message that is none of a port's."""
        self._incoming.append((arrival_s, event))

    def take(self, start_frame: int, frames: int, frame_at: Callable[[float], float]) -> Sequence[RackEvent]:
        """Events of the block [start_frame, start_frame + frames), with their offsets in it.

        `frame_at` maps an arrival time to the frame at which the event sounds. It is asked once an event, and
        the answers never go backwards, so a correction of the clock cannot swap a note-on and its note-off.
        """
        while self._incoming:
            arrival_s, data = self._incoming.popleft()
            try:
                event = data if isinstance(data, Played) else mido.Message.from_bytes(data)
            except (ValueError, IndexError, TypeError):
                self.unreadable += 1
                continue
            self._last_frame = max(self._last_frame, int(frame_at(arrival_s)))
            self._pending.append((self._last_frame, event))
        events = []
        while self._pending and self._pending[0][0] < start_frame + frames:
            frame, event = self._pending.popleft()
            if isinstance(event, mido.Message) and event.type in ("note_on", "note_off"):
                self.notes += event.type == "note_on" and event.velocity > 0
                self.played.append(event)
            self.late += frame < start_frame
            events.append((max(0, frame - start_frame), event))
        return events
