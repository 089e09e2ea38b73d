"""Stand-ins for tests and for trying the host without a model. Nothing outside tests imports this package.

`SineInstrument` is a `synth.host.Playable`; `FakeClock` is a clock that moves only when told; `FakePort` is an
open MIDI input that a test plays on. `python -m synth.testing.play_sine` is `wavekeys play` with sines.
"""

from synth.testing.fakes import FakeClock, FakePort
from synth.testing.sine import SineInstrument

__all__ = ["FakeClock", "FakePort", "SineInstrument"]
