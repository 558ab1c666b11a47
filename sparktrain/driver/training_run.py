"""One run of a job: what is to be done, in its order."""

from __future__ import annotations

import json
import secrets
import time
from functools import partial
from typing import Any, Callable, Mapping, Sequence

from pyspark.sql import SparkSession

from sparktrain.cluster.executor_python import check_packages, check_python
from sparktrain.cluster.gathering import Bounds, Executors, gather
from sparktrain.cluster.slots import Slots, check_application, worker_gpus
from sparktrain.config import Job
from sparktrain.config.names import check_run_id
from sparktrain.data import Prepared, stored
from sparktrain.display.console import RunDisplay
from sparktrain.display.tables import show_end
from sparktrain.driver.artifacts import check_model, keep, keep_known
from sparktrain.driver.attempts import train
from sparktrain.driver.executor_lease import executor_lease
from sparktrain.driver.failure_report import failed
from sparktrain.driver.fingerprint import of_supplied
from sparktrain.driver.hadoop import hadoop_settings, qualified
from sparktrain.driver.lineage import lineage
from sparktrain.driver.model_source import ModelSource, from_builder, from_object, from_parent
from sparktrain.driver.parent_run import ParentRun, find_parent_run
from sparktrain.driver.rows import keep_rows, kept_rows, prepare_rows
from sparktrain.driver.scratch import scratch_folder
from sparktrain.driver.shipping import Shipped, ship
from sparktrain.driver.stage_tasks import count_tasks
from sparktrain.driver.supplied import SuppliedObjects
from sparktrain.driver.timeline import RunTimeline
from sparktrain.driver.worker_spec import class_weights
from sparktrain.interfaces.checkpoints import Checkpoint
from sparktrain.interfaces.messages import EpochEnd, Finished, Fit, Message, Source
from sparktrain.runs.folder import RunFolder
from sparktrain.runs.identity import check_same, identity
from sparktrain.runs.json_text import now
from sparktrain.runs.ownership import take_over
from sparktrain.runs.paths import KEPT
from sparktrain.runs.result import Result
from sparktrain.runs.run_id import new_run_id
from sparktrain.runs.status_writer import StatusWriter
from sparktrain.storage import SUMMARY, ClaimLost, open_folder
from sparktrain.usercode.lookup import own_folders, search_folders, source
from sparktrain.usercode.modules import modules_of
from sparktrain.usercode.requirements import needs


def run_job(
    spark: SparkSession,
    job: Job,
    *,
    run_id: str | None = None,
    check: bool = False,
    supplied: SuppliedObjects = SuppliedObjects(),
    folders: Sequence[str] | None = None,
    display: RunDisplay | None = None,
    ended: Callable[[Result, str], object] = lambda result, details: None,
) -> Result:
    """Run a job.

    Args:
        spark: the application that it runs in.
        job: what to do.
        run_id: the run's name; a new one if left out. One that is finished answers with its result.
        check: a rehearsal: pipeline, builder and one step on a few rows, nothing kept.
        given: what a program hands over in place of the configuration's names.
        folders: where `module:function` is looked up; the current folder and PYTHONPATH if left out.
        watch: tells how it goes; one on standard error if left out.
        ended: called where a run that began leaves no model, with how it ended and what more there is to show of why.

    Returns:
        The result, `status` finished or checked. Its `prepared` rows stay kept on the executors until they are released;
        with `data.keep: storage` they are computed anew.

    Raises:
        ConfigError, InputError, NoSlots, ClusterRefused, EngineRefused, LaunchFailed, RunTaken: nothing was trained.
        AttemptFailed, StageFailed: a worker or Spark failed; the failure names its cause.
    """
    check_run_id(run_id)
    where = [*(folders or search_folders()), *own_folders((supplied.model, supplied.preprocess, supplied.callbacks))]
    with display or RunDisplay(partial(count_tasks, spark.sparkContext)) as shown:
        return Run(spark, job, run_id or new_run_id(), check, supplied, where, shown, ended).go()


