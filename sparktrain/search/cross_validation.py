"""Cross-validation: a model for each fold of the rows, trained on all other folds; their metrics' mean and deviation."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from pyspark.sql import SparkSession

from sparktrain.cluster.executors.slots import check_application
from sparktrain.cluster.processes.warm_start import warm_by_default
from sparktrain.config import Job
from sparktrain.config.data import Validation
from sparktrain.config.names import check_run_id
from sparktrain.display.figures import counted
from sparktrain.display.search_progress import SearchDisplay
from sparktrain.display.tables import show_end
from sparktrain.driver.artifacts.fingerprint import of_supplied
from sparktrain.driver.control.run_control import RunControl
from sparktrain.driver.failure_report import failed
from sparktrain.driver.hadoop import hadoop_settings, qualified
from sparktrain.driver.run_lifecycle import RunLifecycle
from sparktrain.driver.scratch import scratch_folder
from sparktrain.driver.shipping import ship
from sparktrain.driver.stage_tasks import count_tasks
from sparktrain.driver.supplied_objects import SuppliedObjects
from sparktrain.driver.training_run import run_job
from sparktrain.runs.identity import check_same, identity
from sparktrain.runs.records.run import Stop
from sparktrain.runs.result import Result
from sparktrain.runs.run_id import new_run_id
from sparktrain.search.fold_metrics import fold_line, folds_csv, folds_markdown, summary_of_folds
from sparktrain.search.fold_threads import FoldThreads
from sparktrain.search.folds_folder import FoldsFolder, fold_of
from sparktrain.search.trial_run import arranged
from sparktrain.usercode.lookup import own_folders, search_folders
from sparktrain.usercode.modules import modules_of


def run_cross_validation(
    spark: SparkSession,
    job: Job,
    *,
    run_id: str | None = None,
    check: bool = False,
    supplied: SuppliedObjects = SuppliedObjects(),
    folders: Sequence[str] | None = None,
    display: SearchDisplay | None = None,
    ended: Callable[[Result, str], object] = lambda result, details: None,
) -> Result:
    """Train a model for each fold of a job's rows, and measure each on its fold.

    Args:
        spark: the application whose executors the folds' runs share.
        job: the job, with `data.validation.folds`.
        run_id: the cross-validation's id; a new one if left out. One that was killed, stopped or has failed resumes under its id:
            folds that have finished aren't trained again. For a finished one, its result is returned.
        check: whether to rehearse the first fold's run, with nothing kept.
        supplied: objects that a program passes in place of names in the configuration.
        folders: where `module:function` is looked up; the current folder and PYTHONPATH if left out.
        display: shows the progress; on standard error if left out.
        ended: called with the result and details to show if a cross-validation that began ends unfinished.

    Returns:
        The result: `metrics` are the means over the folds, `deviations` their standard deviations, `folds` each fold's run.

    Raises:
        ConfigError: the job can't work.
        RunTaken: another process, or another run, has the id.
        RunStopped: it was stopped from outside.
        Exception: a fold's run has failed, which ends the others, too.
    """
    check_run_id(run_id)
    where = [*(folders or search_folders()), *own_folders(supplied.functions)]
    if check:
        return run_job(spark, fold_job(job, 0), run_id=run_id, check=True, supplied=supplied, folders=where, display=display)
    shown = display or SearchDisplay(partial(count_tasks, spark.sparkContext))
    with shown:
        return _CrossValidation(spark, job, run_id or new_run_id(), supplied, where, shown, ended).execute()


def fold_job(job: Job, number: int) -> Job:
    """Return the job of a fold's run."""
    validation = job.data.validation
    assert isinstance(validation, Validation) and validation.crosses  # as the caller has found
    fold = validation.model_copy(update={"fold": number, "parallel": None})
    return job.model_copy(update={"data": job.data.model_copy(update={"validation": fold})})


