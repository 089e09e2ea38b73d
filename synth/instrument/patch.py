"""What is played: a preset, its parameters' values, a blend chosen in place of its own, and a tuning of the keys."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence

import numpy as np

from synth.bank import Preset, PresetInfo, Zone
from synth.errors import WavekeysError
from synth.instrument.blend import Blend, blends_of
from synth.instrument.parameters import check_parameters, initial_values, stored_values
from synth.instrument.timbre import Timbre
from synth.instrument.tuning import FARTHEST, KEYS
from synth.pitch import midi_to_hertz
from synth.tones import Seats

WAYS = ("direction", "hold")  # of going through an embedded note: another one is faded to
SLOWEST = 0.25  # speed, for as long as a source's own release may take


@dataclasses.dataclass(frozen=True, kw_only=True)
class Patch:
    """Everything about a note but who plays it and when. Another preset, blend or tuning makes another patch.

    Raises WavekeysError for instruments that the preset does not have, and for a tuning that is none.
    """

    preset: Preset
    values: dict[str, float]  # of all parameters: what alone moves in a patch
    override: dict[str, float] | None  # weights of the preset's instruments, in place of its blend
    tuning: list[float | None]  # each key's pitch as a MIDI number with a fraction, None for a silent one

    def __post_init__(self) -> None:
        if len(self.tuning) != KEYS or not all(pitch is None or abs(pitch) <= FARTHEST for pitch in self.tuning):
            raise WavekeysError(f"a tuning has {KEYS} keys, each a MIDI number within {FARTHEST:g} of 0, or silent")
        _ = self.blends  # now, and not while playing

    @classmethod
    def of(
        cls,
        preset: Preset,
        *,
        blend: Mapping[str, float] | None = None,
        tuning: Sequence[float | None] | None = None,
    ) -> Patch:
        """A preset as it is, but for a blend in place of its own; equal temperament unless tuned otherwise."""
        return cls(
            preset=preset,
            values=initial_values(preset.info.parameters),
            override=None if blend is None else dict(blend),
            tuning=list(range(KEYS)) if tuning is None else list(tuning),
        )

    @functools.cached_property
    def blends(self) -> list[Blend]:
        """One for each zone."""
        return blends_of(self.preset.info, self.preset.bank, self.override)

    @property
    def blend(self) -> dict[str, float]:
        """The weights that were chosen, or the preset's."""
        return dict(self.preset.info.blend if self.override is None else self.override)

    @property
    def edited(self) -> bool:
        """Whether it sounds otherwise than its preset."""
        return self.override is not None or self.values != initial_values(self.preset.info.parameters)

    def as_info(self) -> PresetInfo:
        """A preset that sounds so."""
        info = self.preset.info if self.override is None else self.preset.info.blended(self.override)
        return dataclasses.replace(info, parameters=stored_values(self.values))

    # Other patches.

    def fitting(self, preset: Preset) -> Preset:
        """A preset that may take this one's place: what is wrong with it is said now and not while playing."""
        if preset.info.model_sha256 != self.preset.info.model_sha256:
            raise WavekeysError(f"preset {preset.info.name!r} was made for another model: open an instrument for it")
        check_parameters(preset.info)
        return preset

    def loaded(self, preset: Preset) -> Patch:
        """Another preset of the same model; the tuning stays."""
        return Patch.of(self.fitting(preset), tuning=self.tuning)

    def blended(self, blend: Mapping[str, float] | None) -> Patch:
        """Another blend in place of the preset's; None: the preset's own."""
        return dataclasses.replace(self, override=None if blend is None else dict(blend))

    def saved_as(self, info: PresetInfo) -> Patch:
        """The same, by another name: what `as_info` was asked for is a preset now.

        Raises WavekeysError for one that this cannot be: of another model, or of other zones.
        """
        own = self.preset.info
        check_parameters(info)
        if info.model_sha256 != own.model_sha256 or _ranges(info) != _ranges(own):
            raise WavekeysError(f"preset {info.name!r} is not what plays")
        override = None if self.override == info.blend else self.override
        return dataclasses.replace(self, preset=dataclasses.replace(self.preset, info=info), override=override)

    # Notes.

    def pitch(self, key: int) -> float | None:
        """A key's pitch as a MIDI number, transposed; None for one that the tuning leaves silent."""
        moved = key + round(self.values["transpose"])
        return self.tuning[moved] if 0 <= moved < len(self.tuning) else None

    def zones(self, key: int, velocity: int) -> dict[int, Zone]:
        """Those that sound when a key is struck, by number."""
        zones = enumerate(self.preset.info.zones)
        return {number: zone for number, zone in zones if zone.holds(key, velocity)}

    def velocity(self, touch: float) -> float:
        """What a touch of 0 to 127 is worth by the velocity curve: 0 to 1."""
        return (touch / 127.0) ** (2.0 ** (-1.5 * self.values["velocity_curve"]))

    def timbre(self, zone: int, key: int, pitch: float, velocity: float) -> Timbre:
        """Of a note of that zone's number, at that pitch, struck by that key at a velocity of 0 to 1."""
        bank, config = self.preset.bank, self.preset.model.config
        blend, has_level = self.blends[zone], config.head == "logistics"
        held = bank.note(pitch, 127.0 * velocity, has_level=has_level, instruments=blend.instruments)
        seats = Seats.of(held.tones, midi_to_hertz(pitch), config.sample_rate_hz, config.harmonics)
        backward, freeze = (bool(self.values[way]) for way in WAYS)
        return Timbre(
            held=held,
            blend=blend,
            pitches=(float(bank.pitches[0]), float(bank.pitches[-1])),
            sources={"velocity": velocity, "key": key / 127.0},
            # Of two banks that a line goes through, one may say in a word that all partials are in place.
            stretch=seats.stretched(held.stretch),
            seats=seats,
            backward=backward,
            freeze=freeze,
        )

    def gain(self, zone: Zone, velocity: float) -> float:
        """As loud as the bank's notes are between its softest and its hardest; beyond those, by the parameter."""
        told = np.clip(127.0 * velocity, *self.preset.bank.velocities[[0, -1]])
        decibels = (127.0 * velocity - told) / 126.0 * self.values["velocity_range_db"] + zone.gain_db
        return 10.0 ** (decibels / 20.0)

    def pan(self, zone: Zone, key: int, place: float) -> float:
        """Of one of the voices that sound together, which lie side by side from -1/2 to 1/2."""
        spread = self.values["pan_spread"] * np.clip((key - 64) / 44.0, -1.0, 1.0)
        return float(zone.pan + spread + 2.0 * place * self.values["unison_width"])

    def embedded_release(self) -> int:
        """Samples that the sources' own release takes, 0 where the envelope's is chosen."""
        if not self.values["release"]:
            return 0
        bank = self.preset.bank
        frames = bank.embeddings.shape[3] - bank.release
        return round(frames * self.preset.model.config.hop / max(self.values["speed"], SLOWEST))


def _ranges(info: PresetInfo) -> list[Zone]:
    """A preset's zones but for their blends."""
    return [dataclasses.replace(zone, blend=None) for zone in info.zones]
