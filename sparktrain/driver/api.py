"""`sparktrain.train` and `sparktrain.run`: a job's keys as keyword arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Unpack

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from sparktrain.cluster.processes.warm_start import warm_by_default
from sparktrain.config import ConfigError, Problem
from sparktrain.config.keywords import in_signature, job_of_keywords
from sparktrain.display.console import RunDisplay
from sparktrain.driver.control.run_control import RunControl
from sparktrain.driver.function_run import call_in_workers
from sparktrain.driver.run_context import RunContext
from sparktrain.driver.stage_tasks import count_tasks
from sparktrain.driver.supplied_objects import SuppliedObjects
from sparktrain.driver.train_keywords import TrainKeywords
from sparktrain.driver.training_run import run_job
from sparktrain.runs.result import Result
from sparktrain.runs.run_id import new_run_id
from sparktrain.usercode.lookup import own_folders, search_folders


@in_signature
def train(
    frame: DataFrame,
    model: Callable[..., Any] | Any,
    *,
    name: str = "train",
    run_id: str | None = None,
    control: RunControl | None = None,
    **keywords: Unpack[TrainKeywords],
) -> Result:
    """Train a Keras model on a frame, with one worker an executor.

    A keyword argument has the meaning and the default of its key in a job's YAML (docs/configuration.md); one that is None
    or left out takes the default.

    Args:
        frame: the rows; every column is taken as it is.
        model: a function that returns a compiled Keras model, called as model(**args) in every worker, or a compiled
            model. A function from a script or a notebook is sent by value, one from a module by its name.
        name: the job's name, also used for Spark's application.
        run_id: the run's name; one that has failed or was stopped resumes under its own.
        control: stops the run from another thread, and tells of its epochs: a `sparktrain.RunControl`.
        **keywords: `features`, `label` and what else a job's keys say.

    Returns:
        The finished run, with `model`, `history`, `metrics`, `summary`, `save(url)`.

    Raises:
        ConfigError: arguments that can't work, all of them at once.
        InputError: the frame lacks columns or rows.
        NoSlots: the application lacks executors.
        EngineRefused, LaunchFailed: the engine can't start on the executors.
        AttemptFailed: a worker failed; the message is the worker's, with rank and host.
        RunStopped: the run was stopped at once from outside; with its run_id it resumes from its last checkpoint.

    Example:
        >>> result = sparktrain.train(frame, build_model, features=["history", "flight"], label="late",
        ...                           engine="horovod", workers=2, batch_size=64, epochs=5)   # doctest: +SKIP
    """
    given: dict[str, Any] = {**keywords, "cluster": _with_warm_start(frame.sparkSession, keywords.get("cluster"))}
    supplied = SuppliedObjects.from_keywords(frame, model, given)
    job = job_of_keywords(name, given)
    result = run_job(frame.sparkSession, job, run_id=run_id, supplied=supplied, control=control)
    if result.prepared is not None:
        result.prepared.release()  # a notebook may train many times in one application
    return result


def _with_warm_start(spark: SparkSession, cluster: Any) -> Any:
    """Return the settings of the section `cluster` for a program, which may train many times."""
    if not warm_by_default(spark.sparkContext) or not isinstance(cluster, Mapping | None):  # of another type: it is refused
        return cluster
    return {"warm": {}, **(cluster or {})}


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
    max_failures: int | None = None,
    cluster: Mapping[str, Any] | None = None,
    name: str = "run",
    seed: int | None = None,
    control: RunControl | None = None,
) -> list[Any]:
    """Call a training function of your own in every worker, with one worker an executor, all at the same time.

    The function is called as function(worker, **args) in a fresh process with the worker's GPUs. `worker` has `rank`,
    `size`, `dataset(batch_size)`, `validation(batch_size)`, `distribute(model)`, `adapt(layer, data)`,
    `average(values, rows)`, `broadcast(value)`, `gather(value)` and `stop_requested()`; docs/own-loops.md describes each.

    Every argument has the meaning and the default of its key in a job's YAML (docs/configuration.md); one that is None
    or left out takes the default.

    Args:
        function: a function from a script or a notebook is sent by value, one from a module by its name.
        data: the rows for `worker.dataset`, distributed over the workers; without it, they have none.
        features: one column for each input; all columns but label and weight if left out.
        label: a column, or a list, whose columns `worker.dataset` yields as a tuple; without it, it yields inputs only.
        args: keyword arguments for the function, of values that JSON can hold.
        files: your files that the function reads; every worker finds them in its working folder and beside your modules.
        control: stops the run from another thread, and tells of its epochs. A stop at the epoch's end ends a distributed
            model's fit; a loop of your own asks `worker.stop_requested()`.

    Returns:
        The function's return value in each worker, by rank. Values are pickled and written to the default file system, so
        they may be Keras models, too.

    Raises:
        ConfigError: arguments that can't work, all of them at once.
        InputError: the frame lacks columns or rows.
        NoSlots: the application lacks executors.
        AttemptFailed: the function failed in a worker; the message is the worker's, with rank and host.
        RunStopped: the run was stopped at once from outside.

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
    given = dict(
        features=features,
        label=label if label is not None else _NO_LABEL,
        weight=weight,
        validation=validation,
        sample=sample,
        files=files,
        engine=engine,
        workers=workers,
        max_failures=max_failures,
        cluster=_with_warm_start(spark, cluster),
        seed=seed,
    )
    job = job_of_keywords(name, given)
    folders = [*search_folders(), *own_folders([function])]
    with RunDisplay(partial(count_tasks, spark.sparkContext)) as display:
        supplied = SuppliedObjects(frame=frame, model=function)
        run = RunContext.of_job(spark, job, new_run_id(), supplied, folders, display, control=control)
        with run.control:
            return call_in_workers(run, args or {}, has_rows=data is not None, labelled=label is not None)
