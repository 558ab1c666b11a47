"""The schema of what a checkpoint says of its arrays."""

from __future__ import annotations

from typing import Any

from sparktrain.runs.records.record import Record, Schema


class CallbackState(Schema):
    """The state of one of a worker's callbacks: the attributes that it has changed since training began."""

    kind: str
    """The name of its class."""
    plain: dict[str, Any] = {}
    """Numbers, and lists and dicts of them, by attribute."""
    arrays: dict[str, list[str]] = {}
    """Lists of arrays, by attribute: the digests that the arrays have in the file."""


class TrainingFacts(Schema):
    """What a resumed training knows of the one before, the same on all workers."""

    stopped: bool
    """Whether a callback has asked for the end of training."""
    averaged: list[str]
    """The metrics that were averaged over the workers, as their states are no sums."""
    epoch_seconds: float
    """How long the last epoch took."""


class CheckpointMeta(Record):
    """The entry `meta` of a checkpoint, `checkpoints/EPOCH-STEP-of-WORKERS.npz` in `_runs/RUN` until the run is complete: what the
    other entries are. Callbacks' numbers may be NaN and Infinity here. Beside it are `variable-NUMBER`, the variables of the model
    and its optimizers."""

    callbacks: dict[int, list[CallbackState]]
    """The callbacks of each part's worker."""
    first: int
    """The part of rank 0, whose worker has callbacks that the others don't have."""
    remembered: dict[str, str]
    """The arrays of callbacks, each the entry `remembered-DIGEST`: NumPy's name of the type, by the digest."""
    own: dict[int, list[str]]
    """What each part's worker has of its own, each the entry `own-PART-NAME`: the names."""
    facts: TrainingFacts
    """What all workers have alike beside the variables."""
    rows: list[list[int]] | None = None
    """The number and the digest of each part's training rows; null if an earlier version of sparktrain wrote the checkpoint."""
