"""The parts of the machine that decide how fast and how steadily the decoder runs."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

from synth.errors import WavekeysError
from synth.host.doctor.finding import Finding
from synth.host.priority import NICENESS, PORTS, may_be_real_time

_PACKAGES = ("wavekeys", "jax", "jaxlib", "flax", "numpy")
_GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")


def check_machine() -> Iterator[Finding]:
    """Software, processor, kernel, and whether the system lets an instrument go before other work."""
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in _PACKAGES)
    yield Finding(what="software", state="well", said=f"Python {platform.python_version()}, {versions}")
    yield _kernel()
    yield _devices()
    yield _priority()
    yield from _governor()


def _kernel() -> Finding:
    from synth.kernels import cpu

    try:
        return Finding(
            what="CPU kernel",
            state="well",
            said=f"{cpu.instruction_set()}, in {', '.join(cpu.precisions())}, on {os.cpu_count()} cores",
        )
    except WavekeysError as error:
        return Finding(
            what="CPU kernel",
            state="note",
            said=f"decoding is in pure JAX, several times slower: {error}",
            remedy="apt install g++, then install wavekeys again",
        )


def _devices() -> Finding:
    import jax

    kinds = sorted({f"{device.platform}: {device.device_kind}" for device in jax.devices()})
    return Finding(what="JAX devices", state="well", said=", ".join(kinds))


def _priority() -> Finding:
    if sys.platform == "win32":
        return Finding(what="priority", state="note", said="left to the system on Windows")
    import resource

    # The limit counts the other way round: 20 less the lowest niceness that may be asked for.
    allowed = os.geteuid() == 0
    if hasattr(resource, "RLIMIT_NICE"):
        soft, _ = resource.getrlimit(resource.RLIMIT_NICE)
        allowed |= soft == resource.RLIM_INFINITY or 20 - soft <= NICENESS
    said = f"may go before other work (niceness {NICENESS})" if allowed else "may not go before other work"
    if sys.platform != "linux":
        return Finding(what="priority", state="well" if allowed else "note", said=f"playing {said}")
    real_time = may_be_real_time()
    if allowed and real_time:
        return Finding(what="priority", state="well", said=f"playing {said}, its engine in real time")
    lines = [
        *([] if real_time else [f"'@audio - rtprio {PORTS}'"]),
        *([] if allowed else [f"'@audio - nice {NICENESS}'"]),
    ]
    return Finding(
        what="priority",
        state="note",
        said=f"playing {said}, its engine {'in' if real_time else 'not in'} real time: a busy machine is heard sooner",
        remedy=f"{' and '.join(lines)} in /etc/security/limits.d/audio.conf, and yourself in group audio",
    )


def _governor() -> Iterator[Finding]:
    try:
        governor = _GOVERNOR.read_text(encoding="ascii").strip()
    except OSError:
        return
    if governor == "powersave":
        yield Finding(
            what="clock",
            state="note",
            said="the processor saves power: its clock may be slow to rise when notes come",
            remedy="cpupower frequency-set -g performance, while you play",
        )
    else:
        yield Finding(what="clock", state="well", said=f"governor {governor}")
