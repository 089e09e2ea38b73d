"""The option `--blend NAME=W,NAME=W`, shared by the verbs that play a preset."""

from __future__ import annotations

import math

import click


class Blend(click.ParamType):
    """Instrument names and weights. The preset checks the names; here only the form and the numbers are."""

    name = "NAME=W,NAME=W"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, float]:
        from synth.bank.bank import LARGEST_WEIGHT

        if isinstance(value, dict):
            return value
        blend: dict[str, float] = {}
        for part in str(value).split(","):
            name, equals, number = part.rpartition("=")
            name = name.strip().lower()
            try:
                weight = float(number)
            except ValueError:
                weight = math.nan
            if not (name and equals and 0.0 <= weight <= LARGEST_WEIGHT):
                self.fail(
                    f"{part.strip()!r} is not NAME=WEIGHT, 0 to {LARGEST_WEIGHT:.0f}, as in flute=1,organ=0.5",
                    param,
                    ctx,
                )
            if name in blend:
                self.fail(f"{name!r} is given twice; give it once", param, ctx)
            blend[name] = weight
        if not any(blend.values()):
            self.fail("all weights are 0; give at least one instrument more than that", param, ctx)
        return blend


blend_option = click.option(
    "--blend",
    type=Blend(),
    help="Weights of the preset's instruments, as in flute=1,organ=0.5; flute=1 plays it alone.",
)
