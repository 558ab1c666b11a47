"""The schemas of what a scoring records."""

from __future__ import annotations

from typing import Any

from sparktrain.runs.records.record import Record


class ScoresSummary(Record):
    """`_sparktrain/summary.json` in a folder of scores, where Spark doesn't look for rows. A folder that has this file is complete."""

    run: str
    """The scoring's id."""
    name: str
    """The scoring's name, from its configuration."""
    finished: str
    """When it was finished, ISO 8601, UTC."""
    model: str
    """The URL of the run whose model was used."""
    model_finished: str
    """When that run was finished, ISO 8601; empty if that isn't recorded."""
    rows: int
    """Rows that were scored."""
    columns: dict[str, str]
    """Spark's type of each column."""
    inputs: list[dict[str, Any]]
    """The files that were read: path, length in bytes, modified in milliseconds since 1970."""
    code: dict[str, str]
    """The SHA-256 of each of the user's files that were shipped."""
    versions: dict[str, str]
    """The versions of Python and packages on the driver."""
    user: str
    """Who scored."""
    application: str
    """The id of the Spark application."""
    portions: int
    """In how many portions the files were scored."""
    wall: float
    """Seconds that it took, without earlier drivers of the same scoring."""
    notes: list[str]
    """Notes for users of the scores."""


class Portion(Record):
    """A portion of a scoring that is written completely, until the scores are published."""

    files: list[str]
    """The files with its scores."""
    rows: int
    """Its rows."""
