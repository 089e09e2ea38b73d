"""What a recorded performance says of the instrument that played it, and the instrument brought back.

A take's MIDI file carries it as text events (`docs/formats.md`): one header, and the commands that were given while it
was played. Everything in them is checked, for a file may come from anywhere.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import mido

from synth.bank import Preset, PresetInfo, load_preset
from synth.bank.preset import FACTORY_DEFAULT, digest_of, factory_folder, parse_info, preset_text, user_folder
from synth.errors import WavekeysError
from synth.instrument.events import Command, Forget, Learn, Load, Renew, Resume, SavedAs, Set, SetBlend
from synth.instrument.instrument import Instrument
from synth.instrument.offline import BLOCK_FRAMES
from synth.instrument.parameters import parameter_named
from synth.instrument.rack import Part, Rack, Replace, To
from synth.instrument.songs import TAKE_MARK, Song
from synth.instrument.tuning import FARTHEST

FORMAT_VERSION = 1
COMMAND_MARK = "wavekeys command "
HEADER_BYTES = 1 << 20  # of a take, in which its header is
SETTLING_S = 0.05  # controllers do not jump; what they had before the take is where they begin in it
USUAL_VOICES = 16
MOST_VOICES, MOST_BLOCK_FRAMES = 64, 1 << 16  # what a file asks for must not exhaust the memory
LONGEST_GLIDE = 1 << 30  # samples since a glide's beginning

_PROGRAM = "program_change"
_KEPT = ("controllers", "tuning", "seed")  # of a state, when another preset is chosen

_CHANGED = "preset {!r} is not what it was when this was played; it may sound different"

TakeEvent = tuple[float, mido.Message | Command | To | Replace]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Wishes:
    """What is to be otherwise than in the take, in all its parts. None: as in the take; for a plain song as usual."""

    preset: str | None = None
    blend: Mapping[str, float] | None = None
    seed: int | None = None
    voices: int | None = None
    precision: str | None = None
    tuning: Sequence[float | None] | None = None
    backend: str = "auto"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Performance:
    """A song and what plays it, ready to be rendered."""

    rack: Rack  # warmed up
    timeline: list[TakeEvent]  # times in seconds
    block_frames: int  # a take is rendered in blocks as it was played: some commands take effect where one begins
    end_seconds: float  # the audio, and notes that nobody ends, last until here at least
    instruments: Sequence[Instrument]  # all that play in it, one after another too

    @property
    def refused(self) -> list[str]:
        """Why commands were not obeyed while it was rendered."""
        return [line for instrument in self.instruments for line in instrument.refused]

    @property
    def computed_by(self) -> str:
        """Backend and precision of the first part."""
        instrument: Any = next(iter(self.rack.parts.values())).instrument
        return f"{instrument.backend}, {instrument.precision}"


# Writing.


def header_text(playable: object, *, block_frames: int) -> str:
    """What brings an instrument or a rack back as it is now; "" for what is neither."""
    parts = list(playable.parts.values()) if isinstance(playable, Rack) else None
    if isinstance(playable, Instrument):
        parts = [Part(name=playable.preset.info.name, instrument=playable)]
    if parts is None or not all(isinstance(part.instrument, Instrument) for part in parts):
        return ""
    rows = [{"name": part.name, "channel": part.channel, **_described(part.instrument)} for part in parts]
    effects = {"effects": playable.effect_names} if isinstance(playable, Rack) and playable.effect_names else {}
    return TAKE_MARK + json.dumps({"version": FORMAT_VERSION, "block_frames": block_frames, "parts": rows, **effects})


def command_text(event: object) -> str | None:
    """A command as a take holds it; None for what is no command."""
    part = {"part": event.part} if isinstance(event, To | Replace) else {}
    row = _command_row(event.command if isinstance(event, To) else event)
    return COMMAND_MARK + json.dumps(part | row) if row else None


def _command_row(event: object) -> dict[str, Any]:
    row: dict[str, Any] = {}
    match event:
        case Set(parameter, value):
            row["set"] = [parameter, value]
        case SetBlend(blend):
            row["set_blend"] = [None if blend is None else dict(blend)]
        case Load(preset):
            row["load"] = [preset.info.name, preset.digest]
        case SavedAs(former, info):
            row["saved_as"] = [former if isinstance(former, str) else former.name, preset_text(info)]
        case Renew(info):
            row["renew"] = [preset_text(info)]
        case Learn(parameter):
            row["learn"] = [parameter]
        case Forget(parameter):
            row["forget"] = [parameter]
        case Replace(_, Instrument() as instrument):
            row["replace"] = _described(instrument)
    return row


def _described(instrument: Any) -> dict[str, Any]:
    folder = instrument.preset.info.folder
    elsewhere = {} if folder.parent in (factory_folder(), user_folder()) else {"preset_folder": str(folder)}
    return elsewhere | {
        "voices": instrument.voices,
        "mpe": instrument.mpe,
        "precision": instrument.precision,
        "programs": {str(number): preset.info.name for number, preset in instrument.programs.items()},
        "programs_sha256": {str(number): preset.digest for number, preset in instrument.programs.items()},
        "preset_sha256": _digest_without_parameters(instrument.preset.info),  # which the state has
        "state": instrument.state(),
        "learning": instrument.learning,
        "glides_from": instrument.gliding(),
        "controls": [message.hex("") for message in instrument.controls()],
        "keys": [list(key) for key in instrument.keys],
        "caught": sorted(instrument.caught),
    }


def _digest_without_parameters(info: PresetInfo) -> str:
    return digest_of(dataclasses.replace(info, parameters={}))


# Reading.


def read_take_header(song: Song) -> dict[str, Any] | None:
    """The header of a take, None for any other song."""
    texts = [message.text for _, message in song.events if message.is_meta and message.text.startswith(TAKE_MARK)]
    if not texts:
        return None
    header = _parsed(texts[0].removeprefix(TAKE_MARK), song)
    if header.get("version") != FORMAT_VERSION:
        version = header.get("version")
        raise WavekeysError(f"{song.path}: a take of version {version}, this wavekeys reads {FORMAT_VERSION}")
    return header


def former_parts(path: Path) -> list[str]:
    """Names of the parts that played the take at `path`, as far as it tells; none for what is no take."""
    try:
        with path.open("rb") as file:
            beginning = file.read(HEADER_BYTES)
        _, _, text = beginning.partition(TAKE_MARK.encode())
        header, _ = json.JSONDecoder().raw_decode(text.decode("ascii", "replace"))
        return [str(row["name"]) for row in header["parts"]]
    except (OSError, ValueError, RecursionError, KeyError, TypeError):
        return []


def prepare(song: Song, wishes: Wishes, *, warn: Callable[[str], None]) -> Performance:
    """Bring back what played a take, but for what is wished otherwise; any other song is played by what is wished.

    `warn` is told, in one line, what will make a take sound otherwise than it did.
    """
    header = read_take_header(song)
    if header is None:
        return _by_wishes(song, wishes)
    timeline: list[TakeEvent] = []
    try:
        block_frames = _whole(header["block_frames"], 1, MOST_BLOCK_FRAMES)
        opener = _Opener(wishes, block_frames, warn)
        rack = Rack([opener.part(row) for row in header["parts"]])
        if effects := [str(name) for name in header.get("effects", [])]:
            warn(f"it was played through {', '.join(effects)}; effects are not played again")
        for row in header["parts"]:
            struck = [_struck(*key) for key in row.get("keys", [])]
            timeline += [(0.0, To(str(row["name"]), Resume(struck)))] if struck else []
        for seconds, message in song.events:
            if not message.is_meta:
                timeline.append((seconds, message))
            elif message.text.startswith(COMMAND_MARK):
                timeline.append((seconds, opener.command(_parsed(message.text.removeprefix(COMMAND_MARK), song))))
    except (KeyError, IndexError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise WavekeysError(f"{song.path}: what it says of its instrument is damaged ({error!r})") from None
    chosen = {event.program for _, event in timeline if isinstance(event, mido.Message) and event.type == _PROGRAM}
    for number, doubt in opener.doubts.items():
        if number % 128 in chosen:
            warn(doubt)
    return Performance(
        rack=rack,
        timeline=timeline,
        block_frames=block_frames,
        end_seconds=song.end_seconds,
        instruments=opener.instruments,
    )


def _by_wishes(song: Song, wishes: Wishes) -> Performance:
    instrument = Instrument(
        load_preset(FACTORY_DEFAULT if wishes.preset is None else wishes.preset),
        voices=wishes.voices or USUAL_VOICES,
        backend=wishes.backend,
        precision=wishes.precision or "auto",
        blend=wishes.blend,
        seed=wishes.seed or 0,
        tuning=wishes.tuning,
    )
    rack = Rack([Part(name=instrument.preset.info.name, instrument=instrument)])
    rack.warm_up(BLOCK_FRAMES)
    return Performance(
        rack=rack,
        timeline=[*song.timeline],
        block_frames=BLOCK_FRAMES,
        end_seconds=song.end_seconds,
        instruments=[instrument],
    )


def _struck(channel: int, key: int, velocity: int) -> mido.Message:
    """A key that was down when the take began: it is struck there."""
    return mido.Message("note_on", channel=channel, note=key, velocity=velocity)


def _parsed(text: str, song: Song) -> dict[str, Any]:
    try:
        row = json.loads(text)
    except (ValueError, RecursionError):
        row = None
    if not isinstance(row, dict):
        raise WavekeysError(f"{song.path}: a take, but what it says of its instrument is damaged")
    return row


def _whole(value: Any, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ValueError(f"{value!r} is not a whole number from {low} to {high}")
    return value


def _number(value: Any, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:  # nor not a number
        raise ValueError(f"{value!r} is not a number from {low:g} to {high:g}")
    return float(value)


def _piece(begin: Any, pitch: Any, rise: Any) -> tuple[int, float, float]:
    """Of a glide, as in `Ramp.pieces`."""
    return (
        _whole(begin, -LONGEST_GLIDE, LONGEST_GLIDE),
        _number(pitch, -FARTHEST, FARTHEST),
        _number(rise, -FARTHEST, FARTHEST),
    )


class _Opener:
    """From JSON back to instruments and commands."""

    def __init__(self, wishes: Wishes, block_frames: int, warn: Callable[[str], None]) -> None:
        self._wishes = wishes
        self._block_frames = block_frames
        self._warn = warn
        self.doubts: dict[int, str] = {}  # by program, what there is to tell where it is chosen
        self.instruments: list[Instrument] = []

    def part(self, row: Mapping[str, Any]) -> Part:
        return Part(name=str(row["name"]), channel=row["channel"], instrument=self.instrument(row))

    def instrument(self, row: Mapping[str, Any]) -> Instrument:
        """Warmed up, and with its controllers where they were."""
        wishes, state = self._wishes, row["state"]
        preset = _played(state["preset"], row) if wishes.preset is None else _preset(wishes.preset)
        instrument = Instrument(
            preset,
            voices=_whole(row["voices"], 1, MOST_VOICES) if wishes.voices is None else wishes.voices,
            backend=wishes.backend,
            precision=row["precision"] if wishes.precision is None else wishes.precision,
            mpe=_whole(row["mpe"], 0, 15),
            programs=self._programs(row["programs"], row.get("programs_sha256", {}), preset),
        )
        self.instruments.append(instrument)
        info = instrument.preset.info
        if info.name != state["preset"]:
            state = instrument.state() | {key: state[key] for key in _KEPT}
        elif state["model_sha256"] != info.model_sha256:
            self._warn(f"preset {info.name!r} has another model than when this was played; it will sound different")
            state = {**state, "model_sha256": info.model_sha256}
        elif row.get("preset_sha256", now := _digest_without_parameters(info)) != now:
            self._warn(_CHANGED.format(info.name))
        wished = {"blend": wishes.blend, "seed": wishes.seed, "tuning": wishes.tuning}
        instrument.restore(state | {key: value for key, value in wished.items() if value is not None})
        instrument.warm_up(self._block_frames)
        controls = [mido.Message.from_hex(text) for text in row["controls"]]
        if controls:
            instrument.process([(0, Resume(controls))], self._block_frames)
            for _ in range(0, round(SETTLING_S * instrument.sample_rate_hz), self._block_frames):
                instrument.process([], self._block_frames)
        if (learning := row.get("learning")) is not None:
            instrument.process([(0, Learn(parameter_named(learning).id))], 0)
        # Takes of before it mattered whose pedal it was name a note's channel and key alone.
        instrument.caught = {(pedal[0] if pedal else at, at, key) for *pedal, at, key in row.get("caught", [])}
        if (glide := row.get("glides_from")) is not None:
            # Takes of before it mattered that it may be on its way name a pitch alone.
            pieces = glide if isinstance(glide, list) else [(0, glide, 0.0)]
            instrument.glide_from([_piece(*piece) for piece in pieces])
        return instrument

    def _programs(self, names: Mapping[str, Any], digests: Mapping[str, Any], played: Preset) -> dict[int, Preset]:
        """Those of a take that are there yet, and of the model of what plays."""
        programs = {}
        for number, name in ((int(number), name) for number, name in names.items()):
            try:
                preset = _preset(name)
            except WavekeysError:
                preset = None
            if preset is not None and preset.info.model_sha256 == played.info.model_sha256:
                programs[number] = preset
                if digests.get(str(number), preset.digest) != preset.digest:
                    self.doubts[number] = _CHANGED.format(name)
            else:
                gone = f"was preset {name!r}, which is gone or of another model: no change there"
                self.doubts[number] = f"program {number % 128 + 1} {gone}"
        return programs

    def command(self, row: Mapping[str, Any]) -> Command | To | Replace:
        if "replace" in row:
            return Replace(str(row["part"]), self.instrument(row["replace"]))
        commands = _COMMANDS | {"load": self._load}
        (name,) = row.keys() & commands.keys()
        command = commands[name](*row[name])
        return To(str(row["part"]), command) if "part" in row else command

    def _load(self, name: Any, digest: str | None = None) -> Load:
        preset = _preset(name)
        if digest not in (None, preset.digest):
            self._warn(_CHANGED.format(name))
        return Load(preset)


def _played(name: Any, row: Mapping[str, Any]) -> Preset:
    """The preset that played: where the take says, if it is there yet, or by its name."""
    folder = Path(str(row.get("preset_folder", "")))
    if "preset_folder" in row and (folder / "preset.toml").is_file():
        preset = load_preset(folder)
        if preset.info.name == name:
            return preset
    return _preset(name)


def _preset(name: Any) -> Preset:
    if not isinstance(name, str):
        raise TypeError(f"{name!r} is not a preset's name")
    return load_preset(name)


def _preset_info(text: str) -> PresetInfo:
    """What a preset said when it was saved. Where it is now nobody needs to know."""
    return parse_info(text, Path("take"))


_COMMANDS: dict[str, Callable[..., Command]] = {
    "set": lambda parameter, value: Set(parameter, parameter_named(parameter).checked(value)),
    "set_blend": lambda blend: SetBlend(None if blend is None else {name: float(w) for name, w in blend.items()}),
    "saved_as": lambda former, text: SavedAs(str(former), _preset_info(text)),
    "renew": lambda text: Renew(_preset_info(text)),
    "learn": lambda parameter: Learn(None if parameter is None else parameter_named(parameter).id),
    "forget": lambda parameter: Forget(parameter_named(parameter).id),
}
