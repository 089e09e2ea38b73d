"""`python -m synth`: the command `wavekeys`."""

from synth.cli.main import main

main()
