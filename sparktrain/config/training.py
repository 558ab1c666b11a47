"""The sections `model`, `training`, `cluster` and `output` of a job."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from sparktrain.config.kinds import (
    SIZE,
    Args,
    Class,
    Count,
    Flag,
    Function,
    Module,
    NotNegative,
    Positive,
    Section,
    Text,
    Whole,
    as_mapping,
    as_number,
    as_text,
    by_form,
)
from sparktrain.interfaces.engines import ENGINES


class Model(Section):
    """The model: exactly one of `build` and `load`."""

    build: Function | None = None
    """A function that returns a compiled Keras model."""
    load: Text | None = None
    """The URL of a finished run (…/latest for the newest) whose model to train further, with its pipeline and its classes."""
    args: Args = {}
    """Keyword arguments of `build`."""
    files: list[Text] = []
    """Your files and folders that the workers read, such as a vocabulary. Every worker finds each of them beside your modules and
    in its working folder, under the same name. Paths are relative to the YAML's folder, the current folder or those of PYTHONPATH."""
    modules: list[Module] = []
    """Modules that every worker imports before the model is built or loaded: those of your own layers, losses and metrics that
    `load` needs, if the run that it names doesn't record them."""


class WorkerRange(Section):
    """Any number of workers between two bounds, as many as there are slots."""

    min: Count
    """The fewest workers to start with."""
    max: Count
    """The most workers to use."""


class ScaleLearningRate(Section):
    """The learning rate is multiplied by the number of workers (Goyal et al. 2017)."""

    warmup_epochs: NotNegative = 1.0
    """The number of epochs in which the learning rate rises linearly to its scaled value."""


class EarlyStopping(Section):
    """When to stop before the last epoch; keys and defaults as in keras.callbacks.EarlyStopping."""

    monitor: Text = "val_loss"
    """The metric to monitor; one that begins with val_ needs `data.validation`."""
    patience: Annotated[Whole, Field(ge=0)] = 0
    """Epochs without improvement after which training stops."""
    min_delta: NotNegative = 0.0
    """The smallest change that counts as an improvement, in the metric's unit."""
    mode: Literal["auto", "min", "max"] = "auto"
    """Whether a lower (min) or a higher (max) metric is better; auto: by the metric's name."""
    restore_best_weights: Flag = False
    """Whether the model ends with the weights of its best epoch."""


class Checkpoint(Section):
    """When checkpoints are written, to resume from after a failure."""

    every: Annotated[
        Annotated[Literal["epoch"], as_text] | Annotated[Count, as_number],
        by_form,
    ] = "epoch"
    """epoch: after every epoch; a number: also after every so many steps of an epoch."""
    keep: Count = 2
    """How many of the newest checkpoints are kept; the last one written after an epoch is always kept."""

    @property
    def steps(self) -> int | None:
        """Steps of an epoch between two checkpoints; None if they are written only after each epoch."""
        return None if self.every == "epoch" else self.every


class TimeLimit(Section):
    """The time that training may take, and what happens at the limit."""

    minutes: Positive
    """Minutes from the start of the first attempt."""
    then: Literal["save", "fail"] = "save"
    """save: the current model is saved, as if this had been the last epoch. fail: the run fails, and nothing is saved."""