class Run:
    """One run: `go` makes it."""

    def __init__(
        self, spark: SparkSession, job: Job, run_id: str, check: bool, supplied: SuppliedObjects, folders: Sequence[str], display: RunDisplay,
        ended: Callable[[Result, str], object] = lambda result, details: None,
    ) -> None:
        self.spark, self.job, self.check, self.supplied, self.folders, self.display = spark, job, check, supplied, folders, display
        self.asked = job                 # as it was typed; `job` has the number of workers that there are
        self.id = run_id
        self.hadoop = hadoop_settings(spark)
        output = qualified(spark, job.output.path) if job.output.path else scratch_folder(spark, job.name)
        self.folder = RunFolder(output, f"{run_id}.check-{secrets.token_hex(4)}" if check else run_id, self.hadoop)
        self.whole = job.training.split == "epochs"   # whether every worker gets all rows
        self.timeline = RunTimeline()
        self.executors = Executors(spark.sparkContext)
        self.turn = executor_lease(spark, job.name, self.hadoop, display.note)
        self.parent: ParentRun | None = None   # the run that this one goes on from
        self.report: StatusWriter | None = None
        self.shipped = Shipped()
        self.ended = ended
        self.who = {"application": spark.sparkContext.applicationId, "user": spark.sparkContext.sparkUser()}

    def go(self) -> Result:
        summary = self.folder.finished_summary() if not self.check else None
        if summary is not None:
            self.display.note(f"run {self.id} is finished already: {self.folder.final.url}")
            return self._finished(summary, self._saved_history())
        context = self.spark.sparkContext
        check_application(context, self.job.cluster.worker_memory)
        earlier = self.folder.claim(self.who, partial(take_over, note=self.display.note))
        prepared = None
        try:
            if self.folder.is_complete():
                return self._publish_only()
            if earlier is not None:
                self._resume(earlier)
            self.display.tidy(self.folder.forget_old, "what is old of runs that failed is still there")
            self.report = StatusWriter(
                open_folder(self.folder.staged.url, self.hadoop), self._status, self.display.log, self.display.note, self.folder.token
            )
            with self.report:
                slots = self.slots()
                model = self._model()
                callbacks = self.supplied.callbacks or self.job.training.callbacks
                check_packages(context, slots, needs(callbacks, self.folders), "training.callbacks")
                modules = [*modules_of(self.job, self.supplied.functions), *model.modules]
                self.shipped = ship(context, modules, [*self.folders, *model.folders], self.job.model.files)
                code = self.shipped.digests
                prepared = self._prepare(code)
                if not self.check:
                    check_same(self.folder, self._identity(code, prepared.inputs))
                    keep_known(self.folder.staged, self.asked, prepared)
                finished = train(self, prepared, model.source, slots)
                summary = self.timeline.summary(self.id, self.job, finished, prepared)
                if self.check:
                    return self._checked(summary, prepared)
                self.display.step("keeping the run")
                history = self._keep(finished, prepared, code)
                if self.job.data.keep == "storage":
                    prepared.release()   # where it was stored there is nothing left
            self.folder.complete(summary, self.display.log.text())
            self.folder.publish()
            self.display.tidy(lambda: show_end(self.display.console, summary, self.folder.final.url), "no table is shown")
            return self._finished(summary, history, prepared)
        except BaseException as error:
            if prepared is not None:
                self.display.tidy(prepared.release, "the prepared rows are still kept")
            self._end(error)
            raise
        finally:
            if self.check:
                self.display.tidy(self.folder.discard, "what the rehearsal had written is still there")
            self.display.tidy(self._give_back, "what the run had asked of the cluster is not given back")

    def _publish_only(self) -> Result:
        """Publish what an earlier driver of this run had complete."""
        self.display.note(f"run {self.id} was complete, but for its publishing")
        self.folder.publish()
        return self._finished(self.folder.finished_summary(), self._saved_history())

    def _resume(self, earlier: str) -> None:
        """Go on with what an earlier driver of this run has left."""
        if not self.folder.staged.exists(f"{KEPT}/{SUMMARY}"):   # half written, and prepared again
            self.folder.staged.remove(KEPT, recursive=True)
        self.display.note(f"going on with run {self.id}: {earlier}")

    def _keep(self, finished: list[Finished], prepared: Prepared, code: Mapping[str, str]) -> dict[str, list[float]]:
        """Write what belongs to the trained model; the history."""
        self.folder.check()
        leader = finished[self.timeline.leader()]
        staged = self.folder.staged.persistent()
        check_model(staged, leader)
        classes, context = self.timeline.class_counts(prepared.labels), self.spark.sparkContext
        origin = lineage(self.id, self.job, prepared, classes, parent=self.parent, code=code, context=context)
        keep(staged, leader.history, origin, self.display.note)
        return leader.history

    def _give_back(self) -> None:
        if self.turn is not None:
            self.turn.end()
        self.executors.release()

    def _status(self) -> dict[str, Any]:
        """What status.json holds."""
        return {**self.timeline.so_far(self.id, self.job).to_dict(), **self.display.progress.content()}

    def _end(self, error: BaseException) -> None:
        """Tell how a run ended that left no model, also on the storage; of a rehearsal nothing is kept.

        A checkpoint or a trained model stays, for the same command under this run's id to go on from.
        """
        result, details = failed(error, self.id, self.job, self.timeline.elapsed)
        result.attempts = self.timeline.attempts
        self.ended(result, details)
        self.display.log.add(f"{result.status}: {result.reason}" + (f"\n{details.rstrip()}" if details else ""))
        if self.check or isinstance(error, ClaimLost):   # what is there is the other driver's by now
            return
        record = {**result.to_dict(), "finished": now(), "traceback": details, **self.who}
        self.display.tidy(lambda: self._leave(record), "how the run ended is not on the storage, or what it had written is still there")

    def _leave(self, record: dict[str, Any]) -> None:
        if self.folder.finished_summary() is not None:   # published, and then interrupted
            return
        self.folder.check()
        record["resumable"] = self.folder.has_work()
        self.folder.end(record, self.display.log.text())
        if not record["resumable"]:
            self.folder.discard()
            return
        self.folder.release()
        self.display.note(
            f"what run {self.id} has come to is kept for 30 days: the same command with --run-id {self.id} (in a program: run_id="
            f"{self.id!r}) goes on from there, and `sparktrain runs remove {self.folder.final.url}` removes it"
        )

    def slots(self) -> Slots:
        """Wait for room for the workers; how many there are is settled by it."""
        begun = time.monotonic()
        asked = self.asked.training.workers
        bounds = Bounds(asked, asked) if isinstance(asked, int) else Bounds(asked.min, asked.max)
        slots = gather(self.executors, bounds, self.job.cluster.slots_timeout, self.turn, self.display.step)
        workers = min(bounds.max, slots.most)
        self.job = self.job.model_copy(update={"training": self.job.training.model_copy(update={"workers": workers})})
        self.timeline.workers, self.timeline.copies = workers, workers if self.whole else 1
        self.timeline.seconds["slots"] += time.monotonic() - begun
        worker_gpus(self.job.training.gpus_per_worker, slots)   # refused before any row is read
        check_python(self.spark.sparkContext, slots, self.job.training.engine)
        return slots

    def _model(self) -> ModelSource:
        """Where the child finds the model; with `model.load` this settles `parent`, too."""
        model = self.supplied.model
        if model is not None and callable(getattr(model, "train_on_batch", None)):
            return from_object(model, self.job, self.folder.staged)
        if model is not None or self.job.model.load is None:
            return from_builder(self.job.model.build if model is None else model, self.job)
        self.parent = find_parent_run(self.spark, self.job.model.load, self.hadoop)
        return from_parent(self.parent, self.job, self.folders)

    def _prepare(self, code: Mapping[str, str]) -> Prepared:
        if self.supplied.prepared is not None:
            return self.supplied.prepared
        begun = time.monotonic()
        stores = self.job.data.keep == "storage" and self.job.data.prepared is None   # whose rows are there already
        at = self.folder.staged.join(KEPT)
        if stores and at.exists(SUMMARY):   # an earlier driver of this run has them whole
            check_same(self.folder, self._identity(code, json.loads(at.read_text("lineage.json"))["inputs"]))
            self.display.note("going on with the rows as they were prepared")
            return kept_rows(self.spark, self.job, at, self.parent)
        prepared = prepare_rows(
            self.spark,
            self.job,
            self.supplied,
            self.folders,
            self.display,
            parent=self.parent,
            # What each worker's disk has to hold is checked before it is written
            counted=self.check or self.whole,
            read_again=self.job.training.max_failures > 0,
            store_at=f"{at.url}/{stored.ROWS}" if stores else None,
        )
        if stores:
            classes, context = prepared.counts_after, self.spark.sparkContext
            origin = lineage(self.id, self.job, prepared, classes, parent=self.parent, code=code, context=context)
            keep_rows(self.spark, self.job, prepared, at, origin, begun)
        self.timeline.seconds["prepare"] = time.monotonic() - begun
        return prepared

    def _identity(self, code: Mapping[str, str], inputs: list[dict[str, Any]]) -> dict[str, Any]:
        return identity(self.asked.model_dump(mode="json"), code, inputs, of_supplied(self.supplied, rows_kept=self.job.data.keep == "storage"))

    def fit(self, sizes: tuple[int, ...], prepared: Prepared, resume: Checkpoint | None) -> Fit:
        """How an attempt trains.

        Args:
            sizes: rows a step of each worker.
            resume: the checkpoint to go on from.
        """
        training, limit = self.job.training, self.job.training.limit
        return Fit(
            epochs=training.epochs_of_each(len(sizes)),
            batch_sizes=sizes,
            callbacks=self._callbacks(),
            warmup_epochs=training.scale_learning_rate.warmup_epochs if training.scale_learning_rate else None,
            early_stopping=training.early_stopping.model_dump(exclude_none=True) if training.early_stopping else None,
            save=training.save,
            class_weight=class_weights(training, prepared.labels),
            inputs_named=isinstance(self.job.data.features, dict),
            label=self.job.data.label_column,
            outputs=self.job.data.outputs,
            average=training.average,
            rehearsal=self.check,
            keep_checkpoints=training.checkpoint.keep if training.checkpoint is not None and not self.check else 0,
            checkpoint_steps=training.checkpoint.steps if training.checkpoint is not None else None,
            resume=resume,
            whole=self.whole,
            ends_at=None if limit is None else self.timeline.since + 60 * limit.minutes,
            then="save" if limit is None else limit.then,
        )

    def _callbacks(self) -> Source | None:
        callbacks = self.supplied.callbacks or self.job.training.callbacks
        return source(callbacks) if callbacks is not None else None

    def message(self, part: int, message: Message) -> None:
        """Take notice of what a worker told.

        Raises:
            ClaimLost: another driver has taken the run over, which ends this one's attempt.
        """
        if self.report is not None and self.report.lost is not None:
            raise self.report.lost
        self.timeline.message(part, message)
        if not (isinstance(message, EpochEnd) and self.check):
            self.display.message(part, message)

    def _checked(self, summary: dict[str, Any], prepared: Prepared) -> Result:
        from sparktrain.driver.rehearsal import rehearsal

        report = rehearsal(prepared, self.timeline.joined, summary, self.whole)
        self.display.console.print(report.table())
        prepared.release()
        shown = {**summary, "status": "checked", "rows": report.rows, "epochs": 0, "metrics": {}}
        result = Result.of_summary(shown, "")
        result.output = None
        result.summary = report.to_dict()
        return result

    def _finished(
        self, summary: dict[str, Any], history: dict[str, list[float]], prepared: Prepared | None = None
    ) -> Result:
        return Result.of_summary(summary, self.folder.final.url, history=history, prepared=prepared, hadoop=self.hadoop)

    def _saved_history(self) -> dict[str, list[float]]:
        return json.loads(self.folder.final.read_text("history.json")) if self.folder.final.exists("history.json") else {}
