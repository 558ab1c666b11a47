"""Rows prepared for a run, or once for many: what jobs/prepare.py does."""

from __future__ import annotations

import time
from functools import partial
from typing import Any, Mapping, Sequence

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession
from rich.table import Table
from rich.text import Text

from sparktrain.cluster.stage import StageFailed, spark_cause
from sparktrain.config import Job
from sparktrain.data import Prepared, explained, prepare, stored
from sparktrain.driver.functions import resolve, search_folders
from sparktrain.driver.given import Given
from sparktrain.driver.output import RunFolder, RunTaken, hadoop_settings, now, qualified, write_json
from sparktrain.driver.parent import Parent, find_parent, note_of_leak, refuse_other_pipeline
from sparktrain.driver.plan import refuse_unfit_types, refuse_unvalidated
from sparktrain.driver.progress import Watch
from sparktrain.driver.record import keep_fitted, lineage
from sparktrain.driver.rehearsal import add_classes
from sparktrain.driver.report import Report
from sparktrain.driver.result import Result
from sparktrain.driver.shipping import ship
from sparktrain.driver.takeover import take_over
from sparktrain.storage import SUMMARY, Folder, open_folder
from sparktrain.storage.urls import parse


def prepare_rows(
    spark: SparkSession,
    job: Job,
    given: Given,
    folders: Sequence[str],
    watch: Watch,
    *,
    parent: Parent | None,
    counted: bool,
    store_at: str | None,
    read_again: bool = False,
    trains: bool = True,
) -> Prepared:
    """The rows as the job says, ready to be trained on.

    Args:
        given: what a program hands over in place of the configuration's names.
        folders: where `module:function` is looked up.
        watch: told how it goes.
        parent: the run that is gone on from, with its pipeline and its classes.
        counted: whether the rows are to be counted, which is one more pass over them.
        store_at: the URL of a folder that they are written to, and read from; None where they are not.
        read_again: whether they may be read more than once.
        trains: whether it is this job that trains on them: of others each says for itself what its label's classes are.

    Raises:
        ConfigError, InputError: the rows can't be prepared like this, or not be trained on.
        StageFailed: Spark failed while it wrote them.
    """
    preprocess = given.preprocess
    if preprocess is None and job.data.preprocess is not None:
        preprocess = resolve(job.data.preprocess, folders)
    prepared = prepare(
        spark,
        job.data,
        seed=job.seed,
        frame=given.frame,
        preprocess=preprocess,
        pipeline=parent.pipeline if parent is not None else given.pipeline,
        classes=parent.classes if parent is not None else None,
        read_again=(counted or read_again) and store_at is None,
        accept=(lambda schema, classes: refuse_unfit_types(job.data, schema, classes)) if trains else lambda schema, classes: None,
        progress=watch.step,
    )
    try:
        if prepared.origin is not None:
            refuse_unvalidated(job.training, prepared)
            if parent is not None:
                refuse_other_pipeline(spark, parent.url, prepared.origin["url"])
        if parent is not None and (leak := note_of_leak(parent, job)) is not None:
            prepared.note(leak)
        if store_at is not None:
            watch.step("writing the prepared rows")
            try:
                prepared.store(store_at)
            except (PySparkException, Py4JError) as error:
                raise StageFailed(spark_cause(error)) from error
        if counted:
            watch.step("counting the rows")
            with explained():
                prepared.count(job.data.label_column, job.seed)
    except BaseException:
        prepared.release()
        raise
    for note in prepared.notes:
        watch.note(note)
    return prepared


def keep_rows(spark: SparkSession, job: Job, prepared: Prepared, at: Folder, origin: Mapping[str, Any], begun: float) -> None:
    """Write beside a run's stored rows what `kept_rows` needs to know them again."""
    write_json(at, SUMMARY, _write_beside(spark, job, prepared, at, origin, begun))


def kept_rows(spark: SparkSession, job: Job, at: Folder, parent: Parent | None) -> Prepared:
    """The rows that `keep_rows` has described."""
    data = job.data.model_copy(update={"prepared": at.url})
    prepared = stored.read(spark, data, job.data.columns, parent.classes if parent is not None else None)
    prepared.origin = None   # they are the run's own
    if parent is not None and (leak := note_of_leak(parent, job)) is not None:
        prepared.note(leak)
    return prepared


