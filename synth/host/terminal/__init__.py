"""The terminal as a surface: a live screen, and the computer's keyboard to play on.

    bindings   the table: which key does what
    keys       bytes to keys that go down, repeat and come up
    held       the notes that keys hold, also where a terminal tells no releases
    keyboard   keys to commands for the desk
    steps      how far a press moves a value
    meters     levels as the eye wants them
    drawing    bars, meters, the piano
    screen     what it all looks like, as a pure function
    terminal   the terminal itself: taken, polled, given back

Imports `synth.host.desk` and the parameter table, nothing of the engine; `Terminal` is all that a host needs.
"""

from synth.host.terminal.terminal import Terminal

__all__ = ["Terminal"]
