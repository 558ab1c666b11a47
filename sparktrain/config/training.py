"""What a job says of its model and of how it is trained."""

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
    """The URL of a run to go on from (…/latest for the newest): its model, its pipeline, its classes."""
    args: Args = {}
    """Keyword arguments of `build`."""
    files: list[Text] = []
    """Files of yours that the workers read, such as a vocabulary; and folders. Each lies there beside your modules and in the working
    folder, under the name that it has here. Paths are relative to the YAML's folder, the current folder or those of PYTHONPATH."""
    modules: list[Module] = []
    """Modules that every worker imports before the model is built or loaded: those of layers, losses and metrics of your own that
    `load` needs, where the run that it names doesn't say so itself."""


class WorkerRange(Section):
    """Any number of workers between two bounds, as many as there are slots."""

    min: Count
    """The fewest workers to start with."""
    max: Count
    """The most workers to take."""


class ScaleLearningRate(Section):
    """The learning rate is multiplied by the number of workers (Goyal et al. 2017)."""

    warmup_epochs: NotNegative = 1.0
    """Epochs over which the scaled learning rate is reached, linearly."""


class EarlyStopping(Section):
    """When to stop before the last epoch; the words and defaults of keras.callbacks.EarlyStopping."""

    monitor: Text = "val_loss"
    """The metric that is watched; those that begin with val_ need `data.validation`."""
    patience: Annotated[Whole, Field(ge=0)] = 0
    """Epochs without improvement after which training stops."""
    min_delta: NotNegative = 0.0
    """The least change that counts as an improvement, in the metric's own unit."""
    mode: Literal["auto", "min", "max"] = "auto"
    """Whether the metric is to fall or to rise; auto: by its name."""
    restore_best_weights: Flag = False
    """Whether the model ends with the weights of its best epoch."""


class Checkpoint(Section):
    """When the state of training is written, to go on from after a failure."""

    every: Annotated[
        Annotated[Literal["epoch"], as_text] | Annotated[Count, as_number],
        by_form,
    ] = "epoch"
    """After every epoch; or after a number of steps within it, too."""
    keep: Count = 2
    """How many checkpoints are kept, the newest; and the last that was written after an epoch."""

    @property
    def steps(self) -> int | None:
        """Steps of an epoch between two; None: only after each epoch."""
        return None if self.every == "epoch" else self.every


class TimeLimit(Section):
    """When training has to be over, and what becomes of it then."""

    minutes: Positive
    """Minutes from the first attempt's beginning."""
    then: Literal["save", "fail"] = "save"
    """save: the model as it is, as if this had been the last epoch. fail: the run, and nothing is saved."""


class Training(Section):
    """How the model is trained."""

    engine: Literal[tuple(ENGINES)] = "horovod"  # type: ignore[valid-type]   # said once, in interfaces
    """What brings the workers together and averages their gradients."""
    workers: Annotated[
        Annotated[Count, as_number] | Annotated[WorkerRange, as_mapping],
        by_form,
    ] = 2
    """How many processes train, each on an executor of its own; single and mirrored have one, and need not say so."""
    gpus_per_worker: Annotated[
        Annotated[Literal["auto"], as_text] | Annotated[Whole, Field(ge=0), as_number],
        by_form,
    ] = "auto"
    """GPUs of each worker; auto: those that Spark gives its executor."""
    batch_size: Count | None = None
    """Rows a step of each worker; 64 where neither this nor `global_batch_size` is given."""
    global_batch_size: Count | None = None
    """Rows a step of all workers together, dealt out as evenly as it goes; instead of `batch_size`."""
    epochs: Count = 5
    """How many times the training rows are gone through."""
    split: Literal["rows", "epochs"] = "rows"
    """rows: each worker has 1/N of the rows, in all epochs. epochs: each has all rows, in an order of its own, for
    1/N of the epochs, rounded up; that takes N times the disk."""
    average: Annotated[
        Annotated[Literal["step", "epoch"], as_text] | Annotated[Count, as_number],
        by_form,
    ] = "step"
    """When workers average: gradients at every step, or weights, by the rows that each has seen, after every epoch or
    number of steps (and at an epoch's end)."""
    scale_learning_rate: ScaleLearningRate | None = None
    """Multiply the learning rate by the number of workers. Without it, it stays as the model has it."""
    early_stopping: EarlyStopping | None = None
    """Stop before the last epoch when a metric no longer improves. Without it, all epochs are trained."""
    save: Literal["last", "best"] = "last"
    """Which epoch's model is saved: the last, or the one with the best validation."""
    class_weight: Annotated[dict[Class, NotNegative], Field(min_length=1)] | None = None
    """Weights in the loss by class, such as {0: 1, 1: 5}; classes not named weigh 1."""
    callbacks: Function | None = None
    """A function that returns a list of Keras callbacks."""
    checkpoint: Checkpoint | None = Checkpoint()
    """When the state of training is written, to go on from after a failure; null: never."""
    max_failures: Annotated[Whole, Field(ge=0)] = 3
    """How many times a run goes on after losing a worker."""
    time_limit: (
        Annotated[
            Annotated[Positive, as_number] | Annotated[TimeLimit, as_mapping],
            by_form,
        ]
        | None
    ) = None
    """Minutes that training may take, after which what there is is saved. It is looked at after each epoch: training ends
    where another one, as long as the last, would be over it. Without it, there is no limit."""

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
        """The time limit, written out."""
        return TimeLimit(minutes=self.time_limit) if isinstance(self.time_limit, float) else self.time_limit

    def epochs_of_each(self, workers: int) -> int:
        """How many epochs each worker makes."""
        return -(-self.epochs // workers) if self.split == "epochs" else self.epochs

    def batch_sizes(self, workers: int) -> tuple[int, ...]:
        """Rows a step of each worker, the first ones having one more where it doesn't divide evenly."""
        if self.batch_size is not None:
            return (self.batch_size,) * workers
        assert self.global_batch_size is not None  # one of both always has a value: see `_fill_in`
        size, more = divmod(self.global_batch_size, workers)
        return tuple(size + (worker < more) for worker in range(workers))


class Cluster(Section):
    """What the workers need of the cluster."""

    worker_memory: Annotated[str, Field(pattern=SIZE)] | None = None
    """Memory of one worker's training process, such as 800m, 8g or 1t. Without it, on YARN and Kubernetes, what the last
    run under `output.path` took and a quarter more, at least 2g; elsewhere nobody counts it."""
    spare_disk: Annotated[str, Field(pattern=SIZE)] | None = None
    """How much of each local disk segments leave free, such as 20g. Without it 256m, and on YARN and Kubernetes, which give up
    a disk that is nearly full, a fifth more than their own check asks for: 12 % of the disk where that is the usual 10 %."""
    slots_timeout: Positive = 600.0
    """Seconds to wait for as many slots as there are workers."""
    stall_timeout: Positive = 300.0
    """Seconds without a sign that it goes on after which the attempt is ended: a training step of any worker, a sign of life of
    each, rows while they are filled in, a task while Spark prepares them. In a loop of your own, also the longest wait in
    a collective call, outside of a tf.function, that another worker does not make."""
    driver_port: Annotated[Whole, Field(ge=0, le=65535)] = 0
    """The driver's port that workers report to; 0: any free one."""


class Output(Section):
    """Where the run's folder goes."""

    path: Text | None = None
    """The URL of the folder that runs are written under, each in a folder named by its run id."""
