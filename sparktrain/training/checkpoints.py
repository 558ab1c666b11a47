"""The state of training after an epoch: written by rank 0 in the background, and brought back to all workers.

What is in it: the model's and its optimizers' variables, each worker's random numbers, and what the callbacks remember in
plain attributes (early stopping's best and patience, the history). One NumPy archive an epoch, whole or not there.
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
from sparktrain.interfaces.messages import CHECKPOINTS, Checkpointed, Message
from sparktrain.storage import Folder, StorageError
from sparktrain.training.averaging import optimizers_of
from sparktrain.training.errors import TrainingError
from sparktrain.training.statistics import seeds, set_seeds, start_alike

_META = "meta"
_NOT_THEIRS = ("params", "model", "_model", "validation_data")   # what Keras itself puts into a callback


class Checkpoints:
    """Writes the state after epochs and keeps the newest few.

    Args:
        model: built, and alike on all workers after each epoch.
        collective: the workers; all must call `save`, rank 0 writes.
        part: this worker's part of the rows.
        folder: the run's.
        keep: how many to keep; 0 writes none.
        report: told of each that is written.
    """

    def __init__(self, model: keras.Model, collective: Collective, part: int, folder: Folder, keep: int,
                 report: Callable[[Message], None]) -> None:
        self._model, self._collective, self._part, self._report = model, collective, part, report
        self._folder, self._keep = folder, keep
        self._writing: threading.Thread | None = None

    def save(self, epoch: int, callbacks: Sequence[keras.callbacks.Callback]) -> None:
        """Keep the state after `epoch` epochs. Collective. Training waits for the copy in memory, not for the storage."""
        if not self._keep:
            return
        begun = time.monotonic()
        of_workers = self._collective.gather((self._part, [state.tolist() for state in seeds(self._model)]))
        if self._collective.rank != 0:
            return
        self.wait()   # a storage slower than an epoch holds training up, rather than filling the memory
        arrays, remembered = {}, []
        for number, variable in enumerate(_variables(self._model)):
            arrays[f"variable-{number}"] = _stored(variable.numpy())
        for number, callback in enumerate(callbacks):
            plain, weights = _memory(callback)
            remembered.append([type(callback).__name__, plain, {name: len(each) for name, each in weights.items()}])
            for name, each in weights.items():
                arrays.update({f"callback-{number}-{name}-{place}": _stored(array) for place, array in enumerate(each)})
        meta = {"epoch": epoch, "size": self._collective.size, "seeds": of_workers, "callbacks": remembered}
        arrays[_META] = np.frombuffer(json.dumps(meta).encode(), np.uint8)
        held = time.monotonic() - begun
        self._writing = threading.Thread(target=self._write, args=(epoch, arrays, held), name="checkpoint", daemon=True)
        self._writing.start()

    def wait(self) -> None:
        """Until what is being written is there, or has failed."""
        if self._writing is not None:
            self._writing.join()
            self._writing = None

    def _write(self, epoch: int, arrays: Mapping[str, np.ndarray], held: float) -> None:
        begun = time.monotonic()
        name = f"{CHECKPOINTS}/{epoch:06d}.npz"
        try:
            with tempfile.TemporaryDirectory() as local:
                file = Path(local, "state.npz")
                np.savez(file, **arrays)
                size = file.stat().st_size
                self._folder.upload(file, name)
            old = sorted(self._folder.join(CHECKPOINTS).list())[:-self._keep]
            for each in old:
                self._folder.remove(f"{CHECKPOINTS}/{each}")
        except (OSError, StorageError) as error:
            # The run goes on: it would only lose more if it broke off here.
            print(f"the checkpoint of epoch {epoch} could not be written, the next one is tried: {error}", flush=True)
            return
        self._report(Checkpointed(epoch, size, held, time.monotonic() - begun))


class Resumed:
    """The state of an earlier attempt, brought to all workers. Collective.

    Args:
        model: built as it was then.
        collective: the workers, maybe more or fewer than then.
        part: this worker's part of the rows.
        folder: the run's.
        name: the checkpoint's in it.

    Attributes:
        epoch: how many epochs are done.

    Raises:
        TrainingError: it is another model's.
    """

    def __init__(self, model: keras.Model, collective: Collective, part: int, folder: Folder, name: str) -> None:
        self._weights: dict[str, list[np.ndarray]] = {}
        meta = self._load(model, folder, name) if collective.rank == 0 else None
        self._meta, self._weights = collective.broadcast((meta, self._weights) if collective.rank == 0 else None)
        self.epoch: int = self._meta["epoch"]
        start_alike(model, collective)
        mine = dict((part, states) for part, states in self._meta["seeds"]).get(part)
        if mine is not None and self._meta["size"] == collective.size:
            set_seeds(model, mine)

    def _load(self, model: keras.Model, folder: Folder, name: str) -> dict[str, Any]:
        with tempfile.TemporaryDirectory() as local:
            file = Path(local, "state.npz")
            folder.download(name, file)
            with np.load(file) as stored:
                meta = json.loads(stored[_META].tobytes())
                variables = _variables(model)
                found = sum(key.startswith("variable-") for key in stored.files)
                if found != len(variables):
                    raise TrainingError(f"{folder.url}/{name} holds {found} variables, and the model has {len(variables)}: "
                                        "it is another model's, so give this run another --run-id")
                for number, variable in enumerate(variables):
                    value = stored[f"variable-{number}"]
                    if value.shape != tuple(variable.shape):
                        raise TrainingError(
                            f"{folder.url}/{name} holds {variable.path} of shape {list(value.shape)}, and the model's has "
                            f"{list(variable.shape)}: it is another model's, so give this run another --run-id")
                    kind = variable.numpy().dtype
                    variable.assign(value.view(kind) if kind.name == "bfloat16" else value)
                for number, (_, _, weights) in enumerate(meta["callbacks"]):
                    for attribute, count in weights.items():
                        keys = [f"callback-{number}-{attribute}-{place}" for place in range(count)]
                        self._weights[f"{number}-{attribute}"] = [stored[key] for key in keys]
        return meta

    def remind(self, callbacks: Sequence[keras.callbacks.Callback]) -> None:
        """Give the callbacks back what they remembered: those of one class in their order, as rank 0 had them."""
        waiting = list(callbacks)
        for number, (kind, plain, weights) in enumerate(self._meta["callbacks"]):
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


def _stored(value: np.ndarray) -> np.ndarray:
    """A copy, in a dtype that NumPy's files know: bfloat16 as the bits that it has."""
    value = np.array(value)
    return value.view(np.uint16) if value.dtype.name == "bfloat16" else value


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
