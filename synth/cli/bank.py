"""`wavekeys bank build`: a preset from notes and a model."""

from __future__ import annotations

import functools
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from synth.cli.files import left_out, make_folder
from synth.cli.model import model_option
from synth.errors import UsageError, WavekeysError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from synth.bank import Bank, PresetInfo
    from synth.training.config import DataConfig

MOST_INSTRUMENTS = 16  # that are taken without being named
SOUNDFONT_PITCHES, SOUNDFONT_VELOCITIES = "36-96", "50,100,127"


@click.group("bank", short_help="Build a preset's embeddings from notes.")
def command() -> None:
    """Build banks of embeddings."""


@command.command("build")
@click.argument("source", type=click.Path(path_type=Path))
@model_option
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, metavar="PRESET", help="What to write.")
@click.option("--name", help="The preset's name; by default its file's.")
@click.option("--instruments", metavar="NAME,…", help="Which to take; of a SoundFont also NAME=PROGRAM,…")
@click.option("--pitches", metavar="LOW-HIGH", help=f"MIDI numbers; of a SoundFont by default {SOUNDFONT_PITCHES}.")
@click.option("--velocities", metavar="V,…", help=f"Of a SoundFont by default {SOUNDFONT_VELOCITIES}.")
@click.option(
    "--no-refine",
    is_flag=True,
    help="Embeddings as the encoder gives them, partials on the pitch's multiples: several times as fast.",
)
@click.option("--force", is_flag=True, help="Overwrite a file that is there.")
def build(
    source: Path,
    model_name: str,
    output: Path,
    name: str | None,
    instruments: str | None,
    pitches: str | None,
    velocities: str | None,
    no_refine: bool,
    force: bool,
) -> None:
    """Embed every note of SOURCE in a new preset: a folder, or one file that ends in .wavekeys. What the encoder gives
    is then fitted to each note.

    SOURCE is a folder of recorded notes (their pitch in the name, such as flute_C4_v100.wav, in a table notes.csv, or
    heard), NSynth's folder or .tfrecord file, a SoundFont (.sf2), or a training config (.toml), whose [data] it takes.
    """
    from synth.bank import export_preset, model_file
    from synth.bank.archive import MEMBERS, SUFFIX
    from synth.bank.library import checked_name
    from synth.cli.output import check_writable, expect_folder
    from synth.training.config import DataConfig, read_config

    one_file = output.suffix.lower() == SUFFIX
    if not one_file:
        expect_folder(output, ", or a file that ends in .wavekeys")
    if output.resolve() == source.resolve():
        raise UsageError(f"{output} is where the notes are; give the preset another place")
    name = checked_name(output.stem if name is None else name)
    written = [output] if one_file else [output / file for file in MEMBERS]
    if output.is_file() and not one_file:
        raise WavekeysError(f"cannot write {output}: it is a file; give a folder's name, or one that ends in .wavekeys")
    if any(file.exists() for file in written) and not force:
        raise WavekeysError(f"{output} is there already; choose another name, or overwrite it with --force")
    if (output / "checkpoints").is_dir() or (
        (output / "model.safetensors").exists() and not (output / "preset.toml").exists()
    ):
        raise WavekeysError(f"{output} holds a model that is no preset's; give the preset another place")
    trained_on = source.suffix == ".toml"
    if trained_on and (instruments or pitches or velocities):
        raise UsageError(f"{source}: a training config says itself which notes; leave the options out")
    data = read_config(source).data if trained_on else _asked(source, instruments, pitches, velocities)
    factory_notes = not data.notes and Path(data.soundfont).name == Path(DataConfig().soundfont).name
    path = model_file(model_name)
    make_folder(output.parent)
    check_writable(written[0] if output.is_dir() else output)
    bank = _bank(data, path, listed=bool(trained_on or instruments), refine=not no_refine)
    if one_file:
        with tempfile.TemporaryDirectory(prefix="wavekeys-") as partial:
            _write(Path(partial), bank, path, name, factory_notes)
            export_preset(Path(partial), output, overwrite=force)
    else:
        _write(output, bank, path, name, factory_notes)
    click.echo(
        f"{output}: {len(bank.instruments)} instruments, {len(bank.pitches)} pitches, {len(bank.velocities)} velocities"
    )


def _asked(source: Path, instruments: str | None, pitches: str | None, velocities: str | None) -> DataConfig:
    """The notes that the command line names."""
    from synth.training.config import WHOLE, DataConfig
    from synth.training.data import SOUNDFONT, kind_of

    chosen = [name.strip().lower() for name in (instruments or "").split(",") if name.strip()]
    if kind_of(source) == SOUNDFONT:
        low, high = _range(pitches or SOUNDFONT_PITCHES)
        return DataConfig(
            soundfont=str(source),
            instruments=_programs(source, chosen),
            pitch_low=low,
            pitch_high=high,
            velocities=_numbers("--velocities", velocities or SOUNDFONT_VELOCITIES, low=1),
        )
    low, high = _range(pitches) if pitches else (WHOLE["pitch_low"], WHOLE["pitch_high"])
    wanted = _numbers("--velocities", velocities, low=1) if velocities else []
    return DataConfig(notes=str(source), only=chosen, pitch_low=low, pitch_high=high, velocities=wanted)


