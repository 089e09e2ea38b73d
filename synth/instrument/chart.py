"""The MIDI implementation chart and the table of parameters, as a page: `python -m synth.instrument.chart`."""

from __future__ import annotations

from synth.instrument.channels import CONTROLLERS
from synth.instrument.parameters import PARAMETERS

_MESSAGES = (
    ("Note on, note off", "yes", "0 to 127; velocity 0 is a note off; the velocity of a note off is ignored"),
    ("Pitch bend", "yes", "14 bits; bend_range_semitones until RPN 0 says otherwise"),
    ("Channel pressure", "yes", "vibrato, loudness, a source of modulation, as the preset says"),
    ("Polyphonic pressure", "yes", "the same for one key, where it is more than the channel's"),
    (
        "Program change",
        "yes",
        "chooses a preset: in `play`, bank 0 has the package's, bank 1 the user's, as listed when it began; "
        "notes of the former fade out, those that a pedal holds too",
    ),
    ("System exclusive, clock, transport", "no", "ignored"),
    ("Channels", "16", "omni, each with controllers of its own; in a rack a part can have a channel to itself"),
    ("MPE", "yes", "lower and upper zone, by RPN 6 or `--mpe`; per-note bend, pressure and controller 74"),
)


def implementation_chart() -> str:
    """The page in Markdown."""
    own = [(c.number, c.name, c.meaning) for c in CONTROLLERS]
    moved = [
        (p.controller, f"`{p.id}`", f"{p.shown(p.low)} to {p.shown(p.high)}" + ("; equal ratios" * p.logarithmic))
        for p in PARAMETERS.values()
        if p.controller is not None
    ]
    lines = [
        "# MIDI",
        "",
        "Written by `python -m synth.instrument.chart` from the tables that the instrument plays by.",
        "",
        "## Implementation chart",
        "",
        "| message | recognised | remarks |",
        "|---|---|---|",
        *(f"| {name} | {recognised} | {remark} |" for name, recognised, remark in _MESSAGES),
        "",
        "No message is transmitted.",
        "",
        "## Controllers",
        "",
        "Those without a code name are each channel's own; the others move a parameter of the instrument. Any",
        "controller that chooses nothing, holds nothing and ends nothing can be learnt for any parameter, in place of",
        "what it did: choose the parameter on the live screen, press `.` (or send `learn` over OSC), and move the",
        "controller. What was learnt is remembered, until ctrl and `l` (or `forget` over OSC) make the parameter and",
        "the controller what they were.",
        "",
        "| number | name | what it does |",
        "|---|---|---|",
        *(f"| {number} | {name} | {meaning} |" for number, name, meaning in sorted([*own, *moved])),
        "",
        "## Parameters",
        "",
        "| parameter | from | to | default | controller | meaning |",
        "|---|---|---|---|---|---|",
        *(
            f"| `{p.id}` | {p.shown(p.low)} | {p.shown(p.high)} | {p.shown(p.default)} | "
            f"{'' if p.controller is None else p.controller} | {p.meaning} |"
            for p in PARAMETERS.values()
        ),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(implementation_chart(), end="")
