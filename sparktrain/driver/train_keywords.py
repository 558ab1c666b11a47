"""The types of the keyword arguments of `sparktrain.train`, for editors and type checkers.

Written by `python docs/train_keywords.py` from the schema; a test keeps it in step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Required, TypedDict

from pyspark.ml import Estimator, Transformer


class TrainKeywords(TypedDict, total=False):
    """The keyword arguments of `sparktrain.train`; None takes the default."""

    features: Required[Sequence[str | Mapping[str, Any]] | Mapping[str, str | Sequence[str] | Mapping[str, Any]]]
    """The columns of the model's inputs: in the inputs' order, or by the inputs' names."""
    label: Required[str | Sequence[str] | Mapping[str, Any] | Mapping[str, str]]
    """The column to predict, the column and its classes, or the columns for a model with several outputs: in the outputs'
    order, or by their names; classes are sampled by the first."""
    weight: str | None
    """A column with the rows' weights in the loss."""
    validation: Mapping[str, Any] | None
    """Rows to validate the model on, set aside before anything is fitted or sampled. Without it, there are none."""
    sample: Mapping[str, Any] | None
    """Which training rows to sample; validation rows are never sampled. Without it, all are used."""
    pipeline: str | Estimator | Transformer | None
    """A Spark ML Pipeline, which is fitted on the training rows, or a PipelineModel; or the URL of a saved one."""
    keep: Literal["disk", "storage", "none"] | None
    """Where the prepared frame is kept. disk: on the executors' disks, if it is read more than once (to fit a pipeline, to
    sample, to distribute rows to several workers) and reading its source again would take longer. storage: on the output's
    storage, as Parquet, until the run ends. none: nowhere. Default: "disk"."""
    args: Mapping[str, Any] | None
    """Keyword arguments of the model's function."""
    files: Sequence[str] | None
    """Your files and folders that the workers read, such as a vocabulary. Every worker finds each of them beside your modules
    and in its working folder, under the same name. Paths are relative to the YAML's folder, the current folder or those of
    PYTHONPATH."""
    engine: Literal["horovod", "tensorflowonspark", "mirrored", "single"] | None
    """The engine that connects the workers and averages their gradients. Default: "horovod"."""
    workers: int | Mapping[str, Any] | None
    """The number of training processes, each on its own executor; always 1, and optional, for single and mirrored. Default:
    2."""
    gpus_per_worker: Literal["auto"] | int | None
    """GPUs of each worker; auto: those that Spark assigns to its executor. Default: "auto"."""
    batch_size: int | None
    """Rows a step of each worker; 64 if neither this nor `global_batch_size` is set."""
    global_batch_size: int | None
    """Rows a step of all workers together, divided as evenly as possible; instead of `batch_size`."""
    epochs: int | None
    """How many times to train on all training rows. Default: 5."""
    split: Literal["rows", "epochs"] | None
    """rows: each of the N workers has 1/N of the rows, in all epochs. epochs: each has all rows, in its own order, for 1/N of
    the epochs, rounded up, which takes N times the disk. Default: "rows"."""
    average: Literal["step", "epoch"] | int | None
    """What the workers average, and when. step: gradients, at every step. epoch, or a number of steps: weights, in proportion
    to each worker's rows, after every epoch or every so many steps (and at an epoch's end). Default: "step"."""
    learning_rate: float | None
    """The learning rate of all optimizers of the model, in place of the one that it was built or saved with."""
    scale_learning_rate: Mapping[str, Any] | None
    """Multiply the learning rate by the number of workers. Without it, the model's own is used."""
    early_stopping: Mapping[str, Any] | None
    """Stop before the last epoch when a metric no longer improves. Without it, all epochs are trained."""
    save: Literal["last", "best"] | None
    """Which epoch's model is saved: the last, or the one with the best validation metric. Default: "last"."""
    class_weight: Mapping[Any, float] | None
    """The weight of each class in the loss, such as {0: 1, 1: 5}; classes that aren't named have weight 1."""
    callbacks: str | Callable[[], Sequence[Any]] | None
    """A function that returns a list of Keras callbacks, called in every worker."""
    checkpoint: Mapping[str, Any] | Literal[False] | None
    """When checkpoints are written, to resume from after a failure; False: never. Default: {"every": "epoch", "keep": 2}."""
    max_failures: int | None
    """How many times a run resumes after losing a worker. Default: 3."""
    time_limit: float | Mapping[str, Any] | None
    """Training time budget in minutes. Checked after each epoch: training stops, and the current model is saved, if another
    epoch of the same length would exceed it. Without it, there is no limit."""
    cluster: Mapping[str, Any] | None
    """What the workers need of the cluster: keys of a job's section `cluster`."""
    output: str | None
    """The URL of the folder that the run's own folder is made in. Without it, the run is in a scratch folder of the default
    file system until `Result.save` copies it."""
    seed: int | None
    """The seed of everything random: the same seed, rows and workers give the same weights. Default: 7."""
