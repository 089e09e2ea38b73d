"""`wavekeys play`: a MIDI keyboard live, and its recording."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from synth.cli.blend import blend_option
from synth.cli.tuning import read_tuning, tuning_options

if TYPE_CHECKING:
    from synth.host import Playable

BACKENDS = ("auto", "cpu", "gpu", "tpu", "jax")
PRECISIONS = ("auto", "fp32", "bf16", "int8")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Choice:
    """The instrument that the command line asked for."""

    preset: str | None  # a name or a path; None: the factory preset
    voices: int
    backend: str
    precision: str
    blend: dict[str, float] | None
    mpe: int
    tuning: list[float | None] | None


def make_command(build: Callable[[Choice], Playable]) -> click.Command:
    """The command, for the instrument that `build` makes."""

    @click.command("play")
    @click.argument("preset", required=False)
    @click.option(
        "--midi", default="all", show_default=True, metavar="PORT|all|virtual", help="A port's name or a part of it."
    )
    @click.option("--audio", metavar="DEVICE", help="An output's index, its name, or a part of it.")
    @click.option("--voices", type=click.IntRange(1, 64), default=4, show_default=True, help="Notes at a time.")
    @click.option(
        "--block",
        type=click.IntRange(16, 2048),
        default=64,
        show_default=True,
        metavar="N",
        help="Samples rendered at a time, at the model's rate. Smaller answers sooner and costs more.",
    )
    @click.option(
        "--spare",
        type=click.IntRange(1, 32),
        default=2,
        show_default=True,
        metavar="N",
        help="Blocks rendered ahead. More bridges a busy machine, each adds a block to the latency.",
    )
    @click.option("--backend", type=click.Choice(BACKENDS), default="auto", show_default=True)
    @click.option("--precision", type=click.Choice(PRECISIONS), default="auto", show_default=True)
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
        "--record", type=click.Path(path_type=Path), metavar="TAKE.wav", help="Record what is played, as 24-bit WAV."
    )
    def play(
        *,
        preset: str | None,
        midi: str,
        audio: str | None,
        voices: int,
        block: int,
        spare: int,
        backend: str,
        precision: str,
        blend: dict[str, float] | None,
        mpe: int,
        scale: Path | None,
        keys: Path | None,
        record: Path | None,
    ) -> None:
        """Play PRESET (by default the factory one) from a MIDI keyboard until Ctrl-C."""
        from synth.host import PlaySettings
        from synth.host import play as play_live

        choice = Choice(
            preset=preset,
            voices=voices,
            backend=backend,
            precision=precision,
            blend=blend,
            mpe=mpe,
            tuning=read_tuning(scale, keys),
        )
        settings = PlaySettings(midi=midi, audio=audio, block_frames=block, spare_blocks=spare, record=record)
        play_live(
            settings,
            lambda: build(choice),
            say=click.echo,
            warn=lambda line: click.echo(f"wavekeys: {line}", err=True),
        )

    return play


def _build_instrument(choice: Choice) -> Playable:
    from synth.bank import load_preset
    from synth.instrument import Instrument

    preset = load_preset(choice.preset) if choice.preset else load_preset()
    return Instrument(
        preset,
        voices=choice.voices,
        backend=choice.backend,
        precision=choice.precision,
        blend=choice.blend,
        mpe=choice.mpe,
        tuning=choice.tuning,
    )


command = make_command(_build_instrument)
