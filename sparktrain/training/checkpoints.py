"""Writes checkpoints, from rank 0 in the background; resume.py restores them.

A checkpoint is a NumPy archive, written atomically, with the variables of the model and its optimizers, each worker's own
state, and the state of its callbacks.
"""

from __future__ import annotations

import json
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from sparktrain.interfaces.checkpoints import CHECKPOINTS, Checkpoint, read, to_remove
from sparktrain.interfaces.collective import Collective
from sparktrain.interfaces.messages import Checkpointed, Message
from sparktrain.models.optimizers import optimizer_variables
from sparktrain.storage import Folder, StorageError
from sparktrain.training.arrays import stored
from sparktrain.training.callback_memory import CallbackMemories, named, to_json
from sparktrain.training.own_state import OwnState

META = "meta"  # the entry of a checkpoint that describes the others


class Checkpoints:
    """Writes checkpoints after and within epochs, and keeps the newest.

    Args:
        model: built, and the same on all workers when a checkpoint is written.
        collective: the workers; all must call `save`, rank 0 writes.
        part: this worker's part of the rows.
        folder: the run's folder.
        keep: how many checkpoints to keep; 0 to write none.
        every: the least number of steps of an epoch between two checkpoints; None to write only after each epoch.
        report: called with a message for each checkpoint that is written.
        rows: `Shard.rows_by_part`, which a resumed training compares with its own rows.
    """

    def __init__(
        self,
        model: keras.Model,
        collective: Collective,
        part: int,
        folder: Folder,
        keep: int,
        every: int | None,
        report: Callable[[Message], None],
        rows: list[list[int]],
    ) -> None:
        self._model, self._collective, self._part, self._report = model, collective, part, report
        self._rows = rows
        self._folder, self._keep, self._every = folder, keep, every
        self._writing: threading.Thread | None = None
        self._copies: dict[str, np.ndarray] = {}

    def due(self, step: int, last: int) -> bool:
        """Return whether to write a checkpoint after a step of an epoch; `last` is the step of the previous one."""
        return bool(self._keep) and self._every is not None and step - last >= self._every

    def save(self, epoch: int, step: int, own: OwnState, callbacks: CallbackMemories, facts: Mapping[str, Any]) -> None:
        """Write a checkpoint after `epoch` epochs and `step` steps of the next, with `facts` for a resumed training. Collective.

        Training waits until the state is copied in memory, not for the storage.
        """
        if not self._keep:
            return
        begun = time.monotonic()
        memories, remembered = callbacks.taken()
        told = self._collective.gather((self._part, own.taken(within_epoch=step > 0), memories))
        # Mostly the same on all workers, such as early stopping's best weights
        alike = named(told[0][2])
        if any(named(each) - alike for _, _, each in told):
            for others in self._collective.gather({key: array for key, array in remembered.items() if key not in alike}):
                remembered |= others
        if self._collective.rank != 0:
            return
        self.wait()  # if the storage is slower than an epoch, training waits instead of filling the memory
        arrays = {}
        for number, variable in enumerate(checkpointed_variables(self._model)):
            name = f"variable-{number}"
            # Into the last checkpoint's memory, as allocating it anew would take longer than copying
            arrays[name] = self._copies[name] = stored(variable.numpy(), into=self._copies.get(name))
        arrays.update({f"remembered-{digest}": stored(array) for digest, array in remembered.items()})
        for part, state, _ in told:
            arrays.update({f"own-{part}-{name}": stored(array) for name, array in state.items()})
        meta = {
            "callbacks": to_json({part: each for part, _, each in told}),
            "first": told[0][0],  # the part of rank 0
            "remembered": {digest: array.dtype.name for digest, array in remembered.items()},
            "own": {part: list(state) for part, state, _ in told},
            "facts": facts,
            "rows": self._rows,
        }
        arrays[META] = np.frombuffer(json.dumps(meta, default=np.generic.item).encode(), np.uint8)
        held = time.monotonic() - begun
        checkpoint = Checkpoint(epoch, step, self._collective.size)
        self._writing = threading.Thread(target=self._write, args=(checkpoint, arrays, held), name="checkpoint", daemon=True)
        self._writing.start()

    def wait(self) -> None:
        """Wait until the checkpoint that is being written is complete, or has failed."""
        if self._writing is not None:
            self._writing.join()
            self._writing = None

    def _write(self, checkpoint: Checkpoint, arrays: Mapping[str, np.ndarray], held: float) -> None:
        begun = time.monotonic()
        try:
            with tempfile.TemporaryDirectory() as local:
                file = Path(local, "state.npz")
                np.savez(file, **arrays)  # type: ignore[arg-type]  # no array is called `allow_pickle`
                size = file.stat().st_size
                self._folder.upload(file, checkpoint.path)
            for old in to_remove(read(self._folder.join(CHECKPOINTS).list()), self._keep):
                self._folder.remove(old.path)
        except (OSError, StorageError) as error:
            # Training continues: failing here would only lose more.
            print(f"the checkpoint of {checkpoint} could not be written, the next one is tried: {error}", flush=True)
            return
        self._report(Checkpointed(checkpoint.epoch, checkpoint.step, size, held, time.monotonic() - begun))


def checkpointed_variables(model: keras.Model) -> list[keras.Variable]:
    """Return the variables that are the same on all workers: not metrics, which are reset, nor seeds, which differ by worker."""
    return [*model.weights, *optimizer_variables(model)]
