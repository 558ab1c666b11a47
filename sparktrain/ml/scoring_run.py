"""Scores a job's rows and publishes the predictions: `jobs/score.py`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from sparktrain.cluster.stage import StageFailed, spark_cause
from sparktrain.config import ConfigError, Problem, ScoringJob
from sparktrain.data import explained
from sparktrain.display.console import RunDisplay
from sparktrain.display.tables import rows_table
from sparktrain.driver.artifacts.lineage import versions
from sparktrain.driver.control.controlled_run import ControlledRun
from sparktrain.driver.failure_report import failed
from sparktrain.driver.hadoop import hadoop_settings, qualified
from sparktrain.driver.run_lifecycle import RunLifecycle
from sparktrain.driver.shipping import ship
from sparktrain.driver.stage_tasks import count_tasks
from sparktrain.ml.frame_scorer import FrameScorer
from sparktrain.ml.scored_rows import ScoredRows
from sparktrain.runs.folder import RunTaken
from sparktrain.runs.identity import NotTheSame, check_same, identity
from sparktrain.runs.json_text import now
from sparktrain.runs.records.scores import ScoresSummary
from sparktrain.runs.result import Result
from sparktrain.runs.run_id import new_run_id
from sparktrain.runs.scores_folder import APPENDED, ScoresFolder
from sparktrain.storage.urls import parse
from sparktrain.usercode.lookup import resolve, search_folders

_SHOWN = 5  # rows of a rehearsal


def run_scoring(
    spark: SparkSession,
    job: ScoringJob,
    *,
    run_id: str | None = None,
    check: bool = False,
    folders: Sequence[str] | None = None,
    display: RunDisplay | None = None,
    ended: Callable[[Result, str], object] = lambda result, details: None,
) -> Result:
    """Score a job's rows and write them with the predictions, whole or not at all.

    The files are written under `_runs` beside the folder and renamed when complete, with the records in `_sparktrain`, where Spark doesn't
    look for rows. A scoring that was interrupted goes on, by the same call, with the first portion of its files that isn't written.

    Args:
        spark: the application that scores. Its executors may come and go.
        job: the scoring.
        run_id: the scoring's id, which `output.mode: append` names its folder by; a new one if left out.
        check: whether to score a few rows only, show them, and keep nothing.
        folders: where `module:function` is looked up; the current folder and PYTHONPATH if left out.
        display: shows the progress; on standard error if left out.
        ended: called with the result, and details to show, of a scoring that fails.

    Returns:
        The result: `rows` is how many were scored, `output` the folder's URL.

    Raises:
        RunTaken: something is at `output.path`, or another scoring is writing to it.
        ConfigError, InputError: the rows can't be scored like this.
        StageFailed: Spark failed while it scored.
    """
    with display or RunDisplay(partial(count_tasks, spark.sparkContext)) as shown:
        return _Scoring(spark, job, run_id or new_run_id(), list(folders or search_folders()), shown, ended).run(check)


@contextmanager
def _told() -> Iterator[None]:
    """Raise what Spark raises within the context as an error that names the file, the column or the cause."""
    try:
        with explained():
            yield
    except (PySparkException, Py4JError) as error:
        raise StageFailed(spark_cause(error)) from error


class _Scoring:
    def __init__(
        self,
        spark: SparkSession,
        job: ScoringJob,
        run_id: str,
        folders: Sequence[str],
        display: RunDisplay,
        ended: Callable[[Result, str], object],
    ) -> None:
        assert job.output.path is not None and job.model.load is not None  # the rules refuse a job without them
        self._spark, self._job, self._id, self._search, self._display = spark, job, run_id, folders, display
        self._ended = ended
        self._begun = time.monotonic()
        self._hadoop = hadoop_settings(spark)
        self._path = qualified(spark, job.output.path)

    def run(self, check: bool) -> Result:
        if check:
            return self._rehearse()
        folder = self._folder()
        summary = folder.finished_summary()
        if summary is not None and summary["run"] == self._id:
            self._display.note(f"scoring {self._id} is finished already")
            return self._result(ScoresSummary.model_validate(summary), folder.final.url)
        self._refuse_taken(folder)
        context = self._spark.sparkContext
        who = {"application": context.applicationId, "user": context.sparkUser()}
        control = ControlledRun(None, self._id, context, self._display, self._control_end, has_epochs=False)
        with control, RunLifecycle(folder, who, self._display, self._end, pause=control.pause) as life, control.converted():
            if life.earlier is not None:
                self._display.note(f"going on with an earlier scoring to {folder.final.url}: {life.earlier}")
            with life.reported(self._hadoop, self._status, control.request):
                self._display.tidy(folder.forget_old, "the files of old scorings that failed were not removed")
                record = self._score(folder)
                control.check()
                if record is not None:
                    life.publish(record)
                else:
                    self._display.note(f"the scores for {folder.final.url} were complete, but not published")
                    folder.publish()
        summary = folder.finished_summary()
        assert summary is not None  # it has just been published
        record = ScoresSummary.model_validate(summary)
        self._display.console.print(f"{record.rows:,} rows scored by {record.model}: {folder.final.url}")
        return self._result(record, folder.final.url)

    def _folder(self) -> ScoresFolder:
        if self._job.output.mode == "append":
            return ScoresFolder(self._path, f"{APPENDED}{self._id}", self._hadoop)
        place = parse(self._path)
        return ScoresFolder(str(place.parent), place.name, self._hadoop, option="output.path")

    def _refuse_taken(self, folder: ScoresFolder) -> None:
        if self._job.output.mode == "new":
            if folder.final.exists():
                raise RunTaken(
                    f"output.path: {folder.final.url} exists already. Choose another folder, remove it, or add to it with output.mode: append"
                )
            return
        others = (
            [name for name in folder.root.list() if not name.startswith(("_", ".", APPENDED))] if folder.root.exists() else []
        )
        if others:
            raise RunTaken(
                f"output.path: {folder.root.url} has {others[0]}, which no scoring has added. Expected a new folder, or one that has only been "
                "added to with output.mode: append"
            )

    def _scorer(self) -> FrameScorer:
        job = self._job
        assert job.model.load is not None
        self._display.step("reading the model's signature")
        return FrameScorer(
            self._spark,
            job.model.load,
            output=job.score.output,
            keep=job.score.keep,
            batch_size=job.score.batch_size,
            nulls=job.score.nulls,
            modules=job.model.modules,
            folders=self._search,
        )

    def _rows(self) -> ScoredRows:
        data = self._job.data
        preprocess = resolve(data.preprocess, self._search) if data.preprocess is not None else None
        return ScoredRows(self._spark, data, preprocess, self._display.step)

    def _rehearse(self) -> Result:
        self._refuse_taken(self._folder())
        scorer, rows = self._scorer(), self._rows()
        scored = scorer(rows.frame)
        self._check_partitions(scored)
        self._display.step(f"scoring {_SHOWN} rows")
        with _told():
            some = scored.limit(_SHOWN).collect()
        self._display.console.print(rows_table(scored.columns, some))
        return Result(run=self._id, status="checked", rows=len(some), seconds=self._seconds)

    def _score(self, folder: ScoresFolder) -> ScoresSummary | None:
        """Score and write all portions that aren't written yet, and return the summary, which isn't written; None if it is already."""
        job, context = self._job, self._spark.sparkContext
        scorer = self._scorer()
        modules = [job.data.preprocess.partition(":")[0]] if job.data.preprocess is not None else []
        code = ship(context, modules, self._search).digests
        rows = self._rows()
        scored = scorer(rows.frame)
        self._check_partitions(scored)
        self._display.step("listing the input files")
        inputs, notes = rows.inputs()
        content = {**job.model_dump(mode="json", by_alias=True), "trained": {"model": scorer.url, "finished": scorer.finished}}
        self._check_same(folder, identity(content, code, inputs))
        if folder.is_complete():
            return None
        count = folder.planned(rows.portion_count(job.score.portions))
        written, known = folder.written(), folder.clean()
        parts = rows.portions(count)
        for number, part in enumerate(parts):
            if number in written:
                continue
            self._display.step("scoring" if len(parts) == 1 else f"scoring portion {number + 1} of {len(parts)}")
            with _told():
                done = part.write(scorer, folder.whole.url, job.output)
            known = folder.record(number, known, done)
        folder.whole.write_text(folder.records("job.yaml"), job.to_yaml())
        return ScoresSummary(
            run=self._id,
            name=job.name,
            finished=now(),
            model=scorer.url,
            model_finished=scorer.finished,
            rows=sum(portion.rows for portion in folder.written().values()),
            columns={one.name: one.dataType.simpleString() for one in scored.schema.fields},
            inputs=inputs,
            code=code,
            versions={**versions(), "pyspark": context.version},
            user=context.sparkUser(),
            application=context.applicationId,
            portions=len(parts),
            wall=round(self._seconds, 3),
            notes=[*notes, *rows.notes()],
        )

    def _check_same(self, folder: ScoresFolder, mine: Mapping[str, Any]) -> None:
        """Compare with what an earlier driver had begun. Another scoring of the same id is refused; to the same folder, it begins anew."""
        try:
            check_same(folder, mine)
        except NotTheSame as error:
            if self._job.output.mode == "append":
                raise
            self._display.note(
                f"beginning anew, without the {len(folder.written())} portions that were scored: {error.differences}"
            )
            folder.clear()
            check_same(folder, mine)

    def _check_partitions(self, scored: DataFrame) -> None:
        for name in self._job.output.partition_by:
            if name not in scored.columns:
                raise ConfigError([Problem("output.partition_by", f"{name!r} came", f"columns of the scores: {scored.columns}")])

    @property
    def _seconds(self) -> float:
        return time.monotonic() - self._begun

    def _status(self) -> dict[str, Any]:
        so_far = Result(run=self._id, status="running", seconds=self._seconds)
        return {**so_far.to_dict(), **self._display.progress.content()}

    def _end(self, error: BaseException) -> tuple[Result, str]:
        result, details = failed(error, self._id, None, self._seconds)
        self._ended(result, details)
        return result, details

    def _control_end(self, error: BaseException | None) -> tuple[str, str | None]:
        if error is None:
            return "finished", None
        result, _ = failed(error, self._id, None, 0)
        return result.status, result.reason

    def _result(self, record: ScoresSummary, url: str) -> Result:
        return Result(
            run=record.run,
            status="finished",
            output=url,
            rows=record.rows,
            attempts=1,
            seconds=self._seconds,
            summary=record.content(),
            hadoop=dict(self._hadoop),
        )
