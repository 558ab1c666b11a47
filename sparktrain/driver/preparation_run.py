"""Prepares a job's rows once and publishes them, for `data.prepared` of many jobs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from typing import Any

from pyspark.sql import SparkSession

from sparktrain.config import Job
from sparktrain.config.rules.data import refuse_cross_validation
from sparktrain.data import stored
from sparktrain.display.console import RunDisplay
from sparktrain.display.tables import prepared_table
from sparktrain.driver.artifacts.lineage import lineage
from sparktrain.driver.control.controlled_run import ControlledRun
from sparktrain.driver.failure_report import failed
from sparktrain.driver.hadoop import hadoop_settings, qualified
from sparktrain.driver.model.parent_run import find_parent_run
from sparktrain.driver.rows import prepare_rows, write_beside
from sparktrain.driver.run_lifecycle import RunLifecycle
from sparktrain.driver.shipping import ship
from sparktrain.driver.stage_tasks import count_tasks
from sparktrain.driver.supplied_objects import SuppliedObjects
from sparktrain.runs.folder import RunFolder, RunTaken
from sparktrain.runs.result import Result
from sparktrain.storage.urls import parse
from sparktrain.usercode.lookup import search_folders


def write_prepared(
    spark: SparkSession,
    job: Job,
    to: str,
    *,
    supplied: SuppliedObjects = SuppliedObjects(),
    folders: Sequence[str] | None = None,
    display: RunDisplay | None = None,
) -> Result:
    """Prepare a job's rows and write them, after sampling, to a folder for `data.prepared`.

    The folder has `rows/` (Parquet), `pipeline/` and `classes.json` if there are any, `lineage.json`, `job.yaml`,
    `logs/run.log` and `summary.json`. It is written under `_runs` beside it and renamed when complete.

    Args:
        spark: the application that prepares the rows. Its executors may come and go.
        job: the job whose section `data` describes the rows; of the rest only `seed` and `model.load` matter.
        to: the URL of the folder, which must not exist.
        supplied: objects that a program passes in place of names in the configuration: frame, preprocess and pipeline.
        folders: where `module:function` is looked up; the current folder and PYTHONPATH if left out.
        display: shows the progress; on standard error if left out.

    Returns:
        The result, with `status` finished and the folder's name as `run`.

    Raises:
        RunTaken: something is at `to`, or another preparation is writing to it.
        ConfigError, InputError: the rows can't be prepared like this.
        StageFailed: Spark failed while it wrote the rows.
    """
    refuse_cross_validation(job.data, "prepare rows once")
    with display or RunDisplay(partial(count_tasks, spark.sparkContext)) as shown:
        return _write(spark, job, qualified(spark, to), supplied, list(folders or search_folders()), shown)


def _write(
    spark: SparkSession, job: Job, to: str, supplied: SuppliedObjects, folders: Sequence[str], display: RunDisplay
) -> Result:
    begun = time.monotonic()
    context, hadoop = spark.sparkContext, hadoop_settings(spark)
    place = parse(to)
    name = place.name
    folder = RunFolder(str(place.parent), name, hadoop, option="--to")
    if folder.final.exists():
        raise RunTaken(f"--to: {folder.final.url} exists already. Choose another name, or remove it")

    def status() -> dict[str, Any]:
        so_far = Result(run=name, status="running", seconds=time.monotonic() - begun)
        return {**so_far.to_dict(), **display.progress.content()}

    def ending(error: BaseException | None) -> tuple[str, str | None]:
        if error is None:
            return "finished", None
        result, _ = failed(error, name, None, 0)
        return result.status, result.reason

    who = {"application": context.applicationId, "user": context.sparkUser()}
    control = ControlledRun(None, name, context, display, ending, has_epochs=False)
    with control, RunLifecycle(folder, who, display, pause=control.pause) as life, control.converted():
        folder.clear()
        staged = folder.staged.url
        with life.reported(hadoop, status, control.request):
            parent = find_parent_run(spark, job.model.load, hadoop) if job.model.load is not None else None
            modules = [job.data.preprocess.partition(":")[0]] if job.data.preprocess is not None else []
            code = ship(context, modules, folders).digests
            prepared = prepare_rows(
                spark,
                job,
                supplied,
                folders,
                display,
                parent=parent,
                counted=False,
                store_at=f"{staged}/{stored.ROWS}",
                trains=False,
            )
            life.finally_do(prepared.release, "the prepared rows are still kept")
            display.step("counting the rows")
            prepared.count(job.data.label_column, job.seed, again=True)  # of what was written
            if not prepared.rows:
                raise prepared.why_empty()
            classes = prepared.counts_after
            origin = lineage(name, job, prepared, classes, parent=parent, code=code, context=context)
            folder.staged.write_text("job.yaml", job.to_yaml())
            summary = write_beside(spark, job, prepared, folder.staged, origin, begun)
        control.check()
        life.publish(summary)
    display.console.print(prepared_table(summary.content(), classes, folder.final.url))
    return Result(
        run=name,
        status="finished",
        output=folder.final.url,
        rows=prepared.rows,
        attempts=1,
        seconds=time.monotonic() - begun,
        summary=summary.content(),
        hadoop=hadoop,
    )
