"""The NSynth paper's experiments, each of which gives a section of the report."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from synth.analysis import level_db, log_mel_distance, median_cents
from synth.analysis.rainbowgram import Cell
from synth.bank import arithmetic
from synth.bank.bank import FRAMES_PER_SECOND
from synth.experiments.bench import Bench, Note, Section, table
from synth.experiments.between import between
from synth.pitch import midi_to_hertz
from synth.training.evaluation import note_cents

LONG_SECONDS = 10.0
MORPHED = 4  # instruments at most that are interpolated between
PART_SECONDS = 1.0  # of a note in a sequence
TRACKED = (
    "Pitches are those that pYIN finds within 7.5 semitones of the note's own or of its octaves, which count as right; "
    "a sound without a pitch counts as six semitones off."
)
SEQUENCE = (0, 2, 4, 7)  # semitones above the first note, or the nearest at hand


def reconstruction(bench: Bench) -> Section:
    """Notes through each model and back: how near they are to the original, and whether their pitch is right."""
    notes = bench.measured
    found = {"original": [note.audio for note in notes], **bench.rebuild(notes)}
    rows = []
    for name, sounds in found.items():
        cents = [note_cents(sound, note.pitch, bench.rate_hz) for note, sound in zip(notes, sounds, strict=True)]
        away = np.nan_to_num(np.abs(cents), nan=600.0)  # what has no pitch is out of tune
        pairs = list(zip(notes, sounds, strict=True))
        distance = np.mean([log_mel_distance(note.audio, sound, bench.rate_hz) for note, sound in pairs])
        level = np.mean([abs(level_db(sound) - level_db(note.audio)) for note, sound in pairs])
        rows.append([name, 100 * np.mean(away <= 20), 100 * np.mean(away <= 50), np.median(away), distance, level])
    middles = [bench.middle(name, notes) for name in dict.fromkeys(note.instrument for note in notes)]
    places = [notes.index(note) for note in middles]
    shown = {name: [(notes[place].name, sounds[place]) for place in places] for name, sounds in found.items()}
    picture = bench.picture("reconstruction", shown)
    links = [
        bench.keep(f"{note.name}-{name}", sounds[place])
        for name, sounds in found.items()
        for note, place in zip(middles, places, strict=True)
    ]
    heads = ["", "within 20 cents, %", "within 50 cents, %", "median, cents", "log-mel distance, dB", "level error, dB"]
    text = f"{len(notes)} notes. {TRACKED}\n\n{table(heads, rows)}\n\n{picture}\n\n{', '.join(links)}"
    return Section(title="Reconstruction and pitch", text=text)


def interpolation(bench: Bench) -> Section:
    """Between two instruments, in sound (two notes at once) and in embedding (one note between them)."""
    parts = []
    spread = bench.instruments[:: -(-len(bench.instruments) // MORPHED)]  # neighbours are often of one family
    for first, second in itertools.pairwise(spread):
        if (common := _common(bench, first, second)) is None:
            parts.append(f"### {first} to {second}\n\nThey have no pitch in common.")
            continue
        a, b = common
        mixed, decoded = between(
            bench.model,
            bench.decoder,
            a.audio,
            b.audio,
            steps=bench.steps,
            pitch=a.pitch,
            temperature=bench.temperature,
        )
        shares = np.linspace(0.0, 1.0, bench.steps)
        titles = [f"{100 * share:.0f} % {second}" for share in shares]
        rows = {"sounds mixed": mixed, "embeddings mixed": decoded}
        picture = bench.picture(
            f"between-{first}-{second}",
            {name: list(zip(titles, row, strict=True)) for name, row in rows.items()},
            width=bench.steps,
        )
        measured = [
            [
                title,
                note_cents(x, a.pitch, bench.rate_hz),
                note_cents(y, a.pitch, bench.rate_hz),
                level_db(x),
                level_db(y),
            ]
            for title, x, y in zip(titles, mixed, decoded, strict=True)
        ]
        half = bench.steps // 2
        links = [
            bench.keep(f"{first}-{second}-half-sounds", mixed[half]),
            bench.keep(f"{first}-{second}-half-embeddings", decoded[half]),
        ]
        heads = ["", "sounds, cents", "embeddings, cents", "sounds, dBFS", "embeddings, dBFS"]
        parts.append(f"### {first} to {second}\n\n{picture}\n\n{table(heads, measured)}\n\n{', '.join(links)}")
    return Section(title="Interpolation", text="\n\n".join(parts) or "One instrument: nothing to interpolate between.")


def dynamics(bench: Bench) -> Section:
    """Between the softest and the loudest note of a pitch: the levels in between, and the recordings'."""
    heads = ["", *(f"{100 * share:.0f} %" for share in np.linspace(0.0, 1.0, bench.steps)), "recorded"]
    rows, links = [], []
    for name in bench.instruments:
        middle = bench.middle(name)
        same = sorted(
            (note for note in bench.notes if (note.instrument, note.pitch) == (name, middle.pitch)),
            key=lambda note: note.velocity,
        )
        if len(same) < 2:
            continue
        soft, loud = bench.embed([same[0].audio, same[-1].audio])
        steps = arithmetic.interpolate(soft, loud, bench.steps)
        sounds = bench.sound(list(steps), [middle.pitch] * bench.steps)
        recorded = ", ".join(f"{note.velocity}: {level_db(note.audio):.1f}" for note in same)
        rows.append([f"{name}, dBFS", *(level_db(sound) for sound in sounds), recorded])
        links.append(bench.keep(f"{name}-dynamics", np.concatenate(sounds)))
    if not rows:
        return Section(title="Dynamics", text="The notes have one velocity each: nothing to interpolate between.")
    return Section(title="Dynamics", text=f"{table(heads, rows)}\n\n{', '.join(links)}")


