"""Resumes a fit from the checkpoint of an earlier attempt, on all workers."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from sparktrain.interfaces.checkpoints import CHECKPOINTS, Checkpoint, read, to_go_on_from
from sparktrain.interfaces.collective import Collective
from sparktrain.models.errors import TrainingError
from sparktrain.storage import Folder, NotFound
from sparktrain.training.arrays import revived
from sparktrain.training.batches.dataset import Feeding
from sparktrain.training.callbacks.callback_memory import Memory, common, joined
from sparktrain.training.metrics.statistics import start_alike
from sparktrain.training.state.checkpoints import META
from sparktrain.training.state.fit_state import position
from sparktrain.training.state.stateful import FitState, Kind, Stateful

_UNREADABLE = (zipfile.BadZipFile, ValueError, EOFError, KeyError, NotFound)  # for a file that is incomplete or no checkpoint


class _OtherRows(Exception):
    """Raised for a checkpoint within an epoch whose workers had other rows than they have now."""


def resume(
    state: FitState,
    model: keras.Model,
    feeding: Feeding,
    collective: Collective,
    part: int,
    folder: Folder,
    newest: Checkpoint,
    whole: bool,
) -> tuple[Checkpoint | None, list[str]]:
    """Load a checkpoint on all workers. Collective.

    Args:
        state: the fit's state, which is loaded as far as it is while the fit hasn't begun.
        model: built as when the checkpoint was written.
        feeding: this worker's batches.
        collective: the workers, of which there may be more or fewer than then.
        part: this worker's part of the rows.
        folder: the run's folder.
        newest: the checkpoint to resume from. If it can't be read, or was written within an epoch over other rows, an earlier
            one is used.
        whole: whether each part has all training rows.

    Returns:
        The checkpoint that training resumes from, None if none can be used; and notes on each that can't, and on rows that have
        changed.

    Raises:
        TrainingError: the checkpoint is of another model.
    """
    variables = next(member.of for member in state.parts if member.name == "variable")
    came = _newest_usable(variables, folder, newest, feeding.rows_by_part, whole) if collective.rank == 0 else None
    content, notes = collective.broadcast(came)
    if content is None:
        return None, notes
    start_alike(model, collective)
    derived = position(feeding, content.checkpoint.epoch, content.checkpoint.step)
    state.resume(
        {
            **{member.name: derived for member in state.parts if member.kind is Kind.DERIVED},
            "facts": content.facts,
            **_own_states(content, part, collective),
        }
    )
    return content.checkpoint, notes


@dataclass
class _Content:
    """A checkpoint without the model's variables: callbacks' and workers' own states by part, arrays by their digests."""

    checkpoint: Checkpoint
    memories: dict[int, list[Memory]]
    first: int  # the part of rank 0
    arrays: dict[str, np.ndarray]
    own: dict[int, dict[str, dict[str, np.ndarray]]]
    facts: dict[str, Any]
    rows: list[list[int]] | None  # Shard.rows_by_part of then


def _own_states(content: _Content, part: int, collective: Collective) -> dict[str, dict[str, Any]]:
    """Return a worker's own states, by the names of their parts."""
    same = content.checkpoint.size == collective.size  # with another number of workers, parts have other rows
    memories = content.memories[part] if same else common(content.memories)
    if collective.rank == 0:  # for callbacks on rank 0 alone, whose part may have changed
        memories = joined(memories, content.memories[content.first])
    return {"callbacks": {"memories": memories, "arrays": content.arrays}, **(content.own[part] if same else {})}


def _newest_usable(
    variables: Stateful, folder: Folder, newest: Checkpoint, rows: list[list[int]], whole: bool
) -> tuple[_Content | None, list[str]]:
    """Read the newest checkpoint that can be used, and load the model's variables."""
    notes: list[str] = []

    def note(text: str) -> None:
        notes.append(text)
        print(text, flush=True)

    checkpoint: Checkpoint | None = newest
    while checkpoint is not None:
        try:
            content = _read(variables, folder, checkpoint, rows)
        except (_OtherRows, *_UNREADABLE) as error:
            older = [other for other in read(folder.join(CHECKPOINTS).list()) if other < checkpoint]
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


def _read(variables: Stateful, folder: Folder, checkpoint: Checkpoint, rows: list[list[int]]) -> _Content:
    # Only here, as importing pydantic would delay the start of this process
    from sparktrain.runs.records.checkpoint import CheckpointMeta
    from sparktrain.runs.records.record import VERSION

    with tempfile.TemporaryDirectory() as local:
        file = Path(local, "state.npz")
        folder.download(checkpoint.path, file)
        with np.load(file) as arrays:
            if (damaged := arrays.zip.testzip()) is not None:  # before any of it is assigned to the model
                raise zipfile.BadZipFile(f"{damaged} is damaged")
            meta = CheckpointMeta.model_validate_json(arrays[META].tobytes())
            if meta.version > VERSION:
                raise TrainingError(
                    f"{folder.url}/{checkpoint.path} was written by a later version of sparktrain: resume this run with that version"
                )
            if checkpoint.step and meta.rows is not None and meta.rows != rows:
                raise _OtherRows(_counted(_all_rows(meta.rows, False), _all_rows(rows, False)))
            try:
                variables.load_state_dict(_Arrays(arrays, "variable-"))
            except TrainingError as error:
                raise TrainingError(
                    f"{folder.url}/{checkpoint.path} is another model's, so give this run another --run-id: {error}"
                ) from None
            own: dict[int, dict[str, dict[str, np.ndarray]]] = {}
            for part, names in meta.own.items():
                states = own[part] = {}
                for name in names:
                    of, _, key = name.partition("-")
                    states.setdefault(of, {})[key] = arrays[f"own-{part}-{name}"]
            return _Content(
                checkpoint,
                {
                    part: [Memory(memory.kind, memory.plain, memory.arrays) for memory in of]
                    for part, of in meta.callbacks.items()
                },
                meta.first,
                {digest: revived(arrays[f"remembered-{digest}"], dtype) for digest, dtype in meta.remembered.items()},
                own,
                meta.facts.model_dump(),
                meta.rows,
            )


class _Arrays(Mapping[str, np.ndarray]):
    """The arrays of a file whose names have a prefix, by what follows it; each is read when it is asked for."""

    def __init__(self, file: Any, prefix: str) -> None:
        self._file, self._prefix = file, prefix

    def __getitem__(self, name: str) -> np.ndarray:
        return self._file[self._prefix + name]

    def __iter__(self) -> Iterator[str]:
        return (name.removeprefix(self._prefix) for name in self._file.files if name.startswith(self._prefix))

    def __len__(self) -> int:
        return sum(1 for _ in self)
