"""The sizes of the baseline, as data."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any, NamedTuple

from synth.errors import WavekeysError

FORMAT_VERSION = 1
WIDEST = 2**14


class Layer(NamedTuple):
    """A convolution over bins and frames; the decoder's are transposed, so that their strides lengthen."""

    width: int  # channels out
    taps: int  # in both directions
    bins: int  # stride
    frames: int  # stride


@dataclasses.dataclass(frozen=True, kw_only=True)
class BaselineConfig:
    """Everything that determines the shapes and the arithmetic of one spectral autoencoder.

    The defaults are the NSynth paper's (section 2.2; magenta's baseline `nfft_1024`).
    """

    name: str = "paper"
    sample_rate_hz: int = 16_000
    fft: int = 1024  # the window too; half as many bins, the highest is left out
    hop: int = 256
    frames: int = 256  # of a spectrum: 4.1 s, the longest note
    encoder: tuple[Layer, ...] = (
        Layer(128, 5, 2, 2),
        *[Layer(128, 4, 2, 2)] * 2,
        *[Layer(256, 4, 2, 2)] * 3,
        *[Layer(512, 4, 2, 2)] * 2,
        Layer(512, 4, 2, 1),
        Layer(1024, 1, 1, 1),
    )
    embedding: int = 1984  # numbers a note
    pitch_embedding: int = 128  # numbers that the decoder is told of a pitch
    decoder: tuple[Layer, ...] = (
        Layer(1024, 1, 1, 1),
        *[Layer(512, 4, 2, 2)] * 2,
        *[Layer(256, 4, 2, 2)] * 3,
        *[Layer(128, 4, 2, 2)] * 2,
        Layer(128, 5, 2, 2),
        Layer(128, 5, 2, 1),
    )
    norm_decay: float = 0.999  # of the batch statistics' moving averages
    comb_head: int = 0  # width of a layer before the last that is told the pitch bin by bin; 0: none, as in the paper

    def __post_init__(self) -> None:
        for field in ("sample_rate_hz", "fft", "hop", "frames", "embedding", "pitch_embedding"):
            if not 1 <= getattr(self, field) <= 192_000:
                raise WavekeysError(f"baseline {self.name!r}: {field} must be 1 to 192000, not {getattr(self, field)}")
        if self.fft % self.hop or self.fft % 2:
            raise WavekeysError(f"baseline {self.name!r}: fft {self.fft} must be even and a multiple of hop {self.hop}")
        if not 0 <= self.comb_head <= WIDEST:
            raise WavekeysError(f"baseline {self.name!r}: comb_head must be 0 to {WIDEST}, not {self.comb_head}")
        if not 0.0 < self.norm_decay < 1.0:
            raise WavekeysError(f"baseline {self.name!r}: norm_decay must be between 0 and 1, not {self.norm_decay}")
        for part in ("encoder", "decoder"):
            layers = getattr(self, part)
            if not layers:
                raise WavekeysError(f"baseline {self.name!r}: its {part} has no layers")
            if not all(1 <= number <= WIDEST for layer in layers for number in layer):
                raise WavekeysError(f"baseline {self.name!r}: {part} must hold numbers from 1 to {WIDEST}")
            if any(layer.taps < max(layer.bins, layer.frames) for layer in layers):
                raise WavekeysError(f"baseline {self.name!r}: a layer of its {part} has fewer taps than strides")
            strides = math.prod(layer.bins for layer in layers), math.prod(layer.frames for layer in layers)
            if strides != (self.bins, self.frames):
                raise WavekeysError(
                    f"baseline {self.name!r}: the strides of its {part} make {strides[0]} bins and {strides[1]} frames "
                    f"into one, not {self.bins} and {self.frames}"
                )

    @property
    def bins(self) -> int:
        return self.fft // 2

    @property
    def samples(self) -> int:
        """The longest note."""
        return self.frames * self.hop

    def to_json(self) -> str:
        return json.dumps({"format_version": FORMAT_VERSION, **dataclasses.asdict(self)}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str, *, where: str) -> BaselineConfig:
        """Read `to_json`'s; `where` names its origin in error messages."""
        try:
            values: dict[str, Any] = json.loads(text)
            version = values.pop("format_version")
            for field in dataclasses.fields(cls):
                own: type = list if isinstance(field.default, tuple) else type(field.default)
                if field.name in values and type(values[field.name]) is not own:
                    raise WavekeysError(f"{field.name} must be {own.__name__}, not {values[field.name]!r}")
            for part in ("encoder", "decoder"):
                if not all(type(number) is int for layer in values[part] for number in layer):
                    raise WavekeysError(f"{part} must hold whole numbers, not {values[part]!r}")
                values[part] = tuple(Layer(*layer) for layer in values[part])
            config = cls(**values)
        except WavekeysError as error:
            raise WavekeysError(f"{where}: {error}") from None
        except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
            raise WavekeysError(f"{where}: not a baseline (its config cannot be read: {error})") from None
        if version != FORMAT_VERSION:
            raise WavekeysError(f"{where}: baseline format {version}, this wavekeys reads {FORMAT_VERSION}")
        return config


SIZES: dict[str, BaselineConfig] = {
    size.name: size
    for size in (
        BaselineConfig(),
        # A hundredth of the work: an hour on two cores is some fifty thousand notes. That is too few to learn from a
        # pitch's embedding where its partials are, so a comb says it (docs/experiments.md).
        BaselineConfig(
            name="small",
            encoder=(
                Layer(16, 5, 2, 2),
                Layer(16, 4, 2, 2),
                *[Layer(32, 4, 2, 2)] * 2,
                Layer(48, 4, 2, 2),
                Layer(64, 4, 2, 2),
                *[Layer(96, 4, 2, 2)] * 2,
                Layer(96, 4, 2, 1),
                Layer(192, 1, 1, 1),
            ),
            embedding=256,
            pitch_embedding=32,
            decoder=(
                Layer(256, 1, 1, 1),
                Layer(192, 4, 2, 1),
                Layer(192, 4, 2, 2),
                Layer(160, 4, 2, 2),
                Layer(128, 4, 2, 2),
                Layer(96, 4, 2, 2),
                Layer(48, 4, 2, 2),
                Layer(24, 4, 2, 2),
                Layer(12, 4, 2, 2),
                Layer(8, 4, 2, 2),
            ),
            comb_head=16,
            norm_decay=0.99,
        ),
    )
}