def _write_beside(spark: SparkSession, job: Job, prepared: Prepared, at: Folder, origin: Mapping[str, Any],
                  begun: float) -> dict[str, Any]:
    """Write what belongs to rows that are stored in a folder, but for its summary, which is returned."""
    keep_fitted(at, prepared)
    write_json(at, "lineage.json", origin)
    return {
        "prepared": now(),
        "name": job.name,
        **stored.contents(spark, prepared, job.data, at.url),
        "wall": round(time.monotonic() - begun, 3),
        "notes": prepared.notes,
    }


def write_prepared(
    spark: SparkSession, job: Job, to: str, *, given: Given = Given(), folders: Sequence[str] | None = None, watch: Watch | None = None
) -> Result:
    """Prepare a job's rows and write them, after sampling, with what belongs to them: what `data.prepared` reads.

    The folder has `rows/` (Parquet), `pipeline/` and `classes.json` if there are any, `lineage.json`, `job.yaml`,
    `logs/run.log` and `summary.json`. It is written apart, under `_runs` beside it, and renamed once: it is whole or not there.

    Args:
        spark: the application that prepares them. Its executors may come and go.
        job: whose data they are; of the rest only `seed` and `model.load` matter.
        to: the URL of the folder; nothing may be there.
        given: what a program hands over in place of the configuration's names: frame, preprocess and pipeline.
        folders: where `module:function` is looked up; the current folder and PYTHONPATH if left out.
        watch: tells how it goes; one on standard error if left out.

    Returns:
        The result, `status` finished, named by the folder.

    Raises:
        RunTaken: something is at `to`, or another preparation is at work on it.
        ConfigError, InputError: the rows can't be prepared like this.
        StageFailed: Spark failed while it wrote them.
    """
    with watch or Watch(spark.sparkContext) as shown:
        return _write(spark, job, qualified(spark, to), given, list(folders or search_folders()), shown)


def _write(spark: SparkSession, job: Job, to: str, given: Given, folders: Sequence[str], watch: Watch) -> Result:
    begun = time.monotonic()
    context, hadoop = spark.sparkContext, hadoop_settings(spark)
    place = parse(to)
    name = place.name
    folder = RunFolder(str(place.parent), name, hadoop, option="--to")
    if folder.final.exists():
        raise RunTaken(f"--to: something is at {folder.final.url} already. Choose another name, or remove it")
    folder.claim({"application": context.applicationId, "user": context.sparkUser()}, partial(take_over, note=watch.note))
    folder.clear()
    prepared = None

    def status() -> dict[str, Any]:
        so_far = Result(run=name, status="running", seconds=time.monotonic() - begun)
        return {**so_far.to_dict(), **watch.standing.content()}

    try:
        staged = folder.staged.url
        with Report(open_folder(staged, hadoop), status, watch.log, watch.note, folder.token):
            parent = find_parent(spark, job.model.load, hadoop) if job.model.load is not None else None
            modules = [job.data.preprocess.partition(":")[0]] if job.data.preprocess is not None else []
            code = ship(context, modules, folders).digests
            prepared = prepare_rows(
                spark, job, given, folders, watch, parent=parent, counted=False, store_at=f"{staged}/{stored.ROWS}", trains=False
            )
            watch.step("counting the rows")
            prepared.count(job.data.label_column, job.seed, again=True)   # of what was written
            if not prepared.rows:
                raise prepared.why_empty()
            classes = prepared.counts_after
            origin = lineage(name, job, prepared, classes, parent=parent, code=code, context=context)
            folder.staged.write_text("job.yaml", job.to_yaml())
            summary = _write_beside(spark, job, prepared, folder.staged, origin, begun)
        folder.complete(summary, watch.log.text())
        folder.publish()
    finally:
        if prepared is not None:
            watch.tidy(prepared.release, "the prepared rows are still kept")
        # Published, there is nothing left to discard
        watch.tidy(folder.discard, "what was written is still there")
    watch.console.print(_table(summary, classes, folder.final.url))
    return Result(
        run=name,
        status="finished",
        output=folder.final.url,
        rows=prepared.rows,
        attempts=1,
        seconds=time.monotonic() - begun,
        summary=summary,
        hadoop=hadoop,
    )


def _table(summary: dict[str, Any], classes: dict[Any, int] | None, url: str) -> Table:
    table = Table(show_header=False, title="prepared rows", title_justify="left")
    table.add_column()
    table.add_column(overflow="fold")   # a path is copied whole
    table.add_row("rows", f"{summary['rows']:,} training, {summary['validation_rows']:,} validation")
    add_classes(table, classes or {})
    table.add_row("files", f"{summary['files']:,}, {summary['bytes'] / 1e6:,.1f} MB")
    table.add_row("path", Text(url))
    return table
