"""Restores the checkpoint of an earlier attempt on all workers."""

from __future__ import annotations

import json
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from sparktrain.interfaces.checkpoints import CHECKPOINTS, Checkpoint, read, to_go_on_from
from sparktrain.interfaces.collective import Collective
from sparktrain.models.errors import TrainingError
from sparktrain.storage import Folder, NotFound
from sparktrain.training.arrays import restore, revived
from sparktrain.training.callback_memory import Memory, common, from_json, remind
from sparktrain.training.checkpoints import META, checkpointed_variables
from sparktrain.training.own_state import OwnState
from sparktrain.training.statistics import start_alike

_UNREADABLE = (zipfile.BadZipFile, ValueError, EOFError, KeyError, NotFound)  # for a file that is incomplete or no checkpoint


class _OtherRows(Exception):
    """Raised for a checkpoint within an epoch whose workers had other rows than they have now."""


def resume(
    model: keras.Model, collective: Collective, part: int, folder: Folder, newest: Checkpoint, rows: list[list[int]], whole: bool
) -> tuple[Resumed | None, list[str]]:
    """Restore a checkpoint on all workers. Collective.

    Args:
        model: built as when the checkpoint was written.
        collective: the workers, of which there may be more or fewer than then.
        part: this worker's part of the rows.
        folder: the run's folder.
        newest: the checkpoint to resume from. If it can't be read, or was written within an epoch over other rows, an earlier
            one is used.
        rows: `Shard.rows_by_part` of the current rows.
        whole: whether each part has all training rows.

    Returns:
        The restored state, None if no checkpoint can be used; and notes on each that can't, and on rows that have changed.

    Raises:
        TrainingError: the checkpoint is of another model.
    """
    came = _newest_usable(model, folder, newest, rows, whole) if collective.rank == 0 else None
    content, notes = collective.broadcast(came)
    if content is None:
        return None, notes
    start_alike(model, collective)
    return Resumed(content, part, collective), notes


@dataclass
class _Content:
    """A checkpoint without the model's variables: callbacks' and workers' own states by part, arrays by their digests."""

    checkpoint: Checkpoint
    memories: dict[int, list[Memory]]
    first: int  # the part of rank 0
    arrays: dict[str, np.ndarray]
    own: dict[int, dict[str, np.ndarray]]
    facts: dict[str, Any]
    rows: list[list[int]] | None  # Shard.rows_by_part of then


class Resumed:
    """The state of a checkpoint, whose variables the model has already.

    Args:
        content: the content of the checkpoint.
        part: this worker's part of the rows.
        collective: the workers, of which there may be more or fewer than then.

    Attributes:
        epoch: the number of complete epochs.
        step: the number of complete steps of the next epoch.
        facts: the facts saved with the checkpoint.
    """

    def __init__(self, content: _Content, part: int, collective: Collective) -> None:
        self.epoch, self.step = content.checkpoint.epoch, content.checkpoint.step
        self.facts = content.facts
        self._arrays = content.arrays
        of_first = content.memories[content.first]  # for callbacks on rank 0 alone, whose part may have changed
        # With another number of workers, parts have other rows
        same = content.checkpoint.size == collective.size
        self._own = content.own[part] if same else None
        self._memories = [content.memories[part] if same else common(content.memories)]
        if collective.rank == 0:
            self._memories.append(of_first)

    def bring_back(self, own: OwnState) -> None:
        """Restore this worker's own state, if there is one for its part."""
        if self._own is not None:
            own.bring_back(self._own, within_epoch=self.step > 0)

    def remind(self, callbacks: Sequence[keras.callbacks.Callback]) -> None:
        """Restore the state of this worker's callbacks."""
        remind(callbacks, self._memories, self._arrays)


def _newest_usable(
    model: keras.Model, folder: Folder, newest: Checkpoint, rows: list[list[int]], whole: bool
) -> tuple[_Content | None, list[str]]:
    """Load the newest checkpoint that can be used, and set the model's variables."""
    notes: list[str] = []

    def note(text: str) -> None:
        notes.append(text)
        print(text, flush=True)

    checkpoint: Checkpoint | None = newest
    while checkpoint is not None:
        try:
            content = _load(model, folder, checkpoint, rows)
        except (_OtherRows, *_UNREADABLE) as error:
            older = [each for each in read(folder.join(CHECKPOINTS).list()) if each < checkpoint]
            unused, checkpoint = checkpoint, to_go_on_from(older, len(rows))
            why = (
                f"is of other rows ({error}), {_CHANGED}"
                if isinstance(error, _OtherRows)
                else f"can't be read ({type(error).__name__}: {error})"
            )
            note(
                f"{folder.url}/{unused.path}, the checkpoint of {unused}, {why}: continuing from {checkpoint or 'the beginning'}"
            )
        else:
            before, now = _all_rows(content.rows or rows, whole), _all_rows(rows, whole)
            if before != now:
                note(f"the training rows are others than those before {checkpoint} ({_counted(before, now)}), {_CHANGED}")
            return content, notes
    return None, notes


_CHANGED = (
    "as a source has changed that is no files, or as the preparation gives other rows each time (rand() without a seed, a limit "
    "without an order); `data.keep: storage` keeps a run's rows as they were"
)


def _all_rows(by_part: list[list[int]], whole: bool) -> tuple[int, int]:
    """Return the number and the digest of all training rows, which don't depend on the number of parts."""
    parts = by_part[:1] if whole else by_part
    return sum(count for count, _ in parts), sum(digest for _, digest in parts) % (1 << 64)


def _counted(before: tuple[int, int], now: tuple[int, int]) -> str:
    return f"{before[0]:,} then, {now[0]:,} now" if before[0] != now[0] else f"{now[0]:,} as then, with other contents"


def _load(model: keras.Model, folder: Folder, checkpoint: Checkpoint, rows: list[list[int]]) -> _Content:
    with tempfile.TemporaryDirectory() as local:
        file = Path(local, "state.npz")
        folder.download(checkpoint.path, file)
        with np.load(file) as arrays:
            if (damaged := arrays.zip.testzip()) is not None:  # before any of it is assigned to the model
                raise zipfile.BadZipFile(f"{damaged} is damaged")
            meta = json.loads(arrays[META].tobytes())
            before = meta.get("rows")  # not in checkpoints of older versions
            if checkpoint.step and before is not None and before != rows:
                raise _OtherRows(_counted(_all_rows(before, False), _all_rows(rows, False)))
            _set_variables(model, arrays, f"{folder.url}/{checkpoint.path}")
            return _Content(
                checkpoint,
                from_json(meta["callbacks"]),
                meta["first"],
                {digest: revived(arrays[f"remembered-{digest}"], dtype) for digest, dtype in meta["remembered"].items()},
                {int(part): {name: arrays[f"own-{part}-{name}"] for name in names} for part, names in meta["own"].items()},
                meta["facts"],
                before,
            )


def _set_variables(model: keras.Model, arrays: Any, file: str) -> None:
    variables = checkpointed_variables(model)
    found = sum(key.startswith("variable-") for key in arrays.files)
    if found != len(variables):
        raise TrainingError(
            f"{file} holds {found} variables, and the model has {len(variables)}: it is another model's, so give "
            "this run another --run-id"
        )
    for number, variable in enumerate(variables):
        value = arrays[f"variable-{number}"]
        if value.shape != tuple(variable.shape):
            raise TrainingError(
                f"{file} holds {variable.path} of shape {list(value.shape)}, and the model's has "
                f"{list(variable.shape)}: it is another model's, so give this run another --run-id"
            )
        restore(variable, value)
