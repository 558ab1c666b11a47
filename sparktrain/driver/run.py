"""One run of a job, from its configuration to its folder."""

from __future__ import annotations

import dataclasses
import json
import tempfile
import time
from collections import defaultdict
from functools import partial
from typing import Any, Callable, Sequence

from pyspark.ml import PipelineModel
from pyspark.sql import DataFrame, SparkSession

from sparktrain.cluster.slots import Slots, check_application, wait_for_slots
from sparktrain.cluster.stage import Attempt, AttemptFailed, StageFailed
from sparktrain.cluster.task import Task
from sparktrain.config import Job
from sparktrain.data import VALIDATION, Prepared, deal, explain, prepare
from sparktrain.driver.functions import own_folders, resolve, search_folders, source
from sparktrain.driver.output import RunFolder, curves, hadoop_settings, now, qualified, versions
from sparktrain.driver.plan import class_weights, held_back_by, layout, modules_of
from sparktrain.driver.progress import Watch, end_table
from sparktrain.driver.request import new_run_id
from sparktrain.driver.result import Result
from sparktrain.driver.shipping import ship
from sparktrain.engines import launch
from sparktrain.feed import NoRows
from sparktrain.interfaces.messages import EpochEnd, Finished, Fit, Joined, Message, Phase, Source
from sparktrain.storage import StorageError, open_folder
from sparktrain.storage.runs import resolve as resolve_run


@dataclasses.dataclass(frozen=True)
class Given:
    """What a program hands over in place of the configuration's names.

    Attributes:
        frame: the rows, in place of data.path, table or sql.
        model: a function that returns a compiled model, or a compiled model.
        preprocess: DataFrame, **args -> DataFrame.
        callbacks: a function that returns Keras callbacks.
    """

    frame: DataFrame | None = None
    model: Any = None
    preprocess: Callable[..., DataFrame] | None = None
    callbacks: Callable[..., list] | None = None


