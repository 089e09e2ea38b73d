"""A training run as a TOML file, such as `presets/factory.toml`."""

from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path
from typing import Any, TypeVar

from synth.bank import model_file
from synth.errors import UsageError, WavekeysError
from synth.training.soundfont import NOTE_SECONDS
from synth.wavenet import SIZES, WaveNetConfig, load_model

T = TypeVar("T")


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Which notes to take: those that `notes` holds, or where it is empty, notes rendered from a SoundFont."""

    notes: str = ""  # a folder of notes, NSynth's folder or TFRecord file
    soundfont: str = "/usr/share/sounds/sf2/FluidR3_GM.sf2"
    instruments: dict[str, int] = dataclasses.field(default_factory=dict)  # name: General MIDI program, 0 to 127
    pitch_low: int = 48
    pitch_high: int = 72
    pitch_step: int = 1  # semitones from one pitch to the next
    velocities: list[int] = dataclasses.field(default_factory=lambda: [100])

    # Of `notes`, which is taken whole where nothing else is said; an empty list asks for all there are.
    only: list[str] = dataclasses.field(default_factory=list)  # instruments
    families: list[str] = dataclasses.field(default_factory=list)  # of NSynth's
    origins: list[str] = dataclasses.field(default_factory=list)  # NSynth's acoustic, electronic, synthetic
    without: list[str] = dataclasses.field(default_factory=list)  # notes of these of NSynth's qualities

    @property
    def pitches(self) -> list[int]:
        return list(range(self.pitch_low, self.pitch_high + 1, self.pitch_step))

    def takes(self, instrument: str, pitch: int, velocity: int) -> bool:
        """Whether a note of `notes` is asked for."""
        return (
            pitch in self.pitches
            and (not self.velocities or velocity in self.velocities)
            and (not self.only or instrument in self.only)
        )


WHOLE: dict[str, Any] = {"pitch_low": 0, "pitch_high": 127, "velocities": []}
"""What `[data]` says of `notes` where it says nothing."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """How to train: Adam, the learning rate rising over `warm_up_steps`, steady, and falling linearly at the end."""

    steps: int = 50_000
    batch: int = 1  # crops a step
    frames: int = 8  # a crop's length, in frames of 512 samples
    frames_first: int = 0  # steps at the beginning that teach only what a frame tells: several times faster
    more_notes: int = 0  # beside each crop, from which only is learnt what a frame tells; cheap next to a crop
    learning_rate: float = 1.2e-3
    warm_up_steps: int = 200
    decay_share: float = 0.3  # of the steps, at the end; the rate falls to a hundredth
    clip_norm: float = 1.0
    average_decay: float = 0.999  # of the weights' exponential moving average, which is what is saved as the model
    history_noise: tuple[float, float] = (3e-2, 1.0)  # noise in the history, relative to the note's own: log-uniform
    embedding_noise: float = 0.03
    seed: int = 0
    checkpoint_minutes: float = 5.0
    precision: str = "fp32"  # "bf16": of matrix products on a GPU or TPU; the weights stay in float32
    start_from: str = ""  # a preset's name or a model's file, whose size and weights the run starts with

    def __post_init__(self) -> None:
        if self.precision not in ("fp32", "bf16"):
            raise WavekeysError(f"[training] precision must be fp32 or bf16, not {self.precision!r}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ValidationConfig:
    """Which notes to hold out, and how often to see how the model does on them. NSynth's `valid` split always is."""

    every: int = 0  # every so many-th note; 0: none
    instruments: list[str] = dataclasses.field(default_factory=list)  # all notes of these
    steps: int = 1000  # from one validation to the next
    crops: int = 32  # on which the loss is measured


