"""The state of training: written by rank 0 in the background, and brought back to all workers.

What is in it: the model's and its optimizers' variables, each worker's own state, and what the callbacks remember in plain
attributes (early stopping's best and patience, the history). One NumPy archive a checkpoint, whole or not there.
"""

from __future__ import annotations

import json
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Callable, Mapping, Sequence

import keras
import numpy as np

from sparktrain.interfaces.collective import Collective
from sparktrain.interfaces.checkpoints import CHECKPOINTS, Checkpoint, read, to_remove
from sparktrain.interfaces.messages import Checkpointed, Message
from sparktrain.storage import Folder, StorageError
from sparktrain.training.arrays import restore, stored
from sparktrain.training.averaging import optimizers_of
from sparktrain.training.errors import TrainingError
from sparktrain.training.own_state import OwnState
from sparktrain.training.statistics import start_alike

_META = "meta"
_NOT_THEIRS = ("params", "model", "_model", "validation_data")   # what Keras itself puts into a callback


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
    """

    def __init__(self, model: keras.Model, collective: Collective, part: int, folder: Folder, keep: int,
                 every: int | None, report: Callable[[Message], None]) -> None:
        self._model, self._collective, self._part, self._report = model, collective, part, report
        self._folder, self._keep, self._every = folder, keep, every
        self._writing: threading.Thread | None = None
        self._copies: dict[str, np.ndarray] = {}

    def due(self, step: int, last: int) -> bool:
        """Whether the state is to be kept after a step of an epoch, `last` being the one that it was kept after before."""
        return bool(self._keep) and self._every is not None and step - last >= self._every

    def save(self, epoch: int, step: int, own: OwnState, callbacks: Sequence[keras.callbacks.Callback],
             facts: Mapping[str, Any]) -> None:
        """Keep the state after `epoch` epochs and `step` steps of the next, and `facts` for who goes on. Collective.

        Training waits for the copy in memory, not for the storage.
        """
        if not self._keep:
            return
        begun = time.monotonic()
        of_workers = self._collective.gather((self._part, own.taken(within_epoch=step > 0)))
        if self._collective.rank != 0:
            return
        self.wait()   # a storage slower than an epoch holds training up, rather than filling the memory
        arrays, remembered = {}, []
        for number, variable in enumerate(_variables(self._model)):
            name = f"variable-{number}"
            # Into the last checkpoint's memory: getting as much anew would cost more than the copying
            arrays[name] = self._copies[name] = stored(variable.numpy(), into=self._copies.get(name))
        for number, callback in enumerate(callbacks):
            plain, weights = _memory(callback)
            remembered.append([type(callback).__name__, plain, {name: len(each) for name, each in weights.items()}])
            for name, each in weights.items():
                arrays.update({f"callback-{number}-{name}-{place}": stored(array) for place, array in enumerate(each)})
        for part, state in of_workers:
            arrays.update({f"own-{part}-{name}": stored(array) for name, array in state.items()})
        meta = {"callbacks": remembered, "own": {part: list(state) for part, state in of_workers}, "facts": facts}
        arrays[_META] = np.frombuffer(json.dumps(meta).encode(), np.uint8)
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
                np.savez(file, **arrays)
                size = file.stat().st_size
                self._folder.upload(file, checkpoint.path)
            for old in to_remove(read(self._folder.join(CHECKPOINTS).list()), self._keep):
                self._folder.remove(old.path)
        except (OSError, StorageError) as error:
            # The run goes on: it would only lose more if it broke off here.
            print(f"the checkpoint of {checkpoint} could not be written, the next one is tried: {error}", flush=True)
            return
        self._report(Checkpointed(checkpoint.epoch, checkpoint.step, size, held, time.monotonic() - begun))


class Resumed:
    """The state of an earlier attempt, brought to all workers. Collective.

    Args:
        model: built as it was then.
        collective: the workers, maybe more or fewer than then.
        part: this worker's part of the rows.
        folder: the run's.
        checkpoint: which of its.

    Attributes:
        epoch: how many epochs are done.
        step: how many steps of the next one are.
        facts: what was kept with it.

    Raises:
        TrainingError: it is another model's.
    """

    def __init__(self, model: keras.Model, collective: Collective, part: int, folder: Folder, checkpoint: Checkpoint) -> None:
        self._model = model
        self.epoch, self.step = checkpoint.epoch, checkpoint.step
        came = self._load(folder, checkpoint.path) if collective.rank == 0 else None
        self._callbacks, self._weights, owned, self.facts = collective.broadcast(came)
        start_alike(model, collective)
        # The parts of another number of workers are other rows
        self._own = owned[part] if checkpoint.size == collective.size else None

    def bring_back(self, own: OwnState) -> None:
        """Give this worker its own state back, where there is one of its part."""
        if self._own is not None:
            own.bring_back(self._own, within_epoch=self.step > 0)

    def _load(
        self, folder: Folder, name: str
    ) -> tuple[list[Any], dict[str, Any], dict[int, dict[str, np.ndarray]], dict[str, Any]]:
        """What the callbacks remembered, plain and as arrays, each part's own state, and the facts; the variables are set."""
        weights: dict[str, list[np.ndarray]] = {}
        own: dict[int, dict[str, np.ndarray]] = {}
        with tempfile.TemporaryDirectory() as local:
            file = Path(local, "state.npz")
            folder.download(name, file)
            with np.load(file) as arrays:
                meta = json.loads(arrays[_META].tobytes())
                variables = _variables(self._model)
                found = sum(key.startswith("variable-") for key in arrays.files)
                if found != len(variables):
                    raise TrainingError(f"{folder.url}/{name} holds {found} variables, and the model has {len(variables)}: "
                                        "it is another model's, so give this run another --run-id")
                for number, variable in enumerate(variables):
                    value = arrays[f"variable-{number}"]
                    if value.shape != tuple(variable.shape):
                        raise TrainingError(
                            f"{folder.url}/{name} holds {variable.path} of shape {list(value.shape)}, and the model's has "
                            f"{list(variable.shape)}: it is another model's, so give this run another --run-id")
                    restore(variable, value)
                for number, (_, _, counts) in enumerate(meta["callbacks"]):
                    for attribute, count in counts.items():
                        keys = [f"callback-{number}-{attribute}-{place}" for place in range(count)]
                        weights[f"{number}-{attribute}"] = [arrays[key] for key in keys]
                for part, names in meta["own"].items():
                    own[int(part)] = {each: arrays[f"own-{part}-{each}"] for each in names}
        return meta["callbacks"], weights, own, meta["facts"]

    def remind(self, callbacks: Sequence[keras.callbacks.Callback]) -> None:
        """Give the callbacks back what they remembered: those of one class in their order, as rank 0 had them."""
        waiting = list(callbacks)
        for number, (kind, plain, weights) in enumerate(self._callbacks):
            callback = next((each for each in waiting if type(each).__name__ == kind), None)
            if callback is None:   # it runs on rank 0 alone
                continue
            waiting.remove(callback)
            for name, value in plain.items():
                setattr(callback, name, value)
            for name in weights:
                setattr(callback, name, self._weights[f"{number}-{name}"])


def _variables(model: keras.Model) -> list[keras.Variable]:
    """All that is alike on all workers: not metrics, which begin anew, and not the seeds, which are each worker's own."""
    return [*model.weights, *(variable for optimizer in optimizers_of(model) for variable in optimizer.variables)]


def _memory(callback: keras.callbacks.Callback) -> tuple[dict[str, Any], dict[str, list[np.ndarray]]]:
    """What a callback remembers: numbers, by themselves, in lists and in dicts; and lists of arrays.

    Not its strings: they say how it was made, and some name a file of the attempt that is over.
    """
    plain, weights = {}, {}
    for name, value in vars(callback).items():
        if name in _NOT_THEIRS:
            continue
        if isinstance(value, list) and value and all(isinstance(each, np.ndarray) for each in value):
            weights[name] = value
        elif _is_plain(value):
            plain[name] = value.item() if isinstance(value, np.generic) else value
    return plain, weights


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(isinstance(key, str) for key in value) and all(map(_is_plain, value.values()))
    return value is None or isinstance(value, (bool, int, float, np.bool_, np.integer, np.floating))
