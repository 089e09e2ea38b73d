"""Open Sound Control, in and out: whatever the desk can be told, told by datagrams, and every change echoed.

    addresses   the table: each address, what it takes, does and shows; docs/osc.md is written from it
    arguments   the kinds of values that a message may carry, and what is refused
    wire        datagrams to messages and back: python-osc's codec, with guards around it
    keys        what clients hold down, so that it can be let go
    echoes      what changed, to whom
    server      the socket and its thread

Threads: see `server`. Imports `synth.host.desk` and the parameter table, nothing of the engine; `OscServer` is all that
a host needs, and `refuse_taken` before it has anything to lose.
"""

from synth.host.osc.server import OscServer, refuse_taken

__all__ = ["OscServer", "refuse_taken"]
