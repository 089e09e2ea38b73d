"""What playing asks of JAX."""

from __future__ import annotations

import subprocess
import sys

import pytest

LONG = """
import jax, jax.numpy as jnp
from synth.host.priority import compute_where_asked
{ask}
work = jax.jit(lambda x: jax.lax.fori_loop(0, 100, lambda _, x: 1e-3 * x @ x, x))
x = jnp.ones((500, 500))
work(x).block_until_ready()
print(work(x).is_ready())
"""


@pytest.mark.parametrize(("ask", "done"), [("compute_where_asked()", "True"), ("pass", "False")])
def test_what_was_asked_for_is_there_when_the_call_returns(ask: str, done: str) -> None:
    script = LONG.format(ask=ask)
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert said.strip() == done
