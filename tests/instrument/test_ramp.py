"""Controls that move without steps."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from synth.instrument.ramp import Crossfade, Ramp


def test_it_goes_in_a_straight_line_and_stays_there() -> None:
    ramp = Ramp(1.0, 10)
    ramp.move(100, 2.0)
    values = ramp.over(np.arange(95, 115))
    np.testing.assert_allclose(values, [1] * 5 + [1 + 0.1 * i for i in range(10)] + [2] * 5)
    assert ramp.over(np.arange(200, 210)) == 2.0


def test_a_movement_begins_where_the_one_before_had_come_to() -> None:
    ramp = Ramp(0.0, 10)
    ramp.move(0, 1.0)
    ramp.move(5, 0.0)
    np.testing.assert_allclose(ramp.over(np.array([4, 5, 10, 15, 30])), [0.4, 0.5, 0.25, 0.0, 0.0])


movements = st.lists(st.tuples(st.integers(1, 40), st.floats(-1, 1)), min_size=1, max_size=8)


@given(movements=movements, shift=st.integers(0, 10_000), cut=st.integers(1, 50))
def test_it_depends_on_time_alone(movements: list[tuple[int, float]], shift: int, cut: int) -> None:
    """Moved in time, and asked block by block while it forgets, it gives the same values to the bit."""
    whole, moved = Ramp(0.0, 16), Ramp(0.0, 16)
    at = 0
    for step, target in movements:
        at += step
        whole.move(at, target)
    expected = np.broadcast_to(whole.over(np.arange(at + 50)), at + 50)
    due, at, got = list(movements), 0, []
    at += due[0][0]
    for start in range(0, len(expected), cut):
        while due and at < start + cut:
            moved.move(shift + at, due.pop(0)[1])
            at += due[0][0] if due else 0
        got.append(np.broadcast_to(moved.over(shift + np.arange(start, start + cut)), cut))
        moved.forget(shift + start)
    # Before the first movement there is nothing yet in `whole` that `moved` could not know.
    np.testing.assert_array_equal(np.concatenate(got)[: len(expected)], expected)


def test_a_crossfade_is_what_it_goes_to_exactly_whether_the_rest_is_forgotten_or_not() -> None:
    rng = np.random.default_rng(0)
    values = {name: rng.normal(size=40) for name in "abc"}
    fade = Crossfade("a")
    fade.move(5, "b", samples=10)
    fade.move(12, "c", samples=10)

    def heard(begin: int, end: int) -> np.ndarray:
        return fade.over(np.arange(begin, end), lambda name, times: values[name][times])

    whole = heard(0, 40)
    np.testing.assert_array_equal(whole[:6], values["a"][:6])
    np.testing.assert_allclose(whole[10], 0.5 * (values["a"][10] + values["b"][10]))
    np.testing.assert_array_equal(whole[22:], values["c"][22:])
    pieces = []
    for begin in range(0, 40, 4):
        fade.forget(begin)
        pieces.append(heard(begin, begin + 4))
    np.testing.assert_array_equal(np.concatenate(pieces), whole)
    assert [name for name, _ in fade.parts] == [fade.target] == ["c"]
