"""The records of a run, which programs and people read: their schemas, with a version.

A record of an earlier version, which may lack `version` and later fields, is read as it is: every field that came later has a
default. A reader leaves alone what it doesn't know.
"""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from sparktrain.runs.json_text import without_nan
from sparktrain.storage import Folder

VERSION = 1  # of the records' schemas; it rises when a field changes its meaning or goes


class Record(BaseModel):
    """What all records have."""

    model_config = ConfigDict(frozen=True, extra="allow", use_attribute_docstrings=True)

    version: int = VERSION
    """The version of the record's schema; 1, too, where an earlier version of sparktrain wrote none."""

    def write(self, folder: Folder, name: str) -> None:
        """Write the record into a folder as JSON.

        Raises:
            StorageError: it can't be written.
        """
        folder.write_text(name, self.to_json(indent=2) + "\n")

    def to_json(self, indent: int | None = None) -> str:
        """Return the record as JSON text; numbers that JSON hasn't are null."""
        return json.dumps(without_nan(self.content()), indent=indent, allow_nan=False)

    def content(self) -> dict[str, Any]:
        """Return what was said when the record was made, as a dict, its version last."""
        content = self.model_dump(exclude_unset=True)
        return {**{name: value for name, value in content.items() if name != "version"}, "version": self.version}


class Line(Record):
    """The JSON line: how a run ended, for schedulers. The last line on standard output, and the content of --result."""

    run: str | None
    """The run's id; null where it ended before it had one."""
    output: str | None = None
    """The URL of its folder; null where there is none."""
    status: str
    """finished, checked (a rehearsal), refused (it can't work), failed or stopped (from outside); of a run at work, running."""
    rows: int = 0
    """Training rows, after sampling."""
    epochs: int = 0
    """Epochs trained."""
    workers: int = 0
    """Workers that trained together."""
    engine: str | None = None
    """What averaged their gradients."""
    attempts: int = 0
    """How often it was tried."""
    seconds: float = 0.0
    """Wall time of the whole run."""
    metrics: dict[str, float | None] = {}
    """Of the last epoch, or of the best with `save: best`; over all workers' rows."""
    reason: str | None = None
    """Why it didn't finish; not there where it did."""


class Status(Line):
    """`status.json`: how far a run at work is, in `_runs/RUN` under output.path."""

    updated: str
    """When it was written, ISO 8601, UTC; a run that lives writes one a minute at least."""
    phase: str = ""
    """The step of the preparation, or what the worker that is least far does."""
    epoch: int | None = None
    """The epoch that is trained, from 1; it and the fields that follow are there while there is training."""
    of_epochs: int | None = None
    """How many epochs there are to be."""
    step: int | None = None
    """The step of the epoch, from 1."""
    of_steps: int | None = None
    """How many steps an epoch has."""
    rows_per_second: float | None = None
    """Training rows a second, over all workers."""
    loss: float | None = None
    """The loss so far in this epoch, of the worker that is least far."""


class End(Line):
    """`end.json`: how a run ended that left no model, in `_ended/RUN` under output.path, for 30 days."""

    finished: str
    """When it ended, ISO 8601, UTC."""
    traceback: str = ""
    """What more there is to show of why: a worker's traceback, Spark's cause."""
    application: str | None = None
    """Spark's id of the application."""
    user: str | None = None
    """Who ran it."""
    resumable: bool = False
    """Whether the same command, under the run's id, goes on from a checkpoint or a trained model."""


class Summary(Record):
    """`summary.json` of a finished run: its numbers. The folder is complete when this file is there."""

    run: str
    """The run's id."""
    name: str = ""
    """The job's name."""
    status: Literal["finished"]
    """A run that has this file is finished."""
    finished: str
    """When training ended, ISO 8601, UTC."""
    rows: int
    """Training rows, after sampling."""
    validation_rows: int = 0
    """Rows that the model was validated on."""
    epochs: int
    """Epochs trained."""
    workers: int
    """Workers that trained together."""
    engine: str
    """What averaged their gradients."""
    attempts: int
    """How often it was tried."""
    metrics: dict[str, float | None]
    """Of the last epoch, or of the best with `save: best`; over all workers' rows."""
    rows_per_second: float = 0.0
    """Training rows a second, over all workers and epochs."""
    seconds: dict[str, float] = {}
    """Of each phase: slots, prepare, fill, start workers, train, save."""
    epoch_seconds: list[float] = []
    """Of each epoch of the last attempt."""
    wall: float = 0.0
    """Seconds of the whole run."""
    checkpoints: dict[str, int | float] | None = None
    """How many were written, the bytes of the last, and the seconds by which all held training up; null where there were none."""
    held_back_by: str = ""
    """The longest phase, in words."""
    steps_per_epoch: int = 0
    """Steps of an epoch, of the worker with the most."""
    batch: int = 0
    """Rows a step, of all workers together."""
    best_epoch: int | None = None
    """The epoch whose weights the model has, from 1; null: the last."""
    stopped_early: bool = False
    """Whether early stopping ended the training."""
    parameters: int = 0
    """Of the model."""
    custom_objects: dict[str, str] = {}
    """The model's own classes and functions, by the names that Keras looks them up by, and the modules that they are in."""
    modules: list[str] | None = None
    """The modules that have to be imported before the model is loaded; null where an earlier version didn't say."""
    peak_memory: list[int] = []
    """The most memory that each worker's training process had resident, in bytes."""
    disk: list[int] = []
    """Bytes of each worker's segments."""
    notes: list[str] = []
    """What a reader of the metrics should know."""


