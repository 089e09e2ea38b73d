"""The sizes of the family: every number that shapes a model, as data."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from typing import Any, Literal

from synth.errors import WavekeysError

FORMAT_VERSION = 1

WIDEST = 2**14
MOST_REMEMBERED = 2**26  # numbers of a voice's caches: 256 MB; the paper's size remembers 3.1 million
LIMITS: dict[str, tuple[int, int]] = {
    "sample_rate_hz": (1000, 192_000),
    "hop": (2, WIDEST),
    "embedding_channels": (1, WIDEST),
    "encoder_width": (1, WIDEST),
    "encoder_layers": (1, 128),
    "encoder_filter": (1, 64),
    "encoder_mels": (0, 1024),
    "layers": (1, 128),
    "dilation_cycle": (1, 20),
    "filter_width": (2, 64),
    "residual": (1, WIDEST),
    "skip": (1, WIDEST),
    "input_taps": (1, 64),
    "clock_harmonics": (0, 1024),
    "pitch_features": (0, 1024),
    "mixtures": (0, 256),
    "prediction_order": (0, 64),
    "harmonics": (0, 1024),
    "frame_width": (0, WIDEST),
    "frame_layers": (0, 16),
}
"""What a config may hold. Far beyond use, for a damaged or hostile file must not take all memory or time; but a stream
remembers no more than 64 inputs of a voice."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class WaveNetConfig:
    """Everything that determines the shapes and the arithmetic of one WaveNet autoencoder.

    The defaults are NSynth's `h512_bo16` (Engel et al. 2017, section 2.1; 61,804,048 weights). The live
    sizes differ in data only: narrower, filter 2, and with the additions of a small WaveNet that must stay
    in tune (pitch clock, level channel, linear prediction, logistic mixture).
    """

    name: str = "paper"
    sample_rate_hz: int = 16_000
    hop: int = 512  # samples a frame of the embedding: 32 ms
    embedding_channels: int = 16

    # Encoder. "temporal": NSynth's non-causal dilated convolutions over the waveform, average-pooled.
    # "spectral": a few convolutions over log-mel frames; two orders of magnitude cheaper to train, and
    # blind to phase. Its channel 0 is the level (see `synth.wavenet.encoder`).
    encoder: Literal["temporal", "spectral"] = "temporal"
    encoder_width: int = 128
    encoder_layers: int = 30
    encoder_filter: int = 3
    encoder_mels: int = 0

    # Decoder. Compute for one sample is about
    # layers * residual * (2 * filter_width * residual + residual + skip) multiply-adds.
    layers: int = 30
    dilation_cycle: int = 10  # dilation of layer i: 2 ** (i mod dilation_cycle)
    filter_width: int = 3
    residual: int = 512
    skip: int = 256
    input_taps: int = 3  # past samples that the first convolution sees
    clock_harmonics: int = 0  # sin and cos of the pitch clock's first harmonics enter at the first layer
    pitch_features: int = 0  # radial basis functions over pitch, beside the embedding
    smooth_conditioning: bool = False  # linear between frames instead of held for a frame

    # Head. "softmax": 256 mu-law bins. "logistics": a mixture of logistics around a linear prediction
    # whose coefficients follow the embedding; continuous, hence without 8-bit hiss.
    head: Literal["softmax", "logistics"] = "softmax"
    mixtures: int = 0
    prediction_order: int = 0
    harmonics: int = 0  # partials of the pitch clock whose amplitudes a frame tells; the mixture models the rest
    frame_width: int = 0  # of the hidden layers between a frame and what it tells the head
    frame_layers: int = 0

    def __post_init__(self) -> None:
        choices = {"encoder": ("temporal", "spectral"), "head": ("softmax", "logistics")}
        for field, allowed in choices.items():
            if getattr(self, field) not in allowed:
                given = getattr(self, field)
                raise WavekeysError(
                    f"model size {self.name!r}: {field} must be one of {', '.join(allowed)}, not {given!r}"
                )
        for field, (low, high) in LIMITS.items():
            if not low <= getattr(self, field) <= high:
                raise WavekeysError(
                    f"model size {self.name!r}: {field} must be {low} to {high}, not {getattr(self, field)}"
                )
        for wrong in self._contradictions():
            raise WavekeysError(f"model size {self.name!r}: {wrong}")

    def _contradictions(self) -> Iterator[str]:
        """What is within `LIMITS`, field by field, but not together."""
        logistics, spectral = self.head == "logistics", self.encoder == "spectral"
        if logistics and (self.mixtures < 1 or self.prediction_order < 1):
            yield (
                "head 'logistics' needs mixtures and prediction_order of at least 1, "
                f"not {self.mixtures} and {self.prediction_order}"
            )
        if logistics != spectral:
            yield (
                "head 'logistics' goes with encoder 'spectral' (it needs its level), "
                f"head 'softmax' with 'temporal'; got {self.head!r} with {self.encoder!r}"
            )
        if self.encoder_filter % 2 == 0:
            yield "encoder_filter must be odd: it hears as far to either side"
        if spectral and not (self.encoder_mels and self.embedding_channels > 1 and self.hop % 2 == 0):
            yield "encoder 'spectral' needs encoder_mels of 1 or more, embedding_channels of 2 or more, and an even hop"
        if spectral and not self.harmonics:
            yield "head 'logistics' needs harmonics of 1 or more"
        if (self.harmonics or self.pitch_features) and not self.clock_harmonics:
            yield "harmonics and pitch_features need a clock; clock_harmonics must be 1 or more"
        if self.frame_layers and not self.frame_width:
            yield "frame_layers need a frame_width of 1 or more"
        if (self.filter_width - 1) * sum(self.dilations) * self.residual > MOST_REMEMBERED:
            yield f"its layers remember more than {MOST_REMEMBERED} numbers: fewer taps, channels or layers must do"

    @property
    def dilations(self) -> tuple[int, ...]:
        """Dilation of each decoder layer, in samples."""
        return tuple(2 ** (i % self.dilation_cycle) for i in range(self.layers))

    @property
    def outputs(self) -> int:
        """Numbers that the head computes for one sample."""
        return 256 if self.head == "softmax" else 3 * self.mixtures

    @property
    def receptive_field(self) -> int:
        """Past samples that one decoder output can depend on through its convolutions."""
        return self.input_taps + (self.filter_width - 1) * sum(self.dilations)

    @property
    def conditioning_channels(self) -> int:
        """Width of a frame as the decoder sees it: embedding and pitch features."""
        return self.embedding_channels + self.pitch_features

    def to_json(self) -> str:
        return json.dumps({"format_version": FORMAT_VERSION, **dataclasses.asdict(self)}, sort_keys=True)

    @classmethod
    def from_dict(cls, values: dict[str, Any], *, where: str) -> WaveNetConfig:
        """Build from plain data; `where` names its origin in error messages."""
        fields = {field.name: field for field in dataclasses.fields(cls)}
        for key, value in values.items():
            if key not in fields:
                raise WavekeysError(f"{where}: unknown model key {key!r}; known: {', '.join(sorted(fields))}")
            wanted = type(fields[key].default)
            if type(value) is not wanted:
                raise WavekeysError(f"{where}: model key {key!r} must be {wanted.__name__}, not {value!r}")
        try:
            return cls(**values)
        except WavekeysError as error:
            raise WavekeysError(f"{where}: {error}") from None

    @classmethod
    def from_json(cls, text: str, *, where: str) -> WaveNetConfig:
        try:
            values = json.loads(text)
            version = values.pop("format_version")
        except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
            raise WavekeysError(f"{where}: not a wavekeys model (its config cannot be read: {error})") from None
        if version != FORMAT_VERSION:
            raise WavekeysError(f"{where}: model format {version}, this wavekeys reads {FORMAT_VERSION}")
        return cls.from_dict(values, where=where)


_LIVE = WaveNetConfig(
    name="live",
    encoder="spectral",
    encoder_width=256,
    encoder_layers=3,
    encoder_mels=64,
    layers=20,
    filter_width=2,
    residual=48,
    skip=96,
    input_taps=16,
    clock_harmonics=16,
    pitch_features=16,
    smooth_conditioning=True,
    head="logistics",
    mixtures=4,
    prediction_order=16,
    harmonics=64,
    frame_width=384,
    frame_layers=2,
)
SIZES: dict[str, WaveNetConfig] = {
    size.name: size
    for size in (
        WaveNetConfig(),
        _LIVE,
        dataclasses.replace(_LIVE, name="large", layers=30, residual=64, skip=128),
    )
}
