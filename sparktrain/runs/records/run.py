"""The schemas of the records of a run: its progress, its end, its numbers, and what is asked of it."""

from __future__ import annotations

from typing import Literal

from sparktrain.runs.records.record import Record


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


class Stop(Record):
    """`stop.json`: a request to stop a running run, in `_runs/RUN` under output.path. The run's driver looks for it every few
    seconds, and removes it."""

    now: bool = False
    """Whether to end the run at once, without a model; else training ends after the current epoch, and the model is saved."""
    user: str
    """The user who asks."""
    host: str
    """The machine that was asked on."""
    asked: str
    """When it was asked, ISO 8601, UTC."""

    @property
    def command(self) -> str:
        """The command that asks for it."""
        return "sparktrain runs stop --now" if self.now else "sparktrain runs stop"

    @property
    def reason(self) -> str:
        """Who asks, and how: what a run's notes and its JSON line say."""
        return f"asked by {self.user} on {self.host} ({self.command})"


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
    """Whether training ended before its last epoch: by early stopping, by the time limit, or because someone asked for it."""
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
    folds: int | None = None
    """Of a cross-validation: the number of its models, whose runs `fold-0` and so on are in the folder; `metrics` are their means,
    and so are rows, times and rates. null for a run with a model."""
    deviations: dict[str, float | None] = {}
    """Of a cross-validation: the standard deviation of each metric over the models, with n - 1 in the denominator."""
