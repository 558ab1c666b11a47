"""A function of the user's own, run by all workers together."""

from __future__ import annotations

import hashlib
import pickle
from typing import Any, Callable, Mapping, Sequence

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from sparktrain.cluster.slots import check_application
from sparktrain.config import ConfigError, Problem
from sparktrain.data import Prepared
from sparktrain.driver.attempts import train
from sparktrain.driver.functions import own_folders, search_folders, source
from sparktrain.driver.given import Given
from sparktrain.driver.plan import modules_of
from sparktrain.driver.progress import Watch
from sparktrain.driver.request import job_of_words, new_run_id
from sparktrain.driver.run import Run
from sparktrain.driver.shipping import ship
from sparktrain.interfaces.checkpoints import Checkpoint
from sparktrain.interfaces.messages import Fit, returned_name
from sparktrain.storage import Folder
from sparktrain.training.custom_objects import in_program

_NO_LABEL = "sparktrain_no_label"   # a column of zeros, which no user is shown


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
    """Call a training function of your own in every worker, one an executor, all at the same time.

    The function is called as function(worker, **args) in a fresh process with the worker's GPUs. `worker` has `rank`,
    `size`, `dataset(batch_size)`, `validation(batch_size)`, `distribute(model)`, `adapt(layer, data)`,
    `average(values, rows)`, `broadcast(value)` and `gather(value)`; docs/own-loops.md tells of each.

    The words mean what they mean in a job's YAML (docs/configuration.md); what is left out, or None, takes the same
    default.

    Args:
        function: a function of a script or a notebook goes by value, one of a module by its name.
        data: the rows that `worker.dataset` gives, dealt out to the workers; without it, they have none.
        features: the columns of an input each; all columns but label and weight if left out.
        label: a list gives all of its columns, as a tuple; without it, `worker.dataset` gives inputs only.
        args: what JSON can hold.
        files: of yours that the function reads: in every worker they lie in the working folder, and beside your modules.

    Returns:
        What the function returned in each worker, in the order of their ranks. It goes through the default file
        system by pickle, so it may be a Keras model, too.

    Raises:
        ConfigError: words that can't work, all of them at once.
        InputError: the frame hasn't the columns or the rows.
        NoSlots: the application hasn't the executors.
        AttemptFailed: the function failed in a worker; the message is its own, with rank and host.

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
        "data": dict(features=features, label=label if label is not None else _NO_LABEL, weight=weight,
                     validation=validation, sample=sample),
        "model": dict(files=files),
        "training": dict(engine=engine, workers=workers),
        "cluster": dict(cluster or {}),
    }
    job = job_of_words(sections, name, seed)
    folders = [*search_folders(), *own_folders([function])]
    with Watch(spark.sparkContext) as watch:
        own = _OwnLoop(spark, job, new_run_id(), False, Given(frame=frame, model=function), folders, watch)
        own.args, own.has_rows, own.labelled = dict(args or {}), data is not None, label is not None
        return own.call()


class _OwnLoop(Run):
    """A run whose workers call one function, and which leaves nothing but what that returns."""

    args: dict[str, Any]
    has_rows: bool
    labelled: bool

    def call(self) -> list[Any]:
        context = self.spark.sparkContext
        check_application(context)
        function = source(self.given.model, self.args)
        self.folder.claim(self.who)
        prepared = None
        try:
            slots = self.slots()
            self.shipped = ship(context, modules_of(self.job, self.given), self.folders, self.job.model.files)
            prepared = self._prepare(self.shipped.digests)
            finished = train(self, prepared, function, slots)
            digests = {self.course.joined[part].rank: each.returned_sha256 for part, each in enumerate(finished)}
            return [unpickled(self.folder.staged, rank, digests[rank]) for rank in range(len(finished))]
        finally:
            if prepared is not None:
                self.watch.tidy(prepared.release, "the prepared rows are still kept")
            self.watch.tidy(self.folder.discard, "what the workers returned is still there")
            self.watch.tidy(self._give_back, "what the run had asked of the cluster is not given back")

    def fit(self, sizes: tuple[int, ...], prepared: Prepared, resume: Checkpoint | None) -> Fit:
        return Fit(epochs=1, batch_sizes=sizes, own_loop=True, has_rows=self.has_rows, labelled=self.labelled)


def unpickled(folder: Folder, rank: int, sha256: str) -> Any:
    """Read what a worker's function returned.

    Args:
        folder: the run's, to which others than this run's workers may have access, too.
        rank: the worker's.
        sha256: of its file, as the worker has told it through the authenticated channel.

    Raises:
        NotReturned: the file is another; nothing of it is unpickled.
    """
    data = folder.read_bytes(returned_name(rank))
    if hashlib.sha256(data).hexdigest() != sha256:
        raise NotReturned(
            f"{folder.url}/{returned_name(rank)} is not what rank {rank} has written there: something else has changed it since, and a "
            "pickle may run any code. See who else may write to that folder, and run again"
        )
    return in_program(lambda: pickle.loads(data))


class NotReturned(RuntimeError):
    """What lies where a worker's return value should is not from that worker."""
