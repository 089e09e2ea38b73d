"""What playing needs beside the machine: audio devices, MIDI ports, presets, settings."""

from __future__ import annotations

from collections.abc import Iterator

from synth.bank import list_presets
from synth.errors import WavekeysError
from synth.host.audio import choose_output, list_outputs
from synth.host.doctor.finding import Finding
from synth.host.midi import list_input_names, plan_inputs
from synth.host.settings import load_controllers
from synth.instrument.parameters import check_parameters


def check_surroundings() -> Iterator[Finding]:
    """Audio, MIDI, presets, settings."""
    yield _audio()
    yield _midi()
    yield from _presets()
    yield _settings()


def _audio() -> Finding:
    try:
        device = choose_output(None)
    except WavekeysError as error:
        return Finding(what="audio", state="fault", said=str(error), remedy="`wavekeys render` works without")
    return Finding(
        what="audio",
        state="well",
        said=f"{device.name} ({device.host_api}), {device.rate_hz} Hz; {len(list_outputs())} outputs in all",
    )


def _midi() -> Finding:
    try:
        plan_inputs("all")
    except WavekeysError as error:
        return Finding(what="MIDI", state="fault", said=str(error), remedy="the live screen's own keyboard plays too")
    names = list_input_names()
    if names:
        return Finding(what="MIDI", state="well", said=", ".join(names))
    return Finding(
        what="MIDI",
        state="note",
        said="no keyboard is connected",
        remedy="connect one at any time while playing, or connect a program to the port of `play --midi virtual`",
    )


def _presets() -> Iterator[Finding]:
    damaged: list[WavekeysError] = []
    infos = list_presets(damaged=damaged.append)
    for info in infos:
        try:
            check_parameters(info)
        except WavekeysError as refusal:
            damaged.append(refusal)
    own = sum(not info.factory for info in infos)
    yield Finding(what="presets", state="well", said=f"{len(infos) - own} that come with wavekeys, {own} of your own")
    for error in damaged:
        yield Finding(what="presets", state="fault", said=str(error), remedy="mend that file or move its folder away")


def _settings() -> Finding:
    try:
        learnt = load_controllers()
    except WavekeysError as error:
        return Finding(what="settings", state="fault", said=str(error))
    return Finding(what="settings", state="well", said=f"{len(learnt)} controllers were learnt")