def _bank(data: DataConfig, model_path: Path, *, listed: bool, refine: bool) -> Bank:
    from synth.bank import Recorded, bank_of_notes, is_strange
    from synth.bank.bank import FRAMES_PER_SECOND
    from synth.cli.output import progress_bar
    from synth.errors import WavekeysError
    from synth.training.data import BadNote, good_notes, open_notes
    from synth.training.refinement import STEPS, refined
    from synth.wavenet import load_model

    model = load_model(model_path)
    rate = model.config.sample_rate_hz / model.config.hop
    if rate != FRAMES_PER_SECOND:
        raise WavekeysError(f"{model_path}: a bank has {FRAMES_PER_SECOND} frames a second, this model {rate:g}")
    source = open_notes(data, model.config.sample_rate_hz)
    seen: set[str] = set()
    with progress_bar("encoding", source.at_most) as progress:

        def notes() -> Iterator[Recorded]:
            for number, note in enumerate(good_notes(source, left_out)):
                seen.add(note.instrument)
                if not listed and len(seen) > MOST_INSTRUMENTS:
                    raise UsageError(
                        f"{source.where}: more than {MOST_INSTRUMENTS} instruments; choose by --instruments"
                    )
                recorded = Recorded(note.instrument, note.pitch, note.velocity, note.audio)
                if is_strange(model, note.audio):
                    strange = f"{recorded.label} is unlike all that the model has learnt"
                    click.echo(f"wavekeys: {strange}; `wavekeys train` can teach it", err=True)
                yield recorded
                progress(number + 1)

        def repeated(note: Recorded) -> None:
            left_out(BadNote(note.label, "another of them came first"))

        embed = functools.partial(refined, model, expected=source.at_most, steps=STEPS if refine else 0)
        return bank_of_notes(model, notes(), embed, again=repeated)


def _programs(soundfont: Path, chosen: list[str]) -> dict[str, int]:
    """Instruments of a SoundFont by name: named as it does, or given with their programs."""
    from synth.training.config import check_instrument
    from synth.training.data import soundfont_programs

    there = soundfont_programs(soundfont)
    if not chosen:
        if len(there) > MOST_INSTRUMENTS:
            some = ", ".join(list(there)[:4])
            raise UsageError(
                f"{soundfont}: has {len(there)} instruments ({some}, …); choose by --instruments NAME,NAME=PROGRAM,…"
            )
        return there
    programs = {}
    for choice in chosen:
        name, given, program = choice.partition("=")
        check_instrument(name, "--instruments")
        if given:
            programs[name] = _numbers("--instruments", program)[0]
        elif name in there:
            programs[name] = there[name]
        else:
            raise UsageError(f"{soundfont}: no instrument {name!r}; give {name}=PROGRAM, or one of {', '.join(there)}")
    return programs


def _range(text: str) -> tuple[int, int]:
    low, _, high = text.partition("-")
    numbers = _numbers("--pitches", f"{low},{high or low}")
    if numbers[0] > numbers[1]:
        raise UsageError(f"--pitches: {text!r} are from high to low")
    return numbers[0], numbers[1]


def _numbers(option: str, text: str, *, low: int = 0) -> list[int]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and low <= int(part) <= 127 for part in parts):
        raise UsageError(f"{option}: {text!r} are not numbers from {low} to 127")
    return [int(part) for part in parts]


def _write(folder: Path, bank: Bank, model_path: Path, name: str, factory_notes: bool) -> None:
    from synth.atomic import replacing
    from synth.bank.preset import preset_text, sha256_of

    info = _info(name, bank.instruments, sha256_of(model_path), folder, factory_notes)
    # All three are whole before the first is put in its place; what makes a preset of them is the last.
    with (
        replacing(folder / "preset.toml") as new_preset,
        replacing(folder / "model.safetensors") as new_model,
        replacing(folder / "bank.safetensors") as new_bank,
    ):
        bank.save(new_bank)
        shutil.copyfile(model_path, new_model)
        new_preset.write_text(preset_text(info), encoding="utf-8")


def _info(name: str, instruments: tuple[str, ...], model_sha256: str, folder: Path, factory_notes: bool) -> PresetInfo:
    """What `preset.toml` says; of notes of the factory's SoundFont, whose they are."""
    from synth.bank import PresetInfo

    names = ", ".join(instruments).capitalize()
    return PresetInfo(
        name=name,
        author="",
        licence="Notes of FluidR3 GM by Frank Wen (MIT licence)" if factory_notes else "",
        tags=("own notes",),
        description=f"{names}.",
        blend={instruments[0]: 1.0},
        parameters={},
        model_sha256=model_sha256,
        folder=folder,
        factory=False,
    )
