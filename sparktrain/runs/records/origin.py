"""The schemas of what a model or a prepared frame was made from."""

from __future__ import annotations

from typing import Any

from sparktrain.runs.records.record import Record


class Lineage(Record):
    """`lineage.json`: the inputs, code and versions that a model or a prepared frame was made from."""

    run: str
    """The run's id, or the name of the prepared frame's folder."""
    parent: str | None
    """The URL of the run whose model this run started from (`model.load`); null if none."""
    prepared: dict[str, Any] | None = None
    """The lineage of the prepared frame that the rows were read from, with its `url`; null if the run prepared them itself."""
    inputs: list[dict[str, Any]]
    """The files that were read, each with its path, length and modification time."""
    classes_before_sampling: dict[str, int] | None
    """Training rows of each class before sampling; null if the label has no classes."""
    classes_after_sampling: dict[str, int] | None
    """Training rows of each class after sampling; null if the label has no classes."""
    seed: int
    """The job's seed."""
    code: dict[str, str]
    """The SHA-256 of each of the user's files that were shipped."""
    versions: dict[str, str]
    """The versions of Python and the packages that the result depends on, as installed with the driver."""
    user: str
    """The user who ran it."""
    application: str
    """Spark's application id."""
    search: dict[str, Any] | None = None
    """Where a search has found the model: the number of its trial, the parameters, the goal, and how many trials there were."""


class Identity(Record):
    """`identity.json`: what must be the same for a run to be resumed, in `_runs/RUN` until the run is complete."""

    configuration: dict[str, Any]
    """The job without what may differ: workers, GPUs a worker, time limit, `max_failures`, cluster, output."""
    code: dict[str, str]
    """The SHA-256 of each of the user's files that were shipped."""
    input: list[dict[str, Any]]
    """The files that are read."""
    given: dict[str, str] = {}
    """Fingerprints of the objects that a program passes: functions, models, pipelines, a frame's plan."""
