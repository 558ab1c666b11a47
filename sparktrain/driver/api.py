"""`sparktrain.train` and `sparktrain.run`: a job's keys as keyword arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal

from pyspark.ml import Estimator, Transformer
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from sparktrain.config import ConfigError, Problem
from sparktrain.config.keywords import job_of_words
from sparktrain.display.console import RunDisplay
from sparktrain.driver.function_run import call_in_workers
from sparktrain.driver.run_context import RunContext
from sparktrain.driver.stage_tasks import count_tasks
from sparktrain.driver.supplied_objects import SuppliedObjects
from sparktrain.driver.training_run import run_job
from sparktrain.runs.result import Result
from sparktrain.runs.run_id import new_run_id
from sparktrain.usercode.lookup import own_folders, search_folders


def train(
    frame: DataFrame,
    model: Callable[..., Any] | Any,
    *,
    features: Sequence[str] | Mapping[str, Any],
    label: str | Mapping[str, Any],
    weight: str | None = None,
    validation: Mapping[str, Any] | None = None,
    sample: Mapping[str, Any] | None = None,
    pipeline: str | Estimator | Transformer | None = None,
    keep: str | None = None,
    args: Mapping[str, Any] | None = None,
    files: Sequence[str] | None = None,
    engine: str | None = None,
    workers: int | Mapping[str, int] | None = None,
    batch_size: int | None = None,
    global_batch_size: int | None = None,
    epochs: int | None = None,
    split: str | None = None,
    average: str | int | None = None,
    scale_learning_rate: Mapping[str, float] | None = None,
    early_stopping: Mapping[str, Any] | None = None,
    save: str | None = None,
    class_weight: Mapping[Any, float] | None = None,
    callbacks: Callable[[], Sequence[Any]] | str | None = None,
    gpus_per_worker: int | str | None = None,
    checkpoint: Mapping[str, Any] | Literal[False] | None = None,
    max_failures: int | None = None,
    time_limit: float | Mapping[str, Any] | None = None,
    cluster: Mapping[str, Any] | None = None,
    output: str | None = None,
    name: str = "train",
    seed: int | None = None,
    run_id: str | None = None,
) -> Result:
    """Train a Keras model on a frame, with one worker an executor.

    Every argument has the meaning and the default of its key in a job's YAML (docs/configuration.md); one that is None
    or left out takes the default.

    Args:
        frame: the rows; every column is taken as it is.
        model: a function that returns a compiled Keras model, called as model(**args) in every worker, or a compiled
            model. A function from a script or a notebook is sent by value, one from a module by its name.
        features: columns in the order of the model's inputs, or columns by the inputs' names.
        label: a column, or {"column": ..., "classes": [...]}; for several outputs {"output": "column", ...} or a list.
        files: your files that the model's code reads; every worker finds them in its working folder and beside your modules.
        pipeline: a Spark ML Pipeline, which is fitted on the training rows, or a PipelineModel; or the URL of a saved one.
        callbacks: a function that returns Keras callbacks, called in every worker.
        checkpoint: {"every": "epoch" or a number of steps, "keep": how many}; False writes none.
        output: the folder that the run's own folder is made in; without it, the run is in a scratch folder of the default
            file system until `Result.save` copies it.

    Returns:
        The finished run, with `model`, `history`, `metrics`, `summary`, `save(url)`.

    Raises:
        ConfigError: arguments that can't work, all of them at once.
        InputError: the frame lacks columns or rows.
        NoSlots: the application lacks executors.
        EngineRefused, LaunchFailed: the engine can't start on the executors.
        AttemptFailed: a worker failed; the message is the worker's, with rank and host.

    Example:
        >>> result = sparktrain.train(frame, build_model, features=["history", "flight"], label="late",
        ...                           engine="horovod", workers=2, batch_size=64, epochs=5)   # doctest: +SKIP
    """
    sections: dict[str, dict[str, Any]] = {
        "data": dict(
            features=features,
            label=label,
            weight=weight,
            validation=validation,
            sample=sample,
            pipeline=None if isinstance(pipeline, (Estimator, Transformer)) else pipeline,
            keep=keep,
        ),
        "model": dict(args=dict(args) if args else None, files=files),
        "training": dict(
            engine=engine,
            workers=workers,
            batch_size=batch_size,
            global_batch_size=global_batch_size,
            epochs=epochs,
            split=split,
            average=average,
            scale_learning_rate=scale_learning_rate,
            early_stopping=early_stopping,
            save=save,
            class_weight=class_weight,
            callbacks=callbacks if isinstance(callbacks, str) else None,
            gpus_per_worker=gpus_per_worker,
            checkpoint=checkpoint,
            max_failures=max_failures,
            time_limit=time_limit,
        ),
        "output": dict(path=output),
        "cluster": dict(cluster or {}),
    }
    job = job_of_words(sections, name, seed)
    result = run_job(
        frame.sparkSession,
        job,
        run_id=run_id,
        supplied=SuppliedObjects(
            frame=frame,
            model=model,
            pipeline=pipeline if isinstance(pipeline, (Estimator, Transformer)) else None,
            callbacks=None if isinstance(callbacks, str) else callbacks,
        ),
    )
    if result.prepared is not None:
        result.prepared.release()  # a notebook may train many times in one application
    return result


_NO_LABEL = "sparktrain_no_label"  # a column of zeros that users never see


def run_function(
    function: Callable[..., Any],
    *,
    workers: int | None = None,
    engine: str | None = None,
    data: DataFrame | None = None,
    features: Sequence[str] | Mapping[str, Any] | None = None,
    label: str | Sequence[str] | Mapping[str, Any] | None = None,
    weight: str | None = None,
    validation: Mapping[str, Any] | None = None,
    sample: Mapping[str, Any] | None = None,
    args: Mapping[str, Any] | None = None,
    files: Sequence[str] | None = None,
    cluster: Mapping[str, Any] | None = None,
    name: str = "run",
    seed: int | None = None,
) -> list[Any]:
    """Call a training function of your own in every worker, with one worker an executor, all at the same time.

    The function is called as function(worker, **args) in a fresh process with the worker's GPUs. `worker` has `rank`,
    `size`, `dataset(batch_size)`, `validation(batch_size)`, `distribute(model)`, `adapt(layer, data)`,
    `average(values, rows)`, `broadcast(value)` and `gather(value)`; docs/own-loops.md describes each.

    Every argument has the meaning and the default of its key in a job's YAML (docs/configuration.md); one that is None
    or left out takes the default.

    Args:
        function: a function from a script or a notebook is sent by value, one from a module by its name.
        data: the rows for `worker.dataset`, distributed over the workers; without it, they have none.
        features: one column for each input; all columns but label and weight if left out.
        label: a column, or a list, whose columns `worker.dataset` yields as a tuple; without it, it yields inputs only.
        args: keyword arguments for the function, of values that JSON can hold.
        files: your files that the function reads; every worker finds them in its working folder and beside your modules.

    Returns:
        The function's return value in each worker, by rank. Values are pickled and written to the default file system, so
        they may be Keras models, too.

    Raises:
        ConfigError: arguments that can't work, all of them at once.
        InputError: the frame lacks columns or rows.
        NoSlots: the application lacks executors.
        AttemptFailed: the function failed in a worker; the message is the worker's, with rank and host.

    Example:
        >>> histories = sparktrain.run(fit_my_way, workers=2, data=frame, label="late")   # doctest: +SKIP
    """
    spark = data.sparkSession if data is not None else SparkSession.active()
    frame = data if data is not None else spark.range(1).withColumnRenamed("id", "nothing")
    if isinstance(label, Mapping) and "column" not in label:
        expected = "a column, a list of columns, or a column and its classes"
        hint = f"name {list(label.values())}: worker.dataset gives a tuple of them"
        raise ConfigError([Problem("data.label", f"{dict(label)!r} came", expected, hint)])
    labels = [label["column"]] if isinstance(label, Mapping) else [label] if label is None or isinstance(label, str) else [*label]
    if label is None:
        frame = frame.withColumn(_NO_LABEL, F.lit(0))
    if features is None:
        features = [column for column in frame.columns if column not in (*labels, weight, _NO_LABEL)]
        if not features:
            came = f"none of the columns {frame.columns} is left beside label and weight"
            raise ConfigError([Problem("data.features", came, "a column at least")])
    sections: dict[str, dict[str, Any]] = {
        "data": dict(
            features=features,
            label=label if label is not None else _NO_LABEL,
            weight=weight,
            validation=validation,
            sample=sample,
        ),
        "model": dict(files=files),
        "training": dict(engine=engine, workers=workers),
        "cluster": dict(cluster or {}),
    }
    job = job_of_words(sections, name, seed)
    folders = [*search_folders(), *own_folders([function])]
    with RunDisplay(partial(count_tasks, spark.sparkContext)) as display:
        run = RunContext.of_job(spark, job, new_run_id(), SuppliedObjects(frame=frame, model=function), folders, display)
        return call_in_workers(run, args or {}, has_rows=data is not None, labelled=label is not None)
