"""JSON that every reader takes."""

from __future__ import annotations

import json

from synth import plain_json


def test_numbers_that_are_none_are_null() -> None:
    value = {"a": [1.5, float("nan"), (float("inf"), "x")], "b": None, "c": True}
    assert json.loads(plain_json.dumps(value), parse_constant=str) == {
        "a": [1.5, None, [None, "x"]],
        "b": None,
        "c": True,
    }
