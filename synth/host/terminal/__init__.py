"""The computer's own keyboard plays, and a live screen shows the host.

`Terminal` is the whole of it: a context manager that the main thread polls. `refusal` says beforehand whether a
terminal is fit for it. From a key to the desk and back to the eye:

    line        the terminal's mode, its bytes, its size; nothing waits for it
    keys        bytes -> keys that go down, repeat, come up (the last only with the Kitty keyboard protocol)
    bindings    the table: which key does what
    held        notes, and when they end where no releases are told
    keyboard    keys -> commands for the `Desk`, with `steps` for how far one goes
    meters      levels as the eye wants them
    screen      status -> text, with `drawing` for its bars and piano

Only `Terminal` and `refusal` are for others. All runs in the main thread, and nothing here waits unless it is told to.
"""

from synth.host.terminal.terminal import Terminal, refusal

__all__ = ["Terminal", "refusal"]
