"""The notes that keys hold down, also where a terminal says nothing of their release.

Threads: none of its own; only the one that polls the terminal.

Such a terminal sends a press, after a delay the first repeat, and then repeats in quick succession, of the last key
alone. So a note that nobody releases lasts until its repeats could have come and have not, and keys that went down
together live as long as the one that repeats. A second press of a key that holds a note is either the first repeat or
the key struck again. The machine's delay decides; it is learnt from the first key that is held, and until then all is
taken for repeats.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import mido

QUICK_S = 0.15  # repeats come closer than this: 92 ms at the Linux console's 10.9 a second, 30 ms on most desktops
SHORTEST_DELAY_S = 0.2  # before the first repeat; machines can be set to 0.2 to 1 s
UNKNOWN_DELAY_S = 0.66  # X11's, the longest that is common
TOLERANCE_S = 0.05  # of the delay, from one time to the next
LAST_REPEAT_S = 0.2  # after the last of the repeats a note goes on for so long
TOGETHER_S = 0.06  # keys of a chord go down within this


@dataclasses.dataclass(kw_only=True)
class _Note:
    note: int
    channel: int
    pressed_s: float
    until_s: float | None  # None: until its release
    last_s: float  # the last press or repeat
    delay_s: float | None = None  # before this press, or the first repeat, since the key was last heard of
    repeated: bool = False  # what may have been the first repeat was taken for it
    quick: int = 0  # repeats in quick succession since


class HeldNotes:
    """Sends a note-off for every note-on, whatever comes."""

    def __init__(self, send: Callable[[mido.Message], None]) -> None:
        self._send = send
        self._held: dict[str, _Note] = {}
        self._delay_s: float | None = None

    @property
    def places(self) -> frozenset[str]:
        """The keys that hold a note."""
        return frozenset(self._held)

    def press(self, place: str, note: int, *, velocity: int, channel: int, now_s: float, releases: bool) -> None:
        """A key goes down, or repeats. With `releases` neither is in doubt, and it holds until its release."""
        held = self._held.get(place)
        delay_s = None
        if held is not None and held.until_s is not None and not releases:
            delay_s = now_s - held.last_s
            if self._repeats(held, now_s):
                return
        self.release(place)
        for other, sounding in list(self._held.items()):
            if (sounding.note, sounding.channel) == (note, channel):
                self.release(other)
        wait_s = (self._delay_s or UNKNOWN_DELAY_S) + TOLERANCE_S
        self._held[place] = _Note(
            note=note,
            channel=channel,
            pressed_s=now_s,
            until_s=None if releases else now_s + wait_s,
            last_s=now_s,
            delay_s=delay_s,
        )
        self._send(mido.Message("note_on", note=note, velocity=velocity, channel=channel))

    def release(self, place: str) -> None:
        """A key came up, or is taken for it."""
        held = self._held.pop(place, None)
        if held is not None:
            self._send(mido.Message("note_off", note=held.note, channel=held.channel))

    def expire(self, now_s: float) -> None:
        """End what has not been repeated for too long."""
        for place, held in list(self._held.items()):
            if held.until_s is not None and now_s >= held.until_s:
                self.release(place)

    def let_go(self) -> None:
        """All keys come up."""
        for place in list(self._held):
            self.release(place)

    def _repeats(self, held: _Note, now_s: float) -> bool:
        """Whether this is the key's repeat; then it, and those pressed with it, go on."""
        gap_s, held.last_s = now_s - held.last_s, now_s
        if gap_s < QUICK_S:
            held.quick += 1
            if held.quick > 1 and held.delay_s is not None:
                self._delay_s = held.delay_s
        elif held.quick or held.repeated or not self._may_be_delay(gap_s):
            return False
        else:
            held.delay_s, held.repeated = gap_s, True
        for other in self._held.values():
            if other.until_s is not None and abs(other.pressed_s - held.pressed_s) <= TOGETHER_S:
                other.until_s = max(other.until_s, now_s + LAST_REPEAT_S)
        return True

    def _may_be_delay(self, gap_s: float) -> bool:
        if self._delay_s is None:
            return gap_s >= SHORTEST_DELAY_S
        return abs(gap_s - self._delay_s) <= TOLERANCE_S
