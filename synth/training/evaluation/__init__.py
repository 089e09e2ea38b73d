"""A preset measured as a player hears it: note by note, blended, bent, against the notes that it was learnt from.

`evaluate` does all of it; `contact_sheet` draws notes beside their sources; `compare_precisions` plays them in each of
the kernel's precisions. Needs the extra `analysis`.
"""

from synth.training.evaluation.evaluate import Sources, evaluate
from synth.training.evaluation.playing import HELD_SECONDS, note_cents, render_note
from synth.training.evaluation.precision import HeldOut, compare_precisions, held_out, held_out_nats
from synth.training.evaluation.sheet import contact_sheet
from synth.training.evaluation.summary import summarise

__all__ = [
    "HELD_SECONDS",
    "HeldOut",
    "Sources",
    "compare_precisions",
    "contact_sheet",
    "evaluate",
    "held_out",
    "held_out_nats",
    "note_cents",
    "render_note",
    "summarise",
]