class Training(Section):
    """How the model is trained."""

    engine: Literal[tuple(ENGINES)] = "horovod"  # type: ignore[valid-type]   # defined in interfaces
    """The engine that connects the workers and averages their gradients."""
    workers: Annotated[
        Annotated[Count, as_number] | Annotated[WorkerRange, as_mapping],
        by_form,
    ] = 2
    """The number of training processes, each on its own executor; always 1, and optional, for single and mirrored."""
    gpus_per_worker: Annotated[
        Annotated[Literal["auto"], as_text] | Annotated[Whole, Field(ge=0), as_number],
        by_form,
    ] = "auto"
    """GPUs of each worker; auto: those that Spark assigns to its executor."""
    batch_size: Count | None = None
    """Rows a step of each worker; 64 if neither this nor `global_batch_size` is set."""
    global_batch_size: Count | None = None
    """Rows a step of all workers together, divided as evenly as possible; instead of `batch_size`."""
    epochs: Count = 5
    """How many times to train on all training rows."""
    split: Literal["rows", "epochs"] = "rows"
    """rows: each of the N workers has 1/N of the rows, in all epochs. epochs: each has all rows, in its own order, for 1/N of
    the epochs, rounded up, which takes N times the disk."""
    average: Annotated[
        Annotated[Literal["step", "epoch"], as_text] | Annotated[Count, as_number],
        by_form,
    ] = "step"
    """What the workers average, and when. step: gradients, at every step. epoch, or a number of steps: weights, in proportion
    to each worker's rows, after every epoch or every so many steps (and at an epoch's end)."""
    learning_rate: Positive | None = None
    """The learning rate of all optimizers of the model, in place of the one that it was built or saved with."""
    scale_learning_rate: ScaleLearningRate | None = None
    """Multiply the learning rate by the number of workers. Without it, the model's own is used."""
    early_stopping: EarlyStopping | None = None
    """Stop before the last epoch when a metric no longer improves. Without it, all epochs are trained."""
    save: Literal["last", "best"] = "last"
    """Which epoch's model is saved: the last, or the one with the best validation metric."""
    class_weight: Annotated[dict[Class, NotNegative], Field(min_length=1)] | None = None
    """The weight of each class in the loss, such as {0: 1, 1: 5}; classes that aren't named have weight 1."""
    callbacks: Function | None = None
    """A function that returns a list of Keras callbacks."""
    checkpoint: Checkpoint | None = Checkpoint()
    """When checkpoints are written, to resume from after a failure; null: never."""
    max_failures: Annotated[Whole, Field(ge=0)] = 3
    """How many times a run resumes after losing a worker."""
    time_limit: (
        Annotated[
            Annotated[Positive, as_number] | Annotated[TimeLimit, as_mapping],
            by_form,
        ]
        | None
    ) = None
    """Training time budget in minutes. Checked after each epoch: training stops, and the current model is saved, if another
    epoch of the same length would exceed it. Without it, there is no limit."""

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        values = dict(values)
        if values.get("batch_size") is None and values.get("global_batch_size") is None:
            values["batch_size"] = 64
        if values.get("engine") in ENGINES and ENGINES[values["engine"]].one_worker:
            values.setdefault("workers", 1)
        return values

    @property
    def limit(self) -> TimeLimit | None:
        """The time limit in its long form; None if there is none."""
        return TimeLimit(minutes=self.time_limit) if isinstance(self.time_limit, float) else self.time_limit

    def epochs_of_each(self, workers: int) -> int:
        """Return the number of epochs that each worker trains."""
        return -(-self.epochs // workers) if self.split == "epochs" else self.epochs

    def batch_sizes(self, workers: int) -> tuple[int, ...]:
        """Return the rows a step of each worker; if they don't divide evenly, the first workers have one more."""
        if self.batch_size is not None:
            return (self.batch_size,) * workers
        assert self.global_batch_size is not None  # one of both always has a value: see `_fill_in`
        size, more = divmod(self.global_batch_size, workers)
        return tuple(size + (worker < more) for worker in range(workers))


class Warm(Section):
    """What stays on the executors between the runs of an application: a process that has imported Keras already, and rows."""

    minutes: Positive = 10.0
    """Idle minutes after which the process that they start from ends. It ends with the executor, too."""


class Cluster(Section):
    """What the workers need of the cluster."""

    worker_memory: Annotated[str, Field(pattern=SIZE)] | None = None
    """Memory of one worker's training process, such as 800m, 8g or 1t. Without it, on YARN and Kubernetes, the peak of the last
    run under `output.path` and a quarter more, at least 2g; other cluster managers don't limit it."""
    spare_disk: Annotated[str, Field(pattern=SIZE)] | None = None
    """How much of each local disk the segments leave free, such as 20g. Without it 256m; on YARN and Kubernetes, which take a
    nearly full disk out of use, a fifth more than their own limit: 12 % of the disk with the usual limit of 10 %."""
    slots_timeout: Positive = 600.0
    """Seconds to wait for as many slots as there are workers. Other runs of the same application are waited for as long as they
    train."""
    priority: Whole = 0
    """Of the runs of one application that wait for executors, the one with the highest number is served first; of several, the
    one that came first."""
    stall_timeout: Positive = 300.0
    """Seconds without progress after which the attempt is ended. Progress is a training step of any worker, a sign of life of
    each worker, new rows during filling, a finished task during Spark's preparation. In your own training loop, also the longest
    wait in a collective call, outside of a tf.function, that another worker doesn't make."""
    warm: Annotated[Warm, as_mapping] | None = None
    """Keeps on each executor, for the next run of the application, a process from which its training process is forked in 0.1 s,
    without the seconds that importing TensorFlow takes, and the rows in segments, which a run over the same rows takes as they
    are. The process occupies 0.3 GB of memory; rows go when the disk is needed. Programs that call `sparktrain.train` or
    `sparktrain.run` have it with 10 minutes unless they set it to None, but not on YARN, which counts the memory that processes
    share for each of them: there, ask for it with 1g more of `worker_memory`. A job, whose application trains once, doesn't have
    it."""
    driver_port: Annotated[Whole, Field(ge=0, le=65535)] = 0
    """The driver's port that workers report to; 0: any free port."""


class Output(Section):
    """Where the run's folder is written."""

    path: Text | None = None
    """The URL of the folder that runs are written to, each in a folder named by its run id."""
