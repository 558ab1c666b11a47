"""The schemas of the records of a search."""

from __future__ import annotations

from typing import Any, Literal

from sparktrain.runs.records.record import Record


class TrialRecord(Record):
    """`NUMBER.json` of a search's trial, in `_searches/SEARCH/records` under output.path; in `trials.json` of its best run, all."""

    number: int
    """The trial's number, from 0."""
    state: Literal["running", "finished", "stopped", "failed"]
    """running, finished, stopped (ended early, as it did badly) or failed."""
    parameters: dict[str, Any]
    """The values that the search has given to the job's keys."""
    run: str
    """The id of its run, whose folder is in `_searches/SEARCH/trials`."""
    value: float | None = None
    """The goal's metric of the model that it left; null if it left none."""
    values: list[float | None] = []
    """The goal's metric after each epoch."""
    metrics: dict[str, float | None] = {}
    """All metrics of the model that it left."""
    epochs: int = 0
    """Epochs trained."""
    seconds: float = 0.0
    """Wall time of its run."""
    reason: str | None = None
    """Why it failed, or was stopped."""


class SearchRecord(Record):
    """`search.json` of a search, in `_searches/SEARCH` under output.path: what must be the same for it to be resumed."""

    job: Any
    """The job that it varies, as it was set, without what may differ: workers, GPUs a worker, time limit, cluster, output."""
    code: dict[str, str] = {}
    """The SHA-256 of each of the user's files that were shipped."""
    space: dict[str, Any]
    """The keys that it varies, and the values of each."""
    goal: dict[str, Any]
    """The metric, and whether a smaller or a larger value is better."""
    sampler: str
    """How the values of a trial are chosen."""
    seed: int
    """The seed of that choice."""
    given: dict[str, str] = {}
    """Fingerprints of the objects that a program passes."""
