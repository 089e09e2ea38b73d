"""What `wavekeys doctor` looks at: whether this machine can play, how fast, and how late.

Threads: the main thread; `loop` has an audio callback of its own. Nothing here changes anything on the machine, and
each check says what it found, and how to mend what is wrong, instead of raising.
"""

from synth.host.doctor.finding import Finding, State
from synth.host.doctor.loop import Heard, listen
from synth.host.doctor.machine import check_machine
from synth.host.doctor.speed import Load, measure_loads
from synth.host.doctor.surroundings import check_surroundings

__all__ = ["Finding", "Heard", "Load", "State", "check_machine", "check_surroundings", "listen", "measure_loads"]
