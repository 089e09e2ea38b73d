"""`wavekeys play`: a MIDI keyboard live, and its recording."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
import re
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from synth.cli.blend import blend_option
from synth.cli.options import backend_option, block_option, precision_option, spare_option
from synth.cli.tuning import read_tuning, tuning_options
from synth.errors import first_line, install_hint

if TYPE_CHECKING:
    from synth.bank import Preset
    from synth.host import Library
    from synth.instrument import Effect, Instrument, Rack

ENCODINGS = ("pcm16", "pcm24", "float32")
ON_TERMINAL = "on a terminal"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Seat:
    """A preset and the channel that plays it."""

    preset: str | None  # a name or a path; None: the factory preset
    channel: int | None = None  # 0 to 15; None: all


@dataclasses.dataclass(frozen=True, kw_only=True)
class Choice:
    """The instruments that the command line asked for."""

    seats: Sequence[Seat]
    voices: int
    backend: str
    precision: str
    blend: dict[str, float] | None  # of the first
    mpe: int
    tuning: list[float | None] | None
    effects: Sequence[Effect]


class SeatType(click.ParamType):
    """PRESET or PRESET@CHANNEL. Names and paths may hold an @ too: what is a preset as a whole is taken whole."""

    name = "PRESET[@CHANNEL]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Seat:
        if isinstance(value, Seat):
            return value
        preset, at, channel = str(value).rpartition("@")
        if not at or _is_preset(value):
            return Seat(preset=value)
        if not preset or not channel.isdecimal() or not 1 <= int(channel) <= 16:
            self.fail(f"{value!r}: a preset's name, and after @ a channel from 1 to 16, as in flute@2", param, ctx)
        return Seat(preset=preset, channel=int(channel) - 1)


def _is_preset(value: str) -> bool:
    """Whether there is one of that name, or at that path, be it damaged."""
    from synth.bank import find_preset
    from synth.errors import UsageError, WavekeysError

    try:
        find_preset(value)
    except UsageError:
        return False
    except WavekeysError:
        return True
    return True


class EffectType(click.ParamType):
    """An effect of pedalboard: NAME, NAME:KEY=NUMBER,KEY=NUMBER, or the file of a plugin."""

    name = "NAME[:KEY=N,KEY=N]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            import pedalboard
        except ImportError:
            self.fail(f"effects need pedalboard: {install_hint('effects')}", param, ctx)
        name, _, rest = value.partition(":")
        try:
            if Path(name).suffix in (".vst3", ".component"):
                return pedalboard.load_plugin(name)  # type: ignore[attr-defined]
            kind = getattr(pedalboard, name, None)
            if not (isinstance(kind, type) and issubclass(kind, pedalboard.Plugin)):
                self.fail(f"{name!r} is no effect of pedalboard; there are Reverb, Chorus, Delay and more", param, ctx)
            pairs = (pair.partition("=") for pair in rest.split(",") if rest)
            settings = {key.strip(): self._number(key, number, param, ctx) for key, _, number in pairs}
            known = re.findall(r"(\w+): float", kind.__init__.__doc__ or "")  # the plugin's own, as its binding says
            for key in settings.keys() - known:
                self.fail(f"{name} has no setting {key!r}; it has {', '.join(known) or 'none'}", param, ctx)
            return kind(**settings)
        except (TypeError, ValueError, ImportError, OSError) as error:
            why = "it cannot be made from numbers alone" if isinstance(error, TypeError) else first_line(error)
            self.fail(f"{value!r}: {why}", param, ctx)

    def _number(self, key: str, text: str, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            self.fail(
                f"{key.strip() or 'a setting'} must be a number, as in Reverb:wet_level=0.2, not {text!r}", param, ctx
            )
        return number


def make_command(build: Callable[[Choice], Rack], library: Callable[[Choice], Library]) -> click.Command:
    """The command, for the instruments that `build` makes and the presets that `library` knows."""

    @click.command("play")
    @click.argument("preset", type=SeatType(), required=False)
    @click.option(
        "--add",
        "added",
        type=SeatType(),
        multiple=True,
        help="One more instrument, on all channels or on one, as in --add flute@2. Can be repeated.",
    )
    @click.option(
        "--midi", default="all", show_default=True, metavar="PORT|all|virtual", help="A port's name or a part of it."
    )
    @click.option("--audio", metavar="DEVICE", help="An output's index, its name, or a part of it.")
    @click.option(
        "--voices",
        type=click.IntRange(1, 64),
        default=4,
        show_default=True,
        help="At a time, of each; a note in unison takes several.",
    )
    @block_option
    @spare_option
    @backend_option
    @precision_option
    @blend_option
    @click.option(
        "--mpe",
        type=click.IntRange(0, 15),
        default=0,
        show_default=True,
        metavar="N",
        help="Member channels of an MPE lower zone; 0: none before RPN 6 sets one up.",
    )
    @tuning_options
    @click.option(
        "--effect", "effects", type=EffectType(), multiple=True, help="On the mix, as in --effect Reverb:wet_level=0.2."
    )
    @click.option(
        "--record",
        type=click.Path(path_type=Path),
        metavar="TAKE.wav",
        help="Record from the start, as WAV and beside it as MIDI (TAKE.mid).",
    )
    @click.option("--encoding", type=click.Choice(ENCODINGS), default="pcm24", show_default=True, help="Of recordings.")
    @click.option("--stems", is_flag=True, help="Record each instrument in a file of its own too.")
    @click.option(
        "--osc", "osc_port", type=click.IntRange(1, 65535), metavar="PORT", help="Take OSC on this port of 127.0.0.1."
    )
    @click.option(
        "--screen/--no-screen",
        default=None,
        show_default=ON_TERMINAL,
        help="The live screen, and the computer's keyboard to play on.",
    )
    def play(
        *,
        preset: Seat | None,
        added: tuple[Seat, ...],
        midi: str,
        audio: str | None,
        voices: int,
        block: int,
        spare: float,
        backend: str,
        precision: str,
        blend: dict[str, float] | None,
        mpe: int,
        scale: Path | None,
        keys: Path | None,
        effects: tuple[Any, ...],
        record: Path | None,
        encoding: Any,
        stems: bool,
        osc_port: int | None,
        screen: bool | None,
    ) -> None:
        """Play PRESET (by default the factory one; flute@2 on channel 2 alone) from a MIDI keyboard until Ctrl-C."""
        from synth.cli.output import expect_suffix
        from synth.host import PlaySettings
        from synth.host import play as play_live
        from synth.host.terminal import refusal

        if record is not None:
            expect_suffix(record, ".wav")
        if screen and (why := refusal()) is not None:
            raise click.UsageError(why)
        choice = Choice(
            seats=(preset or Seat(preset=None), *added),
            voices=voices,
            backend=backend,
            precision=precision,
            blend=blend,
            mpe=mpe,
            tuning=read_tuning(scale, keys),
            effects=effects,
        )
        settings = PlaySettings(
            midi=midi,
            audio=audio,
            block_frames=block,
            spare_blocks=spare,
            record=record,
            encoding=encoding,
            stems=stems,
            osc_port=osc_port,
            terminal=refusal() is None if screen is None else screen,
        )
        # Until the session listens to it itself, an interrupt ends the program at once: an exception could be raised in
        # a callback of JAX's, where nobody hears it.
        former = signal.signal(signal.SIGINT, signal.SIG_DFL)
        try:
            play_live(
                settings,
                lambda: build(choice),
                library(choice),
                say=click.echo,
                warn=lambda line: click.echo(f"wavekeys: {line}", err=True),
            )
        finally:
            signal.signal(signal.SIGINT, former)

    return play


class _Presets:
    """All presets there are, played as the command line says."""

    def __init__(self, choice: Choice) -> None:
        self._choice = choice

    @functools.cached_property
    def names(self) -> list[str]:
        from synth.bank import list_presets

        infos = list_presets(damaged=lambda _error: None)
        return list(dict.fromkeys(info.name for info in infos))  # two may share a name: `open` knows one of them

    def refresh(self) -> None:
        self.__dict__.pop("names", None)

    def open(self, name: str) -> Preset:
        from synth.bank import load_preset

        return load_preset(name)

    def instrument(self, preset: Preset) -> Instrument:
        from synth.instrument import Instrument

        choice = self._choice
        return Instrument(
            preset,
            voices=choice.voices,
            backend=choice.backend,
            precision=choice.precision,
            mpe=choice.mpe,
            tuning=choice.tuning,
            programs=_programs(preset),
        )


def _programs(preset: Preset) -> dict[int, Preset]:
    """What program changes choose from: bank 0 the package's presets, bank 1 the user's, those of this model."""
    from synth.bank import list_presets, load_preset
    from synth.errors import WavekeysError
    from synth.instrument.parameters import check_parameters

    infos = list_presets(damaged=lambda _error: None)
    programs = {}
    for bank, factory in enumerate((True, False)):
        for program, info in enumerate([info for info in infos if info.factory == factory][:128]):
            if info.model_sha256 == preset.info.model_sha256:
                try:
                    check_parameters(info)
                    programs[128 * bank + program] = load_preset(str(info.folder))
                except WavekeysError:
                    continue  # a damaged preset is no program; `doctor` says what is wrong with it
    return programs


def _build_rack(choice: Choice) -> Rack:
    from synth.bank import load_preset
    from synth.instrument import Part, Rack

    library = _Presets(choice)
    parts: list[Part] = []
    for seat in choice.seats:
        preset = load_preset(seat.preset) if seat.preset else load_preset()
        instrument = library.instrument(preset)
        taken = {part.name for part in parts}
        numbered = (f"{preset.info.name} {number}" for number in itertools.count(2))
        name = next(name for name in itertools.chain([preset.info.name], numbered) if name not in taken)
        parts.append(Part(name=name, instrument=instrument, channel=seat.channel))
    if choice.blend is not None:
        parts[0].instrument.set_blend(choice.blend)  # type: ignore[attr-defined]
    return Rack(parts, effects=choice.effects)


command = make_command(_build_rack, _Presets)
