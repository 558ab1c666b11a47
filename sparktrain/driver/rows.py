"""Provides a run's rows: prepares them, or reads those that an earlier driver of the run has stored."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from sparktrain.cluster.stage import StageFailed, spark_cause
from sparktrain.config import Job
from sparktrain.data import Prepared, explained, prepare, stored
from sparktrain.display.console import RunDisplay
from sparktrain.driver.artifacts.artifacts import keep_fitted
from sparktrain.driver.artifacts.lineage import lineage
from sparktrain.driver.attempts.worker_spec import refuse_unfit_types, refuse_unvalidated
from sparktrain.driver.model.parent_run import ParentRun, note_of_leak, refuse_other_pipeline
from sparktrain.driver.run_context import RunContext
from sparktrain.driver.supplied_objects import SuppliedObjects
from sparktrain.runs.identity import check_same
from sparktrain.runs.json_text import now
from sparktrain.runs.paths import KEPT, LINEAGE
from sparktrain.runs.records.origin import Lineage
from sparktrain.runs.records.prepared import PreparedSummary
from sparktrain.storage import SUMMARY, Folder
from sparktrain.usercode.lookup import resolve


def rows_of(run: RunContext, code: Mapping[str, str], parent: ParentRun | None) -> Prepared:
    """Return a run's rows: passed by a program, stored completely by an earlier driver of the run, or else prepared now.

    Args:
        code: the SHA-256 of each of the user's files that were shipped.
        parent: the run whose model this run starts from.

    Raises:
        NotTheSame: the stored rows are from a run that was started with a different job.
        ConfigError, InputError, StageFailed: see `prepare_rows`.
    """
    if run.supplied.prepared is not None:
        return run.supplied.prepared
    begun = time.monotonic()
    stores = run.job.data.keep == "storage" and run.job.data.prepared is None  # prepared rows are stored already
    at = run.folder.staged.join(KEPT)
    if stores and at.exists(SUMMARY):
        check_same(run.folder, run.identity(code, json.loads(at.read_text(LINEAGE))["inputs"]))
        run.display.note("reusing the rows that this run had prepared")
        return kept_rows(run.spark, run.job, at, parent)
    prepared = prepare_rows(
        run.spark,
        run.job,
        run.supplied,
        run.search,
        run.display,
        parent=parent,
        # Whether the workers' disks have room is checked before anything is written
        counted=run.rehearsal or run.all_rows_each,
        read_again=run.job.training.max_failures > 0,
        store_at=f"{at.url}/{stored.ROWS}" if stores else None,
    )
    if stores:
        classes, context = prepared.counts_after, run.spark.sparkContext
        origin = lineage(run.id, run.job, prepared, classes, parent=parent, code=code, context=context)
        keep_rows(run.spark, run.job, prepared, at, origin, begun)
    run.timeline.seconds["prepare"] = time.monotonic() - begun
    return prepared


@contextmanager
def releasing_on_error(display: RunDisplay) -> Iterator[list[Prepared]]:
    """Yield a list for prepared rows; if the block ends with an error, release them from the executors."""
    rows: list[Prepared] = []
    try:
        yield rows
    except BaseException:
        for prepared in rows:
            display.tidy(prepared.release, "the prepared rows are still kept")
        raise


def prepare_rows(
    spark: SparkSession,
    job: Job,
    supplied: SuppliedObjects,
    folders: Sequence[str],
    display: RunDisplay,
    *,
    parent: ParentRun | None,
    counted: bool,
    store_at: str | None,
    read_again: bool = False,
    trains: bool = True,
) -> Prepared:
    """Prepare the rows that the job describes, ready to be trained on.

    Args:
        supplied: objects that a program passes in place of names in the configuration.
        folders: where `module:function` is looked up.
        display: shows the progress.
        parent: the run whose model this run starts from, with its pipeline and its classes.
        counted: whether to count the rows, which takes one more pass over them.
        store_at: the URL of a folder to write the rows to and read them from; None to not store them.
        read_again: whether the rows may be read more than once.
        trains: whether this job trains on the rows; jobs that only read prepared rows name their label's classes themselves.

    Raises:
        ConfigError, InputError: the rows can't be prepared like this, or can't be trained on.
        StageFailed: Spark failed while it wrote the rows.
    """
    preprocess = supplied.preprocess
    if preprocess is None and job.data.preprocess is not None:
        preprocess = resolve(job.data.preprocess, folders)
    prepared = prepare(
        spark,
        job.data,
        seed=job.seed,
        frame=supplied.frame,
        preprocess=preprocess,
        pipeline=parent.pipeline if parent is not None else supplied.pipeline,
        classes=parent.classes if parent is not None else None,
        read_again=(counted or read_again) and store_at is None,
        accept=(lambda schema, classes: refuse_unfit_types(job.data, schema, classes))
        if trains
        else lambda schema, classes: None,
        progress=display.step,
    )
    try:
        if prepared.origin is not None:
            refuse_unvalidated(job.training, prepared)
            if parent is not None:
                refuse_other_pipeline(spark, parent.url, prepared.origin["url"])
        if parent is not None and (leak := note_of_leak(parent, job)) is not None:
            prepared.note(leak)
        if store_at is not None:
            display.step("writing the prepared rows")
            try:
                prepared.store(store_at, job.seed)
            except (PySparkException, Py4JError) as error:
                raise StageFailed(spark_cause(error)) from error
        if counted:
            display.step("counting the rows")
            with explained():
                prepared.count(job.data.label_column, job.seed)
    except BaseException:
        prepared.release()
        raise
    for note in prepared.notes:
        display.note(note)
    return prepared


def keep_rows(spark: SparkSession, job: Job, prepared: Prepared, at: Folder, origin: Lineage, begun: float) -> None:
    """Write beside a run's stored rows the files that `kept_rows` reads."""
    write_beside(spark, job, prepared, at, origin, begun).write(at, SUMMARY)


def kept_rows(spark: SparkSession, job: Job, at: Folder, parent: ParentRun | None) -> Prepared:
    """Return the stored rows of a run, as described by `keep_rows`."""
    data = job.data.model_copy(update={"prepared": at.url})
    prepared = stored.read(spark, data, job.data.columns, parent.classes if parent is not None else None)
    prepared.origin = None  # the run has prepared them itself
    if parent is not None and (leak := note_of_leak(parent, job)) is not None:
        prepared.note(leak)
    return prepared


def write_beside(spark: SparkSession, job: Job, prepared: Prepared, at: Folder, origin: Lineage, begun: float) -> PreparedSummary:
    """Write pipeline, classes and lineage beside rows stored in a folder, and return the summary, which isn't written."""
    keep_fitted(at, prepared)
    origin.write(at, LINEAGE)
    return PreparedSummary(
        prepared=now(),
        name=job.name,
        **stored.contents(spark, prepared, job.data, at.url),
        wall=round(time.monotonic() - begun, 3),
        notes=prepared.notes,
    )