def run_job(
    spark: SparkSession,
    job: Job,
    *,
    run_id: str | None = None,
    check: bool = False,
    given: Given = Given(),
    folders: Sequence[str] | None = None,
    watch: Watch | None = None,
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

    Returns:
        The result, `status` finished or checked. Its `prepared` rows stay kept on the executors until they are released.

    Raises:
        ConfigError, InputError, NoSlots, ClusterRefused, RunTaken: nothing was trained.
        AttemptFailed, StageFailed: a worker or Spark failed; the failure names its cause.
    """
    where = [*(folders or search_folders()), *own_folders((given.model, given.preprocess, given.callbacks))]
    with watch or Watch(spark.sparkContext) as shown:
        return _Run(spark, job, run_id or new_run_id(), check, given, where, shown).go()


class _Run:
    def __init__(
        self, spark: SparkSession, job: Job, run_id: str, check: bool, given: Given, folders: Sequence[str], watch: Watch
    ) -> None:
        self.spark, self.job, self.check, self.given, self.folders, self.watch = spark, job, check, given, folders, watch
        self.id = run_id
        self.hadoop = hadoop_settings(spark)
        output = job.output.path or f"/tmp/sparktrain-{spark.sparkContext.sparkUser()}/{job.name}"
        self.folder = RunFolder(qualified(spark, output), run_id, self.hadoop)
        self.started = time.monotonic()
        self.seconds: dict[str, float] = defaultdict(float)
        self.moments: dict[str, list[float]] = defaultdict(list)
        self.joined: dict[int, Joined] = {}

    def go(self) -> Result:
        summary = self.folder.finished_summary()
        if summary is not None and not self.check:
            self.watch.note(f"run {self.id} is finished already: {self.folder.final.url}")
            return self._result("finished", summary)
        check_application(self.spark.sparkContext)
        self.folder.claim({"application": self.spark.sparkContext.applicationId})
        prepared = None
        try:
            slots = self._slots()
            model, pipeline, classes = self._model()
            code = ship(self.spark.sparkContext, modules_of(self.job, self.given), self.folders)
            prepared = self._prepare(pipeline, classes)
            finished = self._train(prepared, model, slots)
            summary = self._summary(finished, prepared)
            if self.check:
                return self._checked(summary, prepared)
            self._keep(finished, prepared, summary, code)
            self.watch.console.print(end_table(summary, self.folder.final.url))
            return self._result("finished", summary, prepared, finished[self._leader()].history)
        except BaseException:
            if prepared is not None:
                prepared.release()
            raise
        finally:
            self._discard()   # published, there is nothing left to discard

    def _discard(self) -> None:
        try:
            self.folder.discard()
        except StorageError as error:   # it must not hide why the run ended
            self.watch.note(f"what the run had written is still there: {error}")

    def _slots(self) -> Slots:
        begun = time.monotonic()
        slots = wait_for_slots(
            self.spark.sparkContext, self.job.training.workers, self.job.cluster.slots_timeout, self.watch.step
        )
        self.seconds["slots"] = time.monotonic() - begun
        return slots

    def _model(self) -> tuple[Source, PipelineModel | None, list | None]:
        """Where the child finds the model; with `model.load` also that run's pipeline and classes."""
        if self.given.model is not None and not callable(getattr(self.given.model, "train_on_batch", None)):
            return source(self.given.model, self.job.model.args), None, None
        if self.given.model is not None:
            with tempfile.TemporaryDirectory(prefix="sparktrain-") as local:
                self.given.model.save(f"{local}/given.keras")
                self.folder.staged.upload(f"{local}/given.keras", "given.keras")
            return Source(file=f"{self.folder.staged.url}/given.keras"), None, None
        if self.job.model.load is None:
            return source(self.job.model.build, self.job.model.args), None, None
        parent = open_folder(resolve_run(qualified(self.spark, self.job.model.load), self.hadoop), self.hadoop)
        self.parent = parent.url
        pipeline = PipelineModel.load(f"{parent.url}/pipeline") if parent.exists("pipeline") else None
        classes = json.loads(parent.read_text("classes.json")) if parent.exists("classes.json") else None
        return Source(file=f"{parent.url}/model.keras"), pipeline, classes

    parent: str | None = None

    def _prepare(self, pipeline: PipelineModel | None, classes: list | None) -> Prepared:
        begun = time.monotonic()
        preprocess = self.given.preprocess
        if preprocess is None and self.job.data.preprocess is not None:
            preprocess = resolve(self.job.data.preprocess, self.folders)
        prepared = prepare(
            self.spark,
            self.job.data,
            seed=self.job.seed,
            frame=self.given.frame,
            preprocess=preprocess,
            pipeline=pipeline,
            classes=classes,
            progress=self.watch.step,
        )
        for note in prepared.notes:
            self.watch.note(note)
        self.seconds["prepare"] = time.monotonic() - begun
        return prepared

    def _train(self, prepared: Prepared, model: Source, slots: Slots) -> list[Finished]:
        training = self.job.training
        parts = training.workers
        sizes = training.batch_sizes(parts)
        frame = prepared.frame
        if self.check:
            frame = frame.where(f"NOT {VALIDATION}").limit(sum(sizes))
        task = Task(
            run=self.id,
            engine=training.engine,
            launch=partial(launch, training.engine),
            driver=("", 0),
            secret=b"",
            layout=layout(self.job.data, prepared.classes).to_json(),
            model=model,
            fit=Fit(
                epochs=training.epochs,
                batch_sizes=sizes,
                callbacks=self._callbacks(),
                warmup_epochs=training.scale_learning_rate.warmup_epochs if training.scale_learning_rate else None,
                early_stopping=training.early_stopping.model_dump(exclude_none=True) if training.early_stopping else None,
                save=training.save,
                class_weight=class_weights(training, prepared.classes),
                rehearsal=self.check,
            ),
            seed=self.job.seed,
            output=self.folder.staged.url,
            hadoop=self.hadoop,
            threads=slots.threads(parts),
            environment={},
        )
        self.watch.step("filling")
        self.moments["stage"].append(time.monotonic())
        attempt = Attempt(
            deal(frame, parts, self.job.seed),
            task,
            slots,
            parts,
            self._message,
            port=self.job.cluster.driver_port,
            stall_timeout=self.job.cluster.stall_timeout,
        )
        try:
            finished = attempt.run()
        except AttemptFailed as error:
            if error.failure.failure.error == NoRows.__name__:
                raise prepared.why_empty() from error
            raise
        except StageFailed as error:
            known = explain(error.__cause__)   # a file or a record that can't be read
            raise known or error from error.__cause__
        self.moments["end"].append(time.monotonic())
        return finished

    def _callbacks(self) -> Source | None:
        callbacks = self.given.callbacks or self.job.training.callbacks
        return source(callbacks) if callbacks is not None else None

    def _message(self, part: int, message: Message) -> None:
        if isinstance(message, Joined):
            self.joined[part] = message
            self.moments["joined"].append(time.monotonic())
        elif isinstance(message, Phase):
            self.moments[message.name].append(time.monotonic())
        if not (isinstance(message, EpochEnd) and self.check):
            self.watch.message(part, message)

    def _leader(self) -> int:
        """The part whose worker has rank 0."""
        return next(part for part, joined in self.joined.items() if joined.rank == 0)

    def _summary(self, finished: Sequence[Finished], prepared: Prepared) -> dict[str, Any]:
        last = {name: max(moments) for name, moments in self.moments.items()}
        self.seconds["fill"] = last["joined"] - last["stage"]
        self.seconds["start workers"] = last["train"] - last["joined"]
        self.seconds["train"] = last.get("save", last["end"]) - last["train"]
        self.seconds["save"] = last["end"] - last.get("save", last["end"])
        leader = finished[self._leader()]
        chosen = leader.best_epoch if leader.best_epoch is not None else leader.epochs
        rows = sum(joined.training_rows for joined in self.joined.values())
        return {
            "run": self.id,
            "name": self.job.name,
            "status": "finished",
            "finished": now(),
            "rows": rows,
            "validation_rows": sum(joined.validation_rows for joined in self.joined.values()),
            "epochs": leader.epochs,
            "workers": len(finished),
            "engine": self.job.training.engine,
            "attempts": 1,
            "metrics": {name: values[chosen - 1] for name, values in leader.history.items() if len(values) >= chosen},
            "rows_per_second": sum(f.rows for f in finished) / max(self.seconds["train"], 1e-9),
            "seconds": {name: round(seconds, 3) for name, seconds in self.seconds.items()},
            "wall": round(time.monotonic() - self.started, 3),
            "held_back_by": held_back_by(self.seconds, finished),
            "steps_per_epoch": max(joined.steps for joined in self.joined.values()),
            "batch": sum(self.job.training.batch_sizes(len(finished))),
            "best_epoch": leader.best_epoch,
            "stopped_early": leader.stopped_early,
            "parameters": leader.parameters,
            "peak_memory": [f.peak_memory for f in finished],
            "disk": [self.joined[part].disk for part in range(len(finished))],
            "notes": [*prepared.notes, *leader.notes],
        }

    def _keep(self, finished: Sequence[Finished], prepared: Prepared, summary: dict[str, Any], code: dict[str, str]) -> None:
        staged = self.folder.staged
        history = finished[self._leader()].history
        if prepared.pipeline is not None:
            prepared.pipeline.write().overwrite().save(f"{staged.url}/pipeline")
        if prepared.classes is not None:
            self.folder.write_json("classes.json", list(prepared.classes))
        if staged.exists("given.keras"):
            staged.remove("given.keras")
        self.folder.write_json("history.json", history)
        if history:
            staged.write_bytes("history.png", curves(history))
        self.folder.write_json("lineage.json", self._lineage(prepared, code))
        staged.write_text("job.yaml", self.job.to_yaml())
        self.folder.publish(summary)

    def _lineage(self, prepared: Prepared, code: dict[str, str]) -> dict[str, Any]:
        return {
            "run": self.id,
            "parent": self.parent,
            "inputs": prepared.inputs,
            "classes_before_sampling": prepared.counts_before,
            "classes_after_sampling": prepared.counts_after,
            "seed": self.job.seed,
            "code": code,
            "versions": versions(),
            "user": self.spark.sparkContext.sparkUser(),
            "application": self.spark.sparkContext.applicationId,
        }

    def _checked(self, summary: dict[str, Any], prepared: Prepared) -> Result:
        from sparktrain.driver.rehearsal import rehearsal

        report = rehearsal(self.job, prepared, self.joined, summary)
        self.watch.console.print(report.table())
        prepared.release()
        result = self._result("checked", {**summary, "rows": report.rows, "epochs": 0, "metrics": {}})
        result.output = None
        result.summary = report.to_dict()
        return result

    def _result(
        self,
        status: str,
        summary: dict[str, Any],
        prepared: Prepared | None = None,
        history: dict[str, list[float]] | None = None,
    ) -> Result:
        return Result(
            run=self.id,
            status=status,
            output=self.folder.final.url,
            rows=summary["rows"],
            epochs=summary["epochs"],
            workers=summary["workers"],
            engine=summary["engine"],
            attempts=summary["attempts"],
            seconds=summary["wall"],
            metrics=summary["metrics"],
            history=history if history is not None else self._saved_history(),
            summary=summary,
            prepared=prepared,
            hadoop=self.hadoop,
        )

    def _saved_history(self) -> dict[str, list[float]]:
        return json.loads(self.folder.final.read_text("history.json")) if self.folder.final.exists("history.json") else {}