RANGES: dict[str, tuple[float, float]] = {
    "instruments": (0, 127),  # their programs
    "velocities": (1, 127),
    "pitch_low": (0, 127),
    "pitch_high": (0, 127),
    "pitch_step": (1, 127),
    "steps": (1, 1e9),
    "batch": (1, 1e6),
    "frames": (1, 1e6),
    "frames_first": (0, 1e9),
    "more_notes": (0, 1e6),
    "learning_rate": (1e-12, 1e3),
    "warm_up_steps": (0, 1e9),
    "decay_share": (0, 1),
    "clip_norm": (1e-9, 1e9),
    "average_decay": (0, 1),
    "history_noise": (1e-9, 1e3),
    "embedding_noise": (0, 1e3),
    "seed": (0, 2**32 - 1),
    "checkpoint_minutes": (0, 1e6),
    "every": (0, 1e9),
    "crops": (1, 1e6),
}
"""What numbers may be, each of a list or table too, the ends included."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainConfig:
    model: WaveNetConfig
    data: DataConfig
    training: OptimizerConfig
    validation: ValidationConfig = ValidationConfig()
    output: Path  # folder of the run: model.safetensors, checkpoints, metrics, and the analysed notes


def read_config(path: Path) -> TrainConfig:
    """Read a training run. Unknown keys and values of the wrong type are refused by name."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"no training config at {path}") from None
    except IsADirectoryError:
        raise UsageError(f"{path} is a folder: give a training config (.toml), whose [data] may say notes = ") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise WavekeysError(f"{path}: not a readable TOML file ({error})") from None
    unknown = document.keys() - {"model", "data", "training", "validation", "output"}
    if unknown:
        raise WavekeysError(f"{path}: unknown key {min(unknown)!r}; known: data, model, output, training, validation")
    where = str(path)

    def table(name: str) -> dict[str, Any]:
        values = document.get(name, {})
        if not isinstance(values, dict):
            raise WavekeysError(f"{where}: [{name}] must be a table, not {values!r}")
        return values

    output = document.get("output", "runs/" + path.stem)
    if not isinstance(output, str):
        raise WavekeysError(f"{where}: key 'output' must be of type str, not {output!r}")
    training = _section(OptimizerConfig, table("training"), where)
    data = table("data")
    if "notes" in data:
        data = WHOLE | data
    wanted = _section(DataConfig, data, where)
    programs = dict(zip(_small([*wanted.instruments]), wanted.instruments.values(), strict=True))
    held_out = _section(ValidationConfig, table("validation"), where)
    config = TrainConfig(
        model=_model(table("model"), training.start_from, where),
        data=dataclasses.replace(wanted, instruments=programs, only=_small(wanted.only)),
        training=training,
        validation=dataclasses.replace(held_out, instruments=_small(held_out.instruments)),
        output=Path(output),
    )
    for name in programs:
        check_instrument(name, f"{where}: [data.instruments]")
    if training.history_noise[0] > training.history_noise[1]:
        raise WavekeysError(f"{where}: [training] history_noise goes from more to less: {[*training.history_noise]}")
    if config.data.pitch_low > config.data.pitch_high:
        raise WavekeysError(f"{where}: [data] pitch_low {config.data.pitch_low} is above its pitch_high")
    samples, half = int(NOTE_SECONDS * config.model.sample_rate_hz), config.model.hop // 2
    if config.model.encoder == "spectral" and samples % half:
        raise WavekeysError(f"{where}: [model] hop: half of it must divide a note's {samples} samples")
    longest = samples // config.model.hop
    if training.frames > longest:
        raise WavekeysError(f"{where}: [training] frames {training.frames}: a note has {longest}")
    return config


def check_instrument(name: str, where: str) -> None:
    """Refuse a name that no blend could say: one of no letters, or with what parts names and weights."""
    if not name.strip() or not name.isprintable() or "," in name or "=" in name:
        raise UsageError(f"{where}: an instrument cannot be called {name!r}")


def _small(names: list[str]) -> list[str]:
    """Instruments' names in small letters, as folders of notes and blends have them."""
    return [name.lower() for name in names]


def _model(values: dict[str, Any], start_from: str, where: str) -> WaveNetConfig:
    if start_from:
        if values:
            raise WavekeysError(f"{where}: [training] start_from brings its own model; leave [model] out")
        return load_model(model_file(start_from)).config
    values = dict(values)
    size = values.pop("size", "live")
    if not isinstance(size, str) or size not in SIZES:
        raise WavekeysError(f"{where}: unknown model size {size!r}; one of {', '.join(SIZES)}")
    return WaveNetConfig.from_dict({**dataclasses.asdict(SIZES[size]), **values}, where=where)


def _section(kind: type[T], values: dict[str, Any], where: str) -> T:
    defaults = {field.name: getattr(kind(), field.name) for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    checked: dict[str, Any] = {}
    for key, value in values.items():
        if key not in defaults:
            raise WavekeysError(f"{where}: unknown key {key!r}; known: {', '.join(sorted(defaults))}")
        default = defaults[key]
        wanted = {float: (int, float), tuple: (list,)}.get(type(default), (type(default),))
        if not isinstance(value, wanted) or isinstance(value, bool):
            raise WavekeysError(f"{where}: key {key!r} must be of type {type(default).__name__}, not {value!r}")
        _check_items(key, value, default, where)
        checked[key] = tuple(value) if isinstance(default, tuple) else value
    return kind(**checked)


def _check_items(key: str, value: Any, default: Any, where: str) -> None:
    """Refuse a number out of its range, and lists and tables that hold what they should not."""
    if isinstance(default, tuple) and len(value) != len(default):
        raise WavekeysError(f"{where}: key {key!r} must be {len(default)} numbers, not {value!r}")
    items = value if isinstance(value, list) else [value]
    if isinstance(value, dict):
        for name, item in value.items():
            _check_items(key, item, 0, f"{where}: {name}")
        return
    if isinstance(default, list) and key != "velocities":
        if not all(isinstance(item, str) for item in items):
            raise WavekeysError(f"{where}: key {key!r} must hold names, not {value!r}")
    elif key in RANGES:
        low, high = RANGES[key]
        whole = not isinstance(default, float | tuple)
        for number in items:
            fits = isinstance(number, int) if whole else isinstance(number, int | float)
            if not fits or isinstance(number, bool) or not low <= number <= high:
                kind = "a whole number" if whole else "a number"
                raise WavekeysError(f"{where}: key {key!r} must be {kind} from {low:g} to {high:g}, not {number!r}")
