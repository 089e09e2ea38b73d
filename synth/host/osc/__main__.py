"""Prints the page docs/osc.md: `python -m synth.host.osc`."""

from synth.host.osc.page import page

print(page(), end="")
