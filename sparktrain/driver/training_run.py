"""Runs a training job: all steps of a run, in their order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from pyspark.sql import SparkSession

from sparktrain.cluster.executors.executor_python import check_packages
from sparktrain.cluster.executors.slots import check_application
from sparktrain.config import Job
from sparktrain.config.names import check_run_id
from sparktrain.data import Prepared
from sparktrain.display.console import RunDisplay
from sparktrain.display.tables import show_end
from sparktrain.driver.artifacts.artifacts import check_model, keep, keep_known, signature_record
from sparktrain.driver.artifacts.lineage import lineage
from sparktrain.driver.attempts.attempts import Work, train
from sparktrain.driver.attempts.worker_slots import WorkerSlots
from sparktrain.driver.attempts.worker_spec import fit_of
from sparktrain.driver.control.run_control import RunControl
from sparktrain.driver.failure_report import failed
from sparktrain.driver.model.model_source import ModelSource, from_builder, from_object, from_parent
from sparktrain.driver.model.parent_run import ParentRun, find_parent_run
from sparktrain.driver.rehearsal import rehearsal
from sparktrain.driver.rows import releasing_on_error, rows_of
from sparktrain.driver.run_context import RunContext
from sparktrain.driver.run_lifecycle import RunLifecycle
from sparktrain.driver.shipping import ship
from sparktrain.driver.stage_tasks import count_tasks
from sparktrain.driver.supplied_objects import SuppliedObjects
from sparktrain.interfaces.messages import EpochEnd, Finished, Message
from sparktrain.runs.identity import check_same
from sparktrain.runs.paths import KEPT, SIGNATURE
from sparktrain.runs.records.run import Summary
from sparktrain.runs.result import Result, saved_history
from sparktrain.runs.run_id import new_run_id
from sparktrain.storage import SUMMARY
from sparktrain.usercode.lookup import own_folders, search_folders, source
from sparktrain.usercode.modules import modules_of
from sparktrain.usercode.requirements import packages_needed


def run_job(
    spark: SparkSession,
    job: Job,
    *,
    run_id: str | None = None,
    check: bool = False,
    supplied: SuppliedObjects = SuppliedObjects(),
    folders: Sequence[str] | None = None,
    display: RunDisplay | None = None,
    control: RunControl | None = None,
    ended: Callable[[Result, str], object] = lambda result, details: None,
) -> Result:
    """Run a training job.

    Args:
        spark: the application to run it in.
        job: the job.
        run_id: the run's id; a new one if left out. For a finished run, its result is returned.
        check: whether to rehearse: pipeline, builder and one step on a few rows, with nothing kept.
        supplied: objects that a program passes in place of names in the configuration.
        folders: where `module:function` is looked up; the current folder and PYTHONPATH if left out.
        display: shows the progress; on standard error if left out.
        control: stops the run from another thread, and tells of its events. `sparktrain runs stop` works without one, too.
        ended: called with the result and details to show if a run that began ends without a model.

    Returns:
        The result, with `status` finished or checked. Its `prepared` rows stay on the executors until they are released;
        with `data.keep: storage` they are computed anew.

    Raises:
        ConfigError, InputError, NoSlots, ClusterRefused, EngineRefused, LaunchFailed, RunTaken: nothing was trained.
        AttemptFailed, StageFailed: a worker or Spark failed; the message names the cause.
        RunStopped: the run was stopped at once from outside.
    """
    check_run_id(run_id)
    where = [*(folders or search_folders()), *own_folders((supplied.model, supplied.preprocess, supplied.callbacks))]
    with display or RunDisplay(partial(count_tasks, spark.sparkContext)) as shown:
        run = RunContext.of_job(spark, job, run_id or new_run_id(), supplied, where, shown, check, control)
        with run.control:
            return _TrainingRun(run, ended).execute()


class _TrainingRun:
    """One run of a training job.

    Args:
        ended: see `run_job`.
    """

    def __init__(self, run: RunContext, ended: Callable[[Result, str], object]) -> None:
        self._run, self._ended = run, ended
        self._parent: ParentRun | None = None

    def execute(self) -> Result:
        """Train, rehearse or publish, as far as earlier drivers of the run have left something to do; return the result."""
        run = self._run
        summary = run.folder.finished_summary() if not run.rehearsal else None
        if summary is not None:
            run.display.note(f"run {run.id} is finished already: {run.folder.final.url}")
            return self._finished(summary, saved_history(run.folder.final))
        check_application(run.spark.sparkContext, run.job.cluster.worker_memory)
        lifecycle = RunLifecycle(run.folder, run.who, run.display, self._end, run.rehearsal, run.control.pause)
        with lifecycle as life, run.control.converted():
            if run.folder.is_complete():
                return self._publish_only()
            if life.earlier is not None:
                self._resume(life.earlier)
            run.display.tidy(run.folder.forget_old, "the files of old runs that failed were not removed")
            workers = WorkerSlots(run)
            life.finally_do(workers.release, "the run's executors were not given back to the cluster")
            with releasing_on_error(run.display) as rows:
                with life.reported(run.hadoop, self._status, run.control.request):
                    trained = self._train(life, workers, rows)
                    if run.rehearsal:
                        return self._checked(trained)
                    run.control.check()
                    run.display.step("writing the run's files")
                    history = self._keep(trained)
                    if run.job.data.keep == "storage":
                        trained.prepared.release()  # its stored files were removed
                run.control.check()
                life.publish(trained.summary)
            run.display.tidy(
                lambda: show_end(run.display.console, trained.summary.content(), run.folder.final.url), "the table can't be shown"
            )
            return self._finished(trained.summary.content(), history, trained.prepared)

    def _train(self, life: RunLifecycle, workers: WorkerSlots, rows: list[Prepared]) -> _Trained:
        run = self._run
        slots = workers.gather()
        run.control.check()
        model = self._model()
        callbacks = run.supplied.callbacks or run.job.training.callbacks
        needed = packages_needed(callbacks, run.search)
        check_packages(run.spark.sparkContext, slots, needed, "training.callbacks", run.control.check)
        modules = [*modules_of(run.job, run.supplied.functions), *model.modules]
        shipped = ship(run.spark.sparkContext, modules, [*run.search, *model.folders], run.job.model.files)
        prepared = rows_of(run, shipped.digests, self._parent)
        rows.append(prepared)
        if not run.rehearsal:
            check_same(run.folder, run.identity(shipped.digests, prepared.inputs))
            keep_known(run.folder.staged, run.asked, prepared)

        def notice(part: int, message: Message) -> None:
            life.check()
            run.timeline.message(part, message)
            run.control.message(part, message, run.timeline.attempts)
            if not (isinstance(message, EpochEnd) and run.rehearsal):
                run.display.message(part, message)

        finished = train(
            run,
            prepared,
            slots,
            Work(
                model=model.source,
                code=shipped.archive,
                fit=lambda sizes, resume: fit_of(
                    run.job,
                    sizes,
                    prepared.labels,
                    resume,
                    source(callbacks) if callbacks is not None else None,
                    run.timeline.since,
                    run.rehearsal,
                ),
                gather=workers.gather,
                free=workers.free,
                notice=notice,
            ),
        )
        summary = run.timeline.summary(run.id, run.job, finished, prepared)
        return _Trained(prepared, finished, summary, shipped.digests)

    def _model(self) -> ModelSource:
        """Return where the child process gets the model from; with `model.load`, also set `_parent`."""
        run = self._run
        model = run.supplied.model
        if model is not None and callable(getattr(model, "train_on_batch", None)):
            return from_object(model, run.job, run.folder.staged)
        load, build = run.job.model.load, run.job.model.build
        if model is not None or load is None:
            builder = build if model is None else model
            assert builder is not None  # a job without a model is refused by its rules
            return from_builder(builder, run.job)
        self._parent = find_parent_run(run.spark, load, run.hadoop)
        return from_parent(self._parent, run.job, run.search)

    def _publish_only(self) -> Result:
        """Publish the run that an earlier driver had completed."""
        folder = self._run.folder
        self._run.display.note(f"run {self._run.id} was complete, but not published")
        folder.publish()
        summary = folder.finished_summary()
        assert summary is not None  # it was published just now
        return self._finished(summary, saved_history(folder.final))

    def _resume(self, earlier: str) -> None:
        """Resume from the files that an earlier driver of this run has left."""
        staged = self._run.folder.staged
        if not staged.exists(f"{KEPT}/{SUMMARY}"):  # incomplete: the rows are prepared again
            staged.remove(KEPT, recursive=True)
        self._run.display.note(f"resuming run {self._run.id}: {earlier}")

    def _keep(self, trained: _Trained) -> dict[str, list[float]]:
        """Check the model, write the files beside it, and return its history."""
        run = self._run
        run.folder.check()
        leader = trained.finished[run.timeline.leader()]
        staged = run.folder.staged.persistent()
        check_model(staged, leader)
        classes, context = run.timeline.class_counts(trained.prepared.labels), run.spark.sparkContext
        origin = lineage(run.id, run.job, trained.prepared, classes, parent=self._parent, code=trained.code, context=context)
        signature_record(run.job, trained.prepared, leader).write(staged, SIGNATURE)
        keep(staged, leader.history, origin, run.display.note)
        return leader.history

    def _status(self) -> dict[str, Any]:
        """Return the content of status.json."""
        return {**self._run.timeline.so_far(self._run.id, self._run.job).to_dict(), **self._run.display.progress.content()}

    def _end(self, error: BaseException) -> tuple[Result, str]:
        result, details = failed(error, self._run.id, self._run.job, self._run.timeline.elapsed)
        result.attempts = self._run.timeline.attempts
        self._ended(result, details)
        return result, details

    def _checked(self, trained: _Trained) -> Result:
        report = rehearsal(trained.prepared, self._run.timeline.joined, trained.summary, self._run.all_rows_each)
        self._run.display.console.print(report.table())
        trained.prepared.release()
        shown = {**trained.summary.content(), "status": "checked", "rows": report.rows, "epochs": 0, "metrics": {}}
        result = Result.of_summary(shown, "")
        result.output = None
        result.summary = report.to_dict()
        return result

    def _finished(self, summary: dict[str, Any], history: dict[str, list[float]], prepared: Prepared | None = None) -> Result:
        run = self._run
        return Result.of_summary(summary, run.folder.final.url, history=history, prepared=prepared, hadoop=dict(run.hadoop))


@dataclass(frozen=True)
class _Trained:
    """The outcome of the training.

    Attributes:
        finished: each worker's last message, by part.
        summary: the content for summary.json.
        code: the SHA-256 of each of the user's files that were shipped.
    """

    prepared: Prepared
    finished: list[Finished]
    summary: Summary
    code: Mapping[str, str]
