"""Writes checkpoints, from rank 0 in the background; resume.py reads them.

A checkpoint is a NumPy archive, written atomically, of the states of a fit's parts (fit_state.py): `variable-NUMBER`, the
variables of the model and its optimizers; `own-PART-NAME`, each worker's own states; `remembered-DIGEST`, arrays of callbacks;
and `meta`, JSON that has what is no array.
"""

from __future__ import annotations

import json
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from sparktrain.interfaces.checkpoints import CHECKPOINTS, Checkpoint, read, to_remove
from sparktrain.interfaces.collective import Collective
from sparktrain.interfaces.messages import Checkpointed, Message
from sparktrain.storage import Folder, StorageError
from sparktrain.training.arrays import stored
from sparktrain.training.callbacks.callback_memory import named, to_json
from sparktrain.training.state.stateful import FitState, Kind

META = "meta"  # the entry of a checkpoint that describes the others
_PATIENCE = 5.0  # seconds that training waits within an epoch for the checkpoint before to be written


class Checkpoints:
    """Writes checkpoints after and within epochs, and keeps the newest.

    Args:
        state: what is written; it is the same on all workers, or of the kind OWN, when a checkpoint is written.
        collective: the workers; all must call `save`, rank 0 writes.
        part: this worker's part of the rows.
        folder: the run's folder.
        keep: how many checkpoints to keep; 0 to write none.
        every: the least number of steps of an epoch between two checkpoints; None to write only after each epoch.
        report: called with a message for each checkpoint that is written.
        rows: `Shard.rows_by_part`, which a resumed training compares with its own rows.

    Attributes:
        state: as given.
    """

    def __init__(
        self,
        state: FitState,
        collective: Collective,
        part: int,
        folder: Folder,
        keep: int,
        every: int | None,
        report: Callable[[Message], None],
        rows: list[list[int]],
    ) -> None:
        self.state, self._collective, self._part, self._report = state, collective, part, report
        self._rows = rows
        self._folder, self._keep, self._every = folder, keep, every
        self._writing: threading.Thread | None = None

    def due(self, step: int, last: int) -> bool:
        """Return whether to write a checkpoint after a step of an epoch; `last` is the step of the previous one."""
        return bool(self._keep) and self._every is not None and step - last >= self._every

    def save(self, epoch: int, step: int) -> None:
        """Write a checkpoint after `epoch` epochs and `step` steps of the next. Collective.

        Training waits until the state is copied in memory, and for the storage only while that has not yet taken the checkpoint
        before: at most 5 s within an epoch, when this one is left out, and for its end after an epoch.
        """
        if not self._keep:
            return
        begun = time.monotonic()
        own = self._states(Kind.OWN, step)
        callbacks = own.pop("callbacks")
        memories, remembered = callbacks["memories"], callbacks["arrays"]
        by_rank = self._collective.gather((self._part, own, memories))
        # Mostly the same on all workers, such as early stopping's best weights
        alike = named(by_rank[0][2])
        if any(named(each) - alike for _, _, each in by_rank):
            for others in self._collective.gather({key: array for key, array in remembered.items() if key not in alike}):
                remembered |= others
        if self._collective.rank != 0:
            return
        checkpoint = Checkpoint(epoch, step, self._collective.size)
        # If the storage is slower than an epoch, training waits instead of filling the memory
        if not self._complete(_PATIENCE if step else None):
            print(f"the checkpoint of {checkpoint} is left out: the one before is still being written", flush=True)
            return
        shared = self._states(Kind.SHARED, step)
        arrays = {f"variable-{number}": array for number, array in shared["variable"].items()}
        arrays.update({f"remembered-{digest}": stored(array) for digest, array in remembered.items()})
        names: dict[int, list[str]] = {}
        for part, states, _ in by_rank:
            flat = {f"{name}-{key}": array for name, state in states.items() for key, array in state.items()}
            names[part] = list(flat)
            arrays.update({f"own-{part}-{name}": stored(array) for name, array in flat.items()})
        meta = {  # as text now, as callbacks change their lists while it is written
            "callbacks": to_json({part: each for part, _, each in by_rank}),
            "first": by_rank[0][0],  # the part of rank 0
            "remembered": {digest: array.dtype.name for digest, array in remembered.items()},
            "own": names,
            "facts": shared["facts"],
            "rows": self._rows,
        }
        text = json.dumps(meta, default=np.generic.item)
        held = time.monotonic() - begun
        self._writing = threading.Thread(
            target=self._write, args=(checkpoint, arrays, text, held), name="checkpoint", daemon=True
        )
        self._writing.start()

    def _states(self, kind: Kind, step: int) -> dict[str, dict[str, Any]]:
        """Return the states of a kind, by the names of their parts."""
        parts = [part for part in self.state.parts if part.kind is kind and (step or not part.only_within_epoch)]
        return {part.name: part.of.state_dict() for part in parts}

    def wait(self) -> None:
        """Wait until the checkpoint that is being written is complete, or has failed."""
        self._complete(None)

    def _complete(self, seconds: float | None) -> bool:
        """Wait for the checkpoint that is being written, at most for so many seconds; return whether none is any more."""
        if self._writing is not None:
            self._writing.join(seconds)
            if self._writing.is_alive():
                return False
            self._writing = None
        return True

    def _write(self, checkpoint: Checkpoint, arrays: dict[str, np.ndarray], text: str, held: float) -> None:
        begun = time.monotonic()
        # Only here, as importing pydantic would delay the start of this process
        from sparktrain.runs.records.checkpoint import CheckpointMeta

        meta = CheckpointMeta.model_validate_json(text)
        arrays[META] = np.frombuffer(json.dumps(meta.content()).encode(), np.uint8)
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
