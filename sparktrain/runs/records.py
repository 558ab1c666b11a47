"""The schemas, with a version, of the JSON records that a run writes for programs and people.

A record of an earlier version, which may lack `version` and later fields, can be read: every field that was added later has a
default. A reader ignores fields that it doesn't know.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict

from sparktrain.runs.json_text import write_json

if TYPE_CHECKING:
    from sparktrain.storage import Folder

VERSION = 1  # of the records' schemas; raised when a field is removed or changes its meaning


class _Schema(BaseModel):
    """What all schemas have in common. Each is built when it is first used: who prints one record doesn't wait for all."""

    model_config = ConfigDict(frozen=True, extra="allow", use_attribute_docstrings=True, defer_build=True)


class Record(_Schema):
    """The base of all records: a schema version, written as JSON."""

    version: int = VERSION
    """The version of the record's schema. A record without one, by an earlier sparktrain, has version 1."""

    def write(self, folder: Folder, name: str) -> None:
        """Write the record into a folder as JSON.

        Raises:
            StorageError: it can't be written.
        """
        write_json(folder, name, self.content())

    def content(self) -> dict[str, Any]:
        """Return the fields that were set when the record was made, as a dict, with the version last."""
        content = self.model_dump(exclude_unset=True)
        return {**{name: value for name, value in content.items() if name != "version"}, "version": self.version}


class Line(Record):
    """The JSON line: how a run ended, for schedulers. The last line on standard output, and the content of --result."""

    run: str | None
    """The run's id; null if it ended before it had one."""
    output: str | None = None
    """The URL of the run's folder; null if there is none."""
    status: str
    """finished, checked (a rehearsal), refused (can't work as it is), failed, stopped (from outside), or running."""
    rows: int = 0
    """Training rows, after sampling."""
    epochs: int = 0
    """Epochs trained."""
    workers: int = 0
    """The number of workers."""
    engine: str | None = None
    """The engine that averaged the workers' gradients."""
    attempts: int = 0
    """The number of attempts."""
    seconds: float = 0.0
    """Wall time of the whole run."""
    metrics: dict[str, float | None] = {}
    """The metrics of the last epoch, or of the best with `save: best`, over all workers' rows."""
    reason: str | None = None
    """Why the run didn't finish; absent if it did."""


class Status(Line):
    """`status.json`: the progress of a running run, in `_runs/RUN` under output.path."""

    updated: str
    """When the status was written, ISO 8601, UTC. A live run writes one at least every minute."""
    phase: str = ""
    """The step of the preparation, or the phase of the slowest worker."""
    epoch: int | None = None
    """The current epoch, from 1. This field and the following ones are present only during training."""
    of_epochs: int | None = None
    """The number of epochs to train."""
    step: int | None = None
    """The current step of the epoch, from 1."""
    of_steps: int | None = None
    """The number of steps an epoch."""
    rows_per_second: float | None = None
    """Training rows a second, over all workers."""
    loss: float | None = None
    """The slowest worker's loss so far in this epoch."""


class End(Line):
    """`end.json`: how a run without a model ended, kept in `_ended/RUN` under output.path for 30 days."""

    finished: str
    """When the run ended, ISO 8601, UTC."""
    traceback: str = ""
    """Details of the failure: a worker's traceback, or Spark's cause."""
    application: str | None = None
    """Spark's application id."""
    user: str | None = None
    """The user who ran it."""
    resumable: bool = False
    """Whether the same command with the run's id resumes from a checkpoint or a trained model."""


class Summary(Record):
    """`summary.json` of a finished run: its numbers. A folder that has this file is complete."""

    run: str
    """The run's id."""
    name: str = ""
    """The job's name."""
    status: Literal["finished"]
    """Always `finished`."""
    finished: str
    """When training ended, ISO 8601, UTC."""
    rows: int
    """Training rows, after sampling."""
    validation_rows: int = 0
    """Validation rows."""
    epochs: int
    """Epochs trained."""
    workers: int
    """The number of workers."""
    engine: str
    """The engine that averaged the workers' gradients."""
    attempts: int
    """The number of attempts."""
    metrics: dict[str, float | None]
    """The metrics of the last epoch, or of the best with `save: best`, over all workers' rows."""
    rows_per_second: float = 0.0
    """Training rows a second, over all workers and epochs."""
    seconds: dict[str, float] = {}
    """Seconds of each phase: slots, prepare, fill, start workers, train, save."""
    epoch_seconds: list[float] = []
    """Seconds of each epoch of the last attempt."""
    wall: float = 0.0
    """Seconds of the whole run."""
    checkpoints: dict[str, int | float] | None = None
    """`written`: how many checkpoints; `bytes`: the size of the last; `held`: seconds that training waited for all; null if none."""
    held_back_by: str = ""
    """A sentence that names the longest phase."""
    steps_per_epoch: int = 0
    """Steps an epoch, of the worker with the most."""
    batch: int = 0
    """Rows a step, of all workers together."""
    best_epoch: int | None = None
    """The epoch whose weights the model has, from 1; null: the last."""
    stopped_early: bool = False
    """Whether early stopping ended the training."""
    parameters: int = 0
    """The number of the model's parameters."""
    custom_objects: dict[str, str] = {}
    """The model's custom classes and functions: the name that Keras looks each up by, and its module."""
    modules: list[str] | None = None
    """The modules to import before the model is loaded; null if an earlier version of sparktrain trained it."""
    peak_memory: list[int] = []
    """The peak resident memory of each worker's training process, in bytes."""
    disk: list[int] = []
    """Bytes of each worker's segments."""
    notes: list[str] = []
    """Notes for readers of the metrics."""


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
    wall: float = 0.0
    """Seconds that the preparation took."""
    notes: list[str] = []
    """Notes for users of the rows."""


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


class SignatureColumn(_Schema):
    """How a column becomes an input, or a part of it."""

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


class SignatureInput(_Schema):
    """One of a model's inputs."""

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


class SignatureOutput(_Schema):
    """One of a model's outputs."""

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
    """The job without what may differ: workers, GPUs a worker, time limit, `max_failures`, cluster, output."""
    code: dict[str, str]
    """The SHA-256 of each of the user's files that were shipped."""
    input: list[dict[str, Any]]
    """The files that are read."""
    given: dict[str, str] = {}
    """Fingerprints of the objects that a program passes: functions, models, pipelines, a frame's plan."""


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