class _CrossValidation:
    """One cross-validation."""

    def __init__(
        self,
        spark: SparkSession,
        job: Job,
        run_id: str,
        supplied: SuppliedObjects,
        folders: Sequence[str],
        display: SearchDisplay,
        ended: Callable[[Result, str], object],
    ) -> None:
        self._spark, self._job, self._id, self._supplied = spark, job, run_id, supplied
        self._folders, self._display, self._ended = folders, display, ended
        validation = job.data.validation
        assert validation is not None and validation.folds is not None  # as the caller has found
        self._hadoop = hadoop_settings(spark)
        output = qualified(spark, job.output.path) if job.output.path else scratch_folder(spark, job.name)
        self._folder = FoldsFolder(output, run_id, self._hadoop)
        self._threads = FoldThreads(validation.folds, validation.parallel or 1, self._train)
        self._warm = warm_by_default(spark.sparkContext)
        self._begun = time.monotonic()
        display.run = run_id

    def execute(self) -> Result:
        """Train what folds are left, and publish; return the result."""
        folder, context = self._folder, self._spark.sparkContext
        summary = folder.finished_folds()
        if summary is not None:
            self._display.note(f"cross-validation {self._id} is finished already: {folder.final.url}")
            return self._finished(summary)
        check_application(context, self._job.cluster.worker_memory)
        who = {"application": context.applicationId, "user": context.sparkUser()}
        with RunLifecycle(folder, who, self._display, self._end) as life:
            if life.earlier is not None:
                self._display.note(f"resuming cross-validation {self._id}: {life.earlier}")
            shipped = ship(context, modules_of(self._job, self._supplied.functions), self._folders, self._job.model.files)
            given = of_supplied(self._supplied, rows_kept=False)
            check_same(folder, identity(self._job.model_dump(mode="json"), shipped.digests, [], given))
            self._display.tidy(folder.forget_old, "the files of old runs that failed were not removed")
            with life.reported(self._hadoop, self._status, self._stop):
                self._display.line_of(self._id, None)
                results = self._threads.run(life.check)
                self._publish(results)
            self._display.tidy(folder.discard, "the status of the cross-validation was not removed")
            self._display.tidy(lambda: folder.place.remove(recursive=True), "its folder under _searches was not removed")
            summary = folder.finished_summary()
            assert summary is not None  # it was published just now
            show = partial(show_end, self._display.console, summary, folder.final.url)
            self._display.tidy(show, "the table can't be shown")
            return self._finished(summary)

    def _train(self, number: int, control: RunControl) -> Result:
        """Train a fold's model, or return the result of its run if that has finished."""
        name = fold_of(number)
        job = arranged(fold_job(self._job, number), self._folder.folds.url, self._warm)
        display = self._display.trial(name)
        try:
            result = run_job(
                self._spark, job, run_id=name, supplied=self._supplied, folders=self._folders, display=display, control=control
            )
        finally:
            self._display.line_of(name, None)
        if result.prepared is not None:
            result.prepared.release()  # no other fold has the same rows
        self._display.note(fold_line(number, result))
        return result

    def _publish(self, results: Sequence[Result]) -> None:
        wall = time.monotonic() - self._begun
        summary = summary_of_folds(self._id, self._job.name, results, wall)
        title = f"{self._job.name}: cross-validation of {counted(len(results), 'fold')}"
        self._folder.publish_folds(
            summary,
            {
                "job.yaml": self._job.to_yaml(),
                "folds.csv": folds_csv(results),
                "folds.md": f"# {title}\n\n{folds_markdown(results, summary)}",
                "run.log": self._display.log.text(),
            },
        )

    def _stop(self, request: Stop) -> None:
        """Stop the cross-validation as a request says that was left in its folder."""
        how = "stopping at once" if request.now else "the models at work are trained to their end, and no other one begins"
        self._display.note(f"{how}: {request.reason}")
        self._threads.stop(request.now, request.reason)

    def _status(self) -> dict[str, Any]:
        """Return the content of status.json."""
        phase = f"folds: {self._threads.finished} finished of {self._threads.total}"
        so_far = Result(run=self._id, status="running", seconds=time.monotonic() - self._begun)
        return {**so_far.to_dict(), "phase": phase}

    def _end(self, error: BaseException) -> tuple[Result, str]:
        result, details = failed(error, self._id, self._job, time.monotonic() - self._begun)
        self._ended(result, details)
        return result, details

    def _finished(self, summary: dict[str, Any]) -> Result:
        final, hadoop = self._folder.final, dict(self._hadoop)
        folds = [Result.of_folder(final.join(fold_of(number)), hadoop) for number in range(summary["folds"])]
        return Result.of_summary(summary, final.url, hadoop=hadoop, folds=folds, deviations=summary["deviations"])
