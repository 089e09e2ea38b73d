"""What the verbs share that turn many files into many others: which, under which names, and what of bad ones."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from synth.cli.output import expect_suffix
from synth.errors import UsageError, WavekeysError
from synth.sounds import SUFFIXES

if TYPE_CHECKING:
    from synth.training.data import BadNote

EMBEDDINGS = frozenset({".npy"})

resume_option = click.option("--resume", is_flag=True, help="Keep what is there already; make only what is missing.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """One file to read and the one to write for it."""

    source: Path
    target: Path
    number: int  # its place in what was given, the same whatever is resumed


def sources(given: Sequence[Path], *, taken: frozenset[str]) -> list[tuple[Path, Path]]:
    """The files to read, and each one's place below an output.

    Of a folder, all files with a suffix in `taken` are sources, those in folders below it too; they keep their folders.
    """
    named: list[tuple[Path, Path]] = []
    for path in given:
        if not path.is_dir():
            named.append((path, Path(path.name)))
            continue
        below = sorted(file for file in path.rglob("*") if file.suffix.lower() in taken and file.is_file())
        if not below:
            raise WavekeysError(f"{path}: no files in it; looked for {', '.join(sorted(taken))}")
        named += [(file, file.relative_to(path)) for file in below]
    return named


def plan(given: Sequence[Path], output: Path, *, taken: frozenset[str], suffix: str) -> list[Job]:
    """Pair every source with its target, whose name is the source's, whole, with another suffix.

    `output` is a folder, made here, unless it has the suffix of the targets: then it is the only one.
    """
    named = sources(given, taken=taken)
    if not output.is_dir() and output.suffix.lower() in SUFFIXES | EMBEDDINGS:
        expect_suffix(output, suffix)
        if len(named) > 1:
            raise UsageError(f"{len(named)} files cannot become one, {output}: give a folder")
        spare([output], [named[0][0]])
        make_folder(output.parent)
        return [Job(source=named[0][0], target=output, number=0)]
    jobs = [
        Job(source=source, target=output / place.with_name(place.stem + suffix), number=number)
        for number, (source, place) in enumerate(named)
    ]
    first: dict[Path, Path] = {}
    for job in jobs:
        if job.target in first:
            raise UsageError(
                f"{first[job.target]} and {job.source} would both become {job.target}: give them folders of their own"
            )
        first[job.target] = job.source
    spare(first, first.values())
    for folder in {output, *(job.target.parent for job in jobs)}:
        make_folder(folder)
    return jobs


def spare(targets: Iterable[Path], sources: Iterable[Path]) -> None:
    """Refuse to write over what is read."""
    read = {path.resolve() for path in sources}
    for target in targets:
        if target.resolve() in read:
            raise UsageError(f"{target} is what is read: give what is written another place")


def remaining(jobs: Sequence[Job], *, resume: bool) -> list[Job]:
    """The jobs that are to be done; all verbs write whole files or none, so that what is there is done."""
    return [job for job in jobs if not (resume and job.target.is_file())]


def make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WavekeysError(f"cannot make the folder {folder}: {error.strerror}") from None


class Skipped:
    """Bad files among `total`: each is named and skipped, and the verb fails when the others are done.

    One that was given alone is an error at once.
    """

    def __init__(self, total: int) -> None:
        self._total = total
        self.count = 0

    def add(self, error: WavekeysError) -> None:
        if self._total == 1:
            raise error
        self.count += 1
        click.echo(f"wavekeys: skipped: {error}", err=True)

    def finish(self) -> None:
        if self.count:
            raise WavekeysError(f"{self.count} of {self._total} files were skipped; they are named above")


def left_out(note: BadNote) -> None:
    """Tell of a note that cannot be used; the others are."""
    click.echo(f"wavekeys: left out {note.name}: {note.reason}", err=True)
