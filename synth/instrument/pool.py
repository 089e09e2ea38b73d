"""The voices that sound, each in a slot of the stream, and which of them makes way for another."""

from __future__ import annotations

from collections.abc import Iterator

from synth.instrument.voice import STEAL_MS, Phase, Voice, stealing_order
from synth.stream import MOST_VOICES

MOST_POLYPHONY = MOST_VOICES // 2  # of a stream's slots: as many fade out
LEAST_SPARE = 12  # slots: three notes of four voices each can be struck while as many fade out for them


class VoicePool:
    """Up to `polyphony` voices that sound, beside those that fade out for them; the oldest comes first.

    Offsets are in samples from the beginning of the block that is rendered next.
    """

    def __init__(self, polyphony: int, sample_rate_hz: int) -> None:
        self.polyphony = polyphony
        self.slots = polyphony + max(polyphony, LEAST_SPARE)
        self.begun = 0  # voices, since the last `clear`
        self._steal_samples = STEAL_MS * sample_rate_hz / 1000
        self._voices: dict[int, Voice] = {}  # by slot

    def __len__(self) -> int:
        return len(self._voices)

    def __iter__(self) -> Iterator[Voice]:
        return iter([*self._voices.values()])

    def clear(self) -> None:
        """All sound off, at once."""
        self._voices.clear()
        self.begun = 0

    @property
    def free_slot(self) -> int:
        """The lowest one; `make_room` sees that there is one."""
        return next(slot for slot in range(self.slots) if slot not in self._voices)

    def add(self, voice: Voice) -> None:
        """A voice begins, in the slot that is free."""
        self._voices[voice.slot] = voice
        self.begun += 1

    def advance(self, samples: int) -> None:
        """A block was rendered: voices that have come to silence end."""
        for voice in self:
            voice.age += samples
            if voice.finished:
                del self._voices[voice.slot]

    def going_on(self, held_by: tuple[int, int] | None = None) -> list[Voice]:
        """Those that no key-up has ended yet; of one channel and key, if it is told."""
        return [
            voice for voice in self if voice.phase in (Phase.HELD, Phase.SUSTAINED) and held_by in (None, voice.held_by)
        ]

    def make_room(self, offset: int, *, before: int) -> None:
        """See that one more voice may sound, and that a slot is free for it.

        None but the first `before` gives way: those since are the new note's own.
        """
        levels = {voice: voice.loudness(voice.age + offset) for voice in self}
        # A voice that has fallen silent in this block is only still there because the block is not rendered yet.
        sounding = [voice for voice in self if voice.phase is not Phase.STOLEN and levels[voice] > 0.0]
        if len(sounding) >= self.polyphony:
            others = [voice for voice in sounding if voice.order <= before]
            self.steal(min(others, key=lambda voice: stealing_order(voice, levels[voice])), offset)
        if len(self) >= self.slots:
            # More stolen voices than spare slots within 5 ms: the one that has faded furthest is cut.
            going = [voice for voice in self if voice not in sounding or voice.phase is Phase.STOLEN]
            del self._voices[min(going, key=levels.__getitem__).slot]

    def steal(self, voice: Voice, offset: int) -> None:
        """End it fast, without a click."""
        voice.steal(voice.age + offset, samples=self._steal_samples)
