"""Scala scales and keyboard mappings."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth import WavekeysError
from synth.instrument.tuning import TWELVE_EQUAL, KeyboardMapping, Scale, key_semitones, read_mapping, read_scale

JUST = """! just.scl
!
Just intonation, five-limit
 7
!
 9/8
 5/4
 4/3 a comment
 3/2
 5/3
 1088.26871
 2
"""
WHITE_KEYS = """! white keys
12
0
127
60
69
432.0
7
0
x
1
x
2
3
x
4
x
5
x
6
"""


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="latin-1")
    return path


def test_twelve_equal_steps_are_the_usual_keys() -> None:
    assert key_semitones(TWELVE_EQUAL, KeyboardMapping()) == pytest.approx(list(range(128)))


def test_a_scale_is_read_with_ratios_cents_and_comments(tmp_path: Path) -> None:
    scale = read_scale(write(tmp_path, "just.scl", JUST))
    assert scale.name == "Just intonation, five-limit"
    assert scale.cents == pytest.approx((203.910, 386.314, 498.045, 701.955, 884.359, 1088.269, 1200.0), abs=1e-3)


def test_a_mapping_says_which_keys_sound_and_where(tmp_path: Path) -> None:
    scale = read_scale(write(tmp_path, "just.scl", JUST))
    pitches = key_semitones(scale, read_mapping(write(tmp_path, "white.kbm", WHITE_KEYS)))
    a4 = 68.68231  # 432 Hz
    assert pitches[69] == pytest.approx(a4, abs=1e-4)
    assert pitches[60] == pytest.approx(a4 - 8.84359, abs=1e-4)  # a just sixth below
    assert pitches[72] == pytest.approx(pitches[60] + 12)
    assert pitches[61] is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name\n3\n 100.0\n",
        "name\nx\n",
        "name\n1\n 1/0\n",
        "name\n1\n -3/2\n",
        "name\n1\n 3 / 2\n",
        "name\n1\n 0.0\n",
        "n\n0\n",
        "n\n1\n1e999999999\n",
    ],
)
def test_what_is_not_a_scale_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(WavekeysError, match=r"bad\.scl"):
        read_scale(write(tmp_path, "bad.scl", text))


@settings(max_examples=200, deadline=None)
@given(text=st.text(alphabet="0123456789x./!- \n", max_size=60))
def test_any_text_is_a_tuning_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = tmp_path_factory.mktemp("tuning")
    scale, mapping = Scale(name="", cents=(1200.0,)), KeyboardMapping()
    with contextlib.suppress(WavekeysError):
        scale = read_scale(write(folder, "some.scl", text))
    with contextlib.suppress(WavekeysError):
        mapping = read_mapping(write(folder, "some.kbm", text))
    with contextlib.suppress(WavekeysError):
        key_semitones(scale, mapping)


@pytest.mark.parametrize(
    "text",
    [
        "1000000000000\n0\n127\n60\n69\n440.0\n0\n",
        f"1\n0\n127\n60\n69\n440.0\n0\n{'9' * 400}\n",
        f"0\n0\n127\n60\n69\n440.0\n{'9' * 400}\n",
        "0\n127\n0\n60\n69\n440.0\n0\n",
    ],
)
def test_a_mapping_of_absurd_size_or_without_keys_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(WavekeysError, match=r"bad\.kbm"):
        read_mapping(write(tmp_path, "bad.kbm", text))


def test_a_mark_of_the_byte_order_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "octave.scl"
    path.write_bytes(b"\xef\xbb\xbf! octave.scl\r\noctave\r\n1\r\n2/1\r\n")
    assert read_scale(path) == Scale(name="octave", cents=(1200.0,))


def test_keys_that_a_wide_scale_puts_out_of_this_world_are_silent() -> None:
    pitches = key_semitones(Scale(name="wide", cents=(20_000.0,)), KeyboardMapping())
    assert (pitches[69], pitches[70], pitches[0], pitches[127]) == (69.0, 269.0, None, None)
