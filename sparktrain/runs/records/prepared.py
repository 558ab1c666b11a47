"""The schema of the record of a prepared frame."""

from __future__ import annotations

from typing import Any

from sparktrain.runs.records.record import Record


class PreparedSummary(Record):
    """`summary.json` of a prepared frame, for `data.prepared`. A folder that has this file is complete."""

    prepared: str
    """When the rows were prepared, ISO 8601, UTC."""
    name: str = ""
    """The name of the job that prepared them."""
    rows: int | None
    """Training rows, after sampling; null if they were not counted."""
    validation_rows: int | None
    """Validation rows; null if they were not counted."""
    label: str
    """The label's column."""
    numbered: bool
    """Whether the pipeline has replaced the labels by class numbers."""
    pipeline: bool
    """Whether the folder has a fitted pipeline."""
    columns: dict[str, str]
    """Spark's type of each column."""
    files: int
    """The number of files that hold the rows."""
    bytes: int
    """The total size of those files."""
    buckets: int | None = None
    """The number of buckets that the rows lie in, from which workers read theirs by themselves; null if Spark distributes them."""
    frequent: list[Any] | None = None
    """The rows that make up much of the frame: the hash of each, whether it is for validation, and how often it occurs; null if they
    weren't looked for."""
    wall: float = 0.0
    """Seconds that the preparation took."""
    notes: list[str] = []
    """Notes for users of the rows."""