def long_notes(bench: Bench) -> Section:
    """Notes of ten seconds, from embeddings whose middle goes to and fro; training heard four seconds at most."""
    rows, links, shown = [], [], []
    middles = [bench.middle(name) for name in bench.instruments]
    held = []
    for z in bench.embed([note.audio for note in middles]):
        frames = max(round(LONG_SECONDS * FRAMES_PER_SECOND), len(z))
        held.append(arithmetic.loop(z, first=len(z) // 4, last=len(z) // 2, frames=frames))
    for note, sound in zip(middles, bench.sound(held, [note.pitch for note in middles]), strict=True):
        hertz = midi_to_hertz(note.pitch)
        spans = [int(share * len(sound)) for share in (0.05, 0.4, 0.75)]
        cents = [median_cents(sound[at : at + len(sound) // 7], hertz, bench.rate_hz) for at in spans]
        rows.append([note.instrument, len(sound) / bench.rate_hz, *cents])
        links.append(bench.keep(f"{note.name}-long", sound))
        shown.append((note.name, sound))
    heads = ["", "seconds", "cents at the beginning", "in the middle", "towards the end"]
    picture = bench.picture("long", {"WaveNet": shown})
    remark = "The baseline embeds whole notes of a fixed length and has no longer ones."
    return Section(
        title="Notes longer than training", text=f"{table(heads, rows)}\n\n{remark}\n\n{picture}\n\n{', '.join(links)}"
    )


def sequences(bench: Bench) -> Section:
    """Notes in a row, embedded as one sound: the models have only ever heard single ones.

    A decoder with a pitch clock is told each note's pitch, part by part; the baseline has one pitch, the first.
    """
    rows, links = [], []
    shown: dict[str, list[Cell]] = {}
    part = round(PART_SECONDS * bench.rate_hz / bench.model.config.hop) * bench.model.config.hop
    for name in bench.instruments:
        notes = _sequence(bench, name)
        audio = np.concatenate([note.audio[:part] for note in notes])
        embedded = bench.embed([audio])[0]
        pitches = [note.pitch for note in notes]
        if bench.model.config.clock_harmonics:
            frames = part // bench.model.config.hop
            parts = [embedded[place * frames : (place + 1) * frames] for place in range(len(notes))]
            found = {"WaveNet": np.concatenate(bench.sound(parts, pitches))}
        else:
            found = {"WaveNet": bench.sound([embedded], pitches[:1])[0]}
        if bench.baseline is not None:
            found["baseline"] = bench.rebuild_spectrum(audio, pitches[0])
        for model, sound in {"original": audio, **found}.items():
            away = [
                median_cents(sound[place * part : (place + 1) * part], midi_to_hertz(pitch), bench.rate_hz)
                for place, pitch in enumerate(pitches)
            ]
            right = int(np.sum(np.nan_to_num(np.abs(away), nan=600.0) <= 50))
            distance = log_mel_distance(audio, sound, bench.rate_hz)
            rows.append([name, model, f"{right} of {len(notes)}", distance])
            links.append(bench.keep(f"{name}-sequence-{model}", sound))
            shown.setdefault(model, []).append((name, sound))
    heads = ["", "", "notes within 50 cents", "log-mel distance, dB"]
    picture = bench.picture("sequences", shown)
    remark = (
        "Each sequence is embedded as one sound. A WaveNet with a pitch clock is then told each part's pitch and "
        "begins anew with each; the baseline has one pitch for all, the first note's."
    )
    text = f"{remark}\n\n{table(heads, rows)}\n\n{picture}\n\n{', '.join(links)}"
    return Section(title="Sequences of notes", text=text)


EXPERIMENTS: dict[str, Callable[[Bench], Section]] = {
    "reconstruction": reconstruction,
    "interpolation": interpolation,
    "dynamics": dynamics,
    "long-notes": long_notes,
    "sequences": sequences,
}


def report(bench: Bench, head: str, names: Sequence[str]) -> Iterator[str]:
    """The report as it is after each experiment, Markdown that begins with `head`.

    Sounds and pictures are written on the way.
    """
    text = head
    for name in names:
        section = EXPERIMENTS[name](bench)
        text += f"\n\n## {section.title}\n\n{section.text}"
        yield text + "\n"


def _common(bench: Bench, first: str, second: str) -> tuple[Note, Note] | None:
    """Two instruments' loudest notes of one pitch, the nearest to the middle of the first one's that both have."""
    middle = bench.middle(first).pitch
    by_velocity = sorted(bench.notes, key=lambda note: note.velocity)
    a, b = ({note.pitch: note for note in by_velocity if note.instrument == name} for name in (first, second))
    if not a.keys() & b.keys():
        return None
    pitch = min(a.keys() & b.keys(), key=lambda pitch: (abs(pitch - middle), pitch))
    return a[pitch], b[pitch]


def _sequence(bench: Bench, name: str) -> list[Note]:
    """An instrument's notes that are nearest to those of `SEQUENCE` above its middle one, its loudest ones."""
    own = [note for note in bench.notes if note.instrument == name]
    first = bench.middle(name).pitch
    return [min(own, key=lambda note: (abs(note.pitch - first - above), -note.velocity)) for above in SEQUENCE]
