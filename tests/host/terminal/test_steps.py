"""How far one press goes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth.host.terminal.steps import fraction, next_blend, next_value
from synth.instrument import PARAMETERS, Parameter


@pytest.mark.parametrize("parameter", PARAMETERS.values(), ids=PARAMETERS)
def test_every_parameter_is_walked_from_end_to_end_in_a_hundred_presses(parameter: Parameter) -> None:
    value = float(parameter.low)
    walked = [value]
    while value < parameter.high:
        value = parameter.checked(next_value(parameter, value, 1))
        assert value > walked[-1]
        walked.append(value)
    assert len(walked) <= 126
    while value > parameter.low:
        value = parameter.checked(next_value(parameter, value, -1))
    assert value == parameter.low


@pytest.mark.parametrize("parameter", PARAMETERS.values(), ids=PARAMETERS)
def test_fraction_is_the_inverse_of_at(parameter: Parameter) -> None:
    for share in (0.0, 0.3, 1.0):
        at = parameter.at(share)
        # Measured: at most 2e-16 of the value for those that are not choices.
        assert parameter.at(fraction(parameter, at)) == pytest.approx(at, rel=1e-12, abs=1e-12)


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.floats(0, 5), min_size=1).filter(lambda blend: any(blend.values())),
    st.data(),
)
def test_weights_stay_shares(blend: dict[str, float], data: st.DataObject) -> None:
    instrument = data.draw(st.sampled_from(sorted(blend)))
    moved = next_blend(blend, instrument, data.draw(st.sampled_from([-1, 1])))
    assert list(moved) == list(blend)
    assert sum(moved.values()) == pytest.approx(1.0, abs=1e-12)
    assert min(moved.values()) >= 0.0


def test_a_press_is_a_twentieth_and_the_others_keep_their_proportion() -> None:
    assert next_blend({"a": 2.0, "b": 1.0, "c": 1.0}, "a", 1) == pytest.approx({"a": 0.55, "b": 0.225, "c": 0.225})
    assert next_blend({"a": 1.0, "b": 0.0}, "a", 1) == {"a": 1.0, "b": 0.0}
    assert next_blend({"a": 1.0, "b": 0.0}, "a", -1) == pytest.approx({"a": 0.95, "b": 0.05})
    assert next_blend({"a": 1.0}, "a", -1) == {"a": 1.0}
    assert next_blend({"a": 1.0, "b": 0.0, "c": 0.0}, "a", -1) == {"a": 1.0, "b": 0.0, "c": 0.0}
    assert next_blend({"a": 1.0, "b": 0.0, "c": 0.0}, "c", 1) == pytest.approx({"a": 0.95, "b": 0.0, "c": 0.05})