class PreparedSummary(Record):
    """`summary.json` of a prepared frame, which `data.prepared` names. The folder is complete when this file is there."""

    prepared: str
    """When it was prepared, ISO 8601, UTC."""
    name: str = ""
    """The name of the job that prepared it."""
    rows: int | None
    """Training rows, after sampling; null where they were not counted."""
    validation_rows: int | None
    """Validation rows; null where they were not counted."""
    label: str
    """The label's column."""
    numbered: bool
    """Whether the label column has the classes' numbers already, by the pipeline."""
    pipeline: bool
    """Whether there is a fitted pipeline beside it."""
    columns: dict[str, str]
    """Spark's type of each column."""
    files: int
    """How many files the rows lie in."""
    bytes: int
    """How large those are together."""
    wall: float = 0.0
    """Seconds that the preparation took."""
    notes: list[str] = []
    """What a reader of the rows should know."""


class Lineage(Record):
    """`lineage.json`: where a model, or a prepared frame, comes from."""

    run: str
    """The run's id, or the name of the prepared frame's folder."""
    parent: str | None
    """The URL of the run that it goes on from."""
    prepared: dict[str, Any] | None = None
    """The lineage of the prepared frame that its rows are from, with that one's `url`; null where it prepared them itself."""
    inputs: list[dict[str, Any]]
    """The files that were read, each with its path, length and time of modification."""
    classes_before_sampling: dict[str, int] | None
    """Training rows of each class; null where the label has no classes."""
    classes_after_sampling: dict[str, int] | None
    """The same, after sampling."""
    seed: int
    """The job's."""
    code: dict[str, str]
    """The SHA-256 of each of the user's files that were shipped."""
    versions: dict[str, str]
    """Of Python and the packages that the result depends on, as installed with the driver."""
    user: str
    """Who ran it."""
    application: str
    """Spark's id of the application."""


class SignatureColumn(BaseModel):
    """How a column becomes an input, or a part of it."""

    model_config = ConfigDict(frozen=True, extra="allow", use_attribute_docstrings=True)

    column: str
    """The column's name, behind `data.preprocess` and the pipeline."""
    shape: list[int] | None = None
    """The shape that a row's array is given; null: the one that it has."""
    length: int | None = None
    """What sequences are padded or cut to, in items; null: they are not."""
    pad: float = 0
    """What short sequences are padded with."""
    side: Literal["pre", "post"] = "pre"
    """Where they are padded and cut: at the front (pre) or at the end (post)."""


class SignatureInput(BaseModel):
    """One of a model's inputs."""

    model_config = ConfigDict(frozen=True, extra="allow", use_attribute_docstrings=True)

    name: str
    """The model's own name for it; where it has none, that of the job's feature."""
    feature: str
    """The job's name for it."""
    shape: list[int]
    """The shape of a row."""
    dtype: str
    """NumPy's name of the type as it is fed, or string."""
    columns: list[SignatureColumn]
    """The columns that it is made of, side by side on the last axis."""
    example: Any = None
    """A row of training, as nested lists; null where the row has more than 10,000 numbers in all, or rank 0 had no rows."""


class SignatureOutput(BaseModel):
    """One of a model's outputs."""

    model_config = ConfigDict(frozen=True, extra="allow", use_attribute_docstrings=True)

    name: str
    """The model's own name for it; where it has none, output_0 and so on."""
    shape: list[int | None]
    """The shape of a row; null where a size isn't fixed."""
    dtype: str
    """NumPy's name of the type."""
    label: str | None = None
    """The column that it was trained to predict; null where that isn't known by the output's name or place."""
    classes: list[Any] | None = None
    """What its numbers stand for, in their order; null where they are the label's own."""


class Signature(Record):
    """`signature.json`: what a run's model takes and gives, and how columns become its inputs."""

    inputs: list[SignatureInput]
    """In the model's order."""
    outputs: list[SignatureOutput]
    """In the model's order."""
    pipeline: bool
    """Whether the columns are those that the fitted pipeline beside the model makes."""
    preprocess: str | None = None
    """The function that made the frame which the pipeline, or the model, was given; null where there was none with a name."""


class Identity(Record):
    """`identity.json`: what must be the same for a run to be resumed, in `_runs/RUN` until the run is complete."""

    configuration: dict[str, Any]
    """The job, but for what may differ: workers, time limit, failures, cluster, output."""
    code: dict[str, str]
    """The SHA-256 of each of the user's files that were shipped."""
    input: list[dict[str, Any]]
    """The files that are read."""
    given: dict[str, str] = {}
    """Fingerprints of what a program passes without a name: functions, models, pipelines, the plan of a frame."""


RECORDS: dict[str, type[Record]] = {
    "the JSON line": Line,
    "summary.json": Summary,
    "lineage.json": Lineage,
    "signature.json": Signature,
    "status.json": Status,
    "end.json": End,
    "summary.json of a prepared frame": PreparedSummary,
    "identity.json": Identity,
}
