"""What wavekeys remembers of its user between two runs, in one file.

Threads: the main thread only; blocks on the disk.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import platformdirs
import tomli_w

from synth.atomic import replacing
from synth.errors import WavekeysError
from synth.instrument import PARAMETERS
from synth.instrument.instrument import NOT_LEARNT

FORMAT_VERSION = 1


def settings_path() -> Path:
    return Path(platformdirs.user_config_dir("wavekeys")) / "settings.toml"


def load_controllers() -> dict[int, str]:
    """The MIDI controllers that were learnt, and the parameters they move. None yet: empty.

    Raises WavekeysError for a damaged file: it is never overwritten, because a person may still mend it.
    """
    path = settings_path()
    try:
        return _controllers_of(tomllib.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise WavekeysError(f"{path} cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise WavekeysError(
            f"{path} is damaged ({error}): mend it, or move it away to start with none learnt"
        ) from None


def _controllers_of(document: dict[str, Any]) -> dict[int, str]:
    """What a document says of controllers. Raises ValueError with what is wrong in it."""
    if document.get("format_version") != FORMAT_VERSION:
        raise ValueError(f"format_version {document.get('format_version')}, this wavekeys reads {FORMAT_VERSION}")
    controllers = document.get("controllers")
    if not isinstance(controllers, dict):
        raise ValueError("no table [controllers]")
    learnt = {}
    for number, name in controllers.items():
        if not (number.isascii() and number.isdigit() and int(number) in set(range(128)) - NOT_LEARNT):
            raise ValueError(f"[controllers] {number!r} is no controller that can be taught")
        if not isinstance(name, str) or name not in PARAMETERS:
            raise ValueError(f"[controllers] {number} = {name!r}, which is no parameter")
        learnt[int(number)] = name
    return learnt


def save_controllers(learnt: Mapping[int, str]) -> None:
    """Keep them for the next run. Raises WavekeysError where the disk refuses."""
    document = {
        "format_version": FORMAT_VERSION,
        "controllers": {str(number): name for number, name in sorted(learnt.items())},
    }
    with replacing(settings_path()) as partial:
        partial.write_text(tomli_w.dumps(document), encoding="utf-8")


class Learnt:
    """What the user's controllers have learnt, kept as it changes.

    Each part of a rack learns for itself. What any of them learnt last is what all begin with the next time. Another
    wavekeys may be playing: what changes is changed in the file, and the rest of it stays.
    """

    def __init__(self) -> None:
        self.controllers = load_controllers()  # at the start
        self._parts: dict[str, dict[int, str]] = {}  # what each part has learnt, by its name

    def begin(self, part: str, controllers: Mapping[int, str]) -> None:
        """A part that was taught begins with these."""
        self._parts[part] = _beyond_the_usual(controllers)

    def follow(self, part: str, controllers: Mapping[int, str]) -> None:
        """What a part's controllers move now. Raises WavekeysError, once, where a change cannot be kept."""
        former, now = self._parts.get(part, {}), _beyond_the_usual(controllers)
        if former == now:
            return
        self._parts[part] = now
        new, gone = dict(now.items() - former.items()), former.items() - now.items()
        kept = dict(load_controllers().items() - gone)
        save_controllers({number: name for number, name in kept.items() if name not in new.values()} | new)


def _beyond_the_usual(controllers: Mapping[int, str]) -> dict[int, str]:
    """Those that do not move a parameter from the start."""
    return {number: name for number, name in controllers.items() if PARAMETERS[name].controller != number}
