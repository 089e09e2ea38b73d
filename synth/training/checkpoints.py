"""Checkpoints of a run, by orbax: the last two, each whole or not there. A resumed run goes on to the bit."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol, TypeVar

import jax
import numpy as np
import orbax.checkpoint as ocp
from jax import Array
from jax.experimental import multihost_utils

from synth.errors import WavekeysError

KEPT = 2


class Stepped(Protocol):
    """Any tree of arrays that counts its steps, such as `synth.training.steps.TrainState`."""

    @property
    def step(self) -> Array: ...


class Run(Protocol):
    """What trains: a state, and a way to save it."""

    @property
    def state(self) -> Stepped: ...

    def checkpoint(self) -> None: ...


State = TypeVar("State", bound=Stepped)


@contextlib.contextmanager
def saved_at_the_end(run: Run) -> Iterator[None]:
    """Save what a run reaches inside; after an error too, unless that came in the middle of a step.

    Several processes save together, and after an error in one the others may not come.
    """
    first = int(run.state.step)
    try:
        yield
    except BaseException:
        if jax.process_count() == 1 and not run.state.step.is_deleted() and int(run.state.step) > first:
            run.checkpoint()
        raise
    if int(run.state.step) > first:
        run.checkpoint()


def refuse_non_finite(weights: Any, step: Array, output: Path) -> None:
    """Raise WavekeysError for weights that are no numbers any more: they must not replace those saved before."""
    if not all(np.isfinite(np.asarray(leaf)).all() for leaf in jax.tree.leaves(weights)):
        raise WavekeysError(
            f"training has left all numbers by step {int(step)}: what was saved before is in {output}; "
            "lower the learning rate and go on from there with --resume"
        )


class Checkpoints:
    """The checkpoints of one run in a folder.

    Raises WavekeysError if there is a run already that is not to be resumed: it may have taken a night.
    """

    def __init__(self, folder: Path, *, resume: bool) -> None:
        self.folder = folder.resolve()
        if not resume and self.folder.is_dir() and any(path.name.isdecimal() for path in self.folder.iterdir()):
            raise WavekeysError(
                f"{folder.parent} holds a run already: go on with it (--resume), choose another output, or remove it"
            )
        self._manager: ocp.CheckpointManager | None = None

    def save(self, state: Stepped) -> None:
        """Write a checkpoint; when this returns it is on disk."""
        try:
            if self._manager is None:
                self._open()
            assert self._manager is not None
            if self._manager.latest_step() != int(state.step):
                self._manager.save(int(state.step), args=ocp.args.StandardSave(_named(state)))
                self._manager.wait_until_finished()
        except (OSError, ValueError) as error:
            raise WavekeysError(
                f"cannot write a checkpoint to {self.folder} ({' '.join(str(error).split())})"
            ) from None

    def restore(self, like: State) -> State:
        """The last checkpoint of a run with the same model and optimizer, placed as `like` is."""
        if self.folder.is_dir():
            self._open()
        step = self._manager.latest_step() if self._manager else None
        if self._manager is None or step is None:
            raise WavekeysError(f"nothing to resume: there is no checkpoint in {self.folder}; run without --resume")
        wanted = {
            name: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding)
            for name, leaf in _named(like).items()
        }
        where = self.folder / str(step)
        try:
            # Looked at first: a restore that is broken off leaves reads that complain when nobody expects it.
            there = {name: array.shape for name, array in self._manager.item_metadata(step).items()}
            if there != {name: array.shape for name, array in wanted.items()}:
                raise WavekeysError(f"{where}: a checkpoint of another model; use its config, or another output")
            found = self._manager.restore(step, args=ocp.args.StandardRestore(wanted))
        except WavekeysError:
            raise
        except Exception as error:  # Orbax raises what it likes
            reason = " ".join(str(error).split())[:200]
            raise WavekeysError(
                f"{where}: not a readable checkpoint; remove it to go on from the one before ({reason})"
            ) from None
        return jax.tree.unflatten(jax.tree.structure(like), [found[name] for name in wanted])

    def _open(self) -> None:
        if jax.process_count() > 1:
            multihost_utils.sync_global_devices("checkpoints")
        options = ocp.CheckpointManagerOptions(
            max_to_keep=KEPT, enable_async_checkpointing=False, cleanup_tmp_directories=True
        )
        handler = ocp.StandardCheckpointHandler()
        self._manager = ocp.CheckpointManager(self.folder, options=options, item_handlers=handler)


def _named(state: Stepped) -> dict[str, Any]:
    """The leaves by their places in the state, in its order."""
    return {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree.leaves_with_path(state)}
