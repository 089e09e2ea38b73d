"""What wavekeys remembers of its user between two runs, in one file.

Threads: the main thread only; blocks on the disk.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path

import platformdirs
import tomli_w

from synth.atomic import replacing
from synth.errors import WavekeysError
from synth.instrument import PARAMETERS

FORMAT_VERSION = 1


def settings_path() -> Path:
    return Path(platformdirs.user_config_dir("wavekeys")) / "settings.toml"


def load_controllers() -> dict[int, str]:
    """The MIDI controllers that were learnt, and the parameters they move. None yet: empty.

    Raises WavekeysError for a damaged file: it is never overwritten, because a person may still mend it.
    """
    path = settings_path()
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
        learnt = {int(number): str(name) for number, name in document["controllers"].items()}
        whole = document["format_version"] == FORMAT_VERSION
        whole &= learnt.keys() <= set(range(128)) and set(learnt.values()) <= set(PARAMETERS)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        whole = False
    if not whole:
        raise WavekeysError(f"{path} is damaged: mend it, or move it away to start with none learnt")
    return learnt


def save_controllers(learnt: Mapping[int, str]) -> None:
    """Keep them for the next run. Raises WavekeysError where the disk refuses."""
    document = {
        "format_version": FORMAT_VERSION,
        "controllers": {str(number): name for number, name in sorted(learnt.items())},
    }
    with replacing(settings_path()) as partial:
        partial.write_text(tomli_w.dumps(document), encoding="utf-8")
