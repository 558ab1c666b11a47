"""The state of training, written by rank 0 in the background; resume.py brings it back.

What is in it: the model's and its optimizers' variables, each worker's own state, and what its callbacks remember. One NumPy
archive a checkpoint, whole or not there.
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

META = "meta"  # the entry of a checkpoint that says what the others are


class Checkpoints:
    """Writes the state after epochs, and within them, and keeps the newest few.

    Args:
        model: built, and alike on all workers when the state is written.
        collective: the workers; all must call `save`, rank 0 writes.
        part: this worker's part of the rows.
        folder: the run's.
        keep: how many to keep; 0 writes none.
        every: how many steps of an epoch there are between two, at least; None: only after each epoch.
        report: told of each that is written.
        rows: `Shard.rows_by_part`, for who resumes to hold against the rows of then.
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
        """Whether the state is to be kept after a step of an epoch, `last` being the one that it was kept after before."""
        return bool(self._keep) and self._every is not None and step - last >= self._every

    def save(self, epoch: int, step: int, own: OwnState, callbacks: CallbackMemories, facts: Mapping[str, Any]) -> None:
        """Keep the state after `epoch` epochs and `step` steps of the next, and `facts` for who goes on. Collective.

        Training waits for the copy in memory, not for the storage.
        """
        if not self._keep:
            return
        begun = time.monotonic()
        memories, remembered = callbacks.taken()
        told = self._collective.gather((self._part, own.taken(within_epoch=step > 0), memories))
        # The same on most: best weights are the model's
        alike = named(told[0][2])
        if any(named(each) - alike for _, _, each in told):
            for others in self._collective.gather({key: array for key, array in remembered.items() if key not in alike}):
                remembered |= others
        if self._collective.rank != 0:
            return
        self.wait()  # a storage slower than an epoch holds training up, rather than filling the memory
        arrays = {}
        for number, variable in enumerate(checkpointed_variables(self._model)):
            name = f"variable-{number}"
            # Into the last checkpoint's memory: getting as much anew would cost more than the copying
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
        """Until what is being written is there, or has failed."""
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
            # The run goes on: it would only lose more if it broke off here.
            print(f"the checkpoint of {checkpoint} could not be written, the next one is tried: {error}", flush=True)
            return
        self._report(Checkpointed(checkpoint.epoch, checkpoint.step, size, held, time.monotonic() - begun))


def checkpointed_variables(model: keras.Model) -> list[keras.Variable]:
    """All that is alike on all workers: not metrics, which begin anew, and not the seeds, which are each worker's own."""
    return [*model.weights, *optimizer_variables(model)]
