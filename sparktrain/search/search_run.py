"""Runs a search: its trials side by side in one application, and the best one's run as its result."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from pyspark.sql import SparkSession

from sparktrain.cluster.executors.slots import check_application
from sparktrain.cluster.processes.warm_start import warm_by_default
from sparktrain.config import BaseJob, ConfigError, Job, Search
from sparktrain.config.names import check_run_id
from sparktrain.config.rules.data import refuse_cross_validation
from sparktrain.config.rules.search import check_space
from sparktrain.data import Prepared
from sparktrain.display.console import RunDisplay
from sparktrain.display.figures import counted, figure
from sparktrain.display.search_progress import SearchDisplay
from sparktrain.display.tables import show_end
from sparktrain.driver.artifacts.fingerprint import of_supplied
from sparktrain.driver.failure_report import PlainFailure, failed
from sparktrain.driver.hadoop import hadoop_settings, qualified
from sparktrain.driver.model.parent_run import find_parent_run
from sparktrain.driver.rows import prepare_rows
from sparktrain.driver.run_lifecycle import RunLifecycle
from sparktrain.driver.scratch import scratch_folder
from sparktrain.driver.shipping import ship
from sparktrain.driver.stage_tasks import count_tasks
from sparktrain.driver.supplied_objects import SuppliedObjects
from sparktrain.driver.training_run import run_job
from sparktrain.runs.identity import identity
from sparktrain.runs.records.run import Stop
from sparktrain.runs.records.search import SearchRecord, TrialRecord
from sparktrain.runs.result import Result, saved_history
from sparktrain.runs.run_id import new_run_id
from sparktrain.search.choosing import has_optuna, proposals_of, sampler_of
from sparktrain.search.proposals import PlainProposals
from sparktrain.search.results import RECORDS, RESULTS, result_files
from sparktrain.search.search_folder import SearchFolder
from sparktrain.search.table import names, rich_table, shown
from sparktrain.search.trial_run import TrialRuns
from sparktrain.search.trial_threads import TrialThreads
from sparktrain.search.trials import ROWS, TRIALS, best, counts, read_trials
from sparktrain.search.variants import Variants
from sparktrain.usercode.arguments import unknown_arguments
from sparktrain.usercode.lookup import own_folders, search_folders
from sparktrain.usercode.modules import modules_of


class NoTrialFinished(PlainFailure):
    """Raised where no trial of a search has left a model; the message has the first one's reason."""


def run_search(
    spark: SparkSession,
    search: Search,
    base: BaseJob,
    *,
    run_id: str | None = None,
    check: bool = False,
    supplied: SuppliedObjects = SuppliedObjects(),
    folders: Sequence[str] | None = None,
    display: SearchDisplay | None = None,
    ended: Callable[[Result, str], object] = lambda result, details: None,
) -> Result:
    """Search for the best values of some keys of a job.

    Args:
        spark: the application whose executors the trials share.
        search: what is varied, and what is looked for.
        base: the job that is varied.
        run_id: the search's id, which the best trial's run gets; a new one if left out. A search that was killed or has failed
            resumes under its id with the trials that it had. For a finished one, its result is returned.
        check: whether to rehearse the job with the values of the first trial, with nothing kept.
        supplied: objects that a program passes in place of names in the configuration.
        folders: where `module:function` is looked up; the current folder and PYTHONPATH if left out.
        display: shows the progress; on standard error if left out.
        ended: called with the result and details to show if a search that began ends without a model.

    Returns:
        The best trial's run, with `trials`: the records of all trials.

    Raises:
        ConfigError: the search, or the job, can't work.
        RunTaken: another process, or another search, has the id.
        NoTrialFinished: every trial has failed.
        ClusterRefused, EngineRefused: no trial can train on this cluster.
    """
    check_run_id(run_id)
    job = check_space(search, base)
    refuse_cross_validation(job.data, "search for its best values")
    where = [*(folders or search_folders()), *own_folders(supplied.functions)]
    functions = {"model.args.": supplied.model or job.model.build, "data.args.": supplied.preprocess or job.data.preprocess}
    unknown = [
        each
        for prefix, function in functions.items()
        for each in unknown_arguments(search.space, prefix, function, where, "space.")
    ]
    if unknown:
        raise ConfigError(unknown, "the search")
    if check:
        proposals = PlainProposals(search.space, "grid" if search.sampler == "grid" else "random", _seed(search, job))
        first = base.job(proposals.next([])[1])
        return run_job(spark, first, run_id=run_id, check=True, supplied=supplied, folders=where, display=display)
    shown = display or SearchDisplay(partial(count_tasks, spark.sparkContext))
    with shown:
        return _Searching(spark, search, base, job, run_id or new_run_id(), supplied, where, shown, ended).execute()


def _seed(search: Search, job: Job) -> int:
    return search.seed if search.seed is not None else job.seed


class _Searching:
    """One search. The trials run in threads of their own, which take them one after the other."""

    def __init__(
        self,
        spark: SparkSession,
        search: Search,
        base: BaseJob,
        job: Job,
        run_id: str,
        supplied: SuppliedObjects,
        folders: Sequence[str],
        display: SearchDisplay,
        ended: Callable[[Result, str], object],
    ) -> None:
        self._spark, self._search, self._base, self._job, self._id = spark, search, base, job, run_id
        self._supplied, self._folders, self._display, self._ended = supplied, folders, display, ended
        self._hadoop = hadoop_settings(spark)
        self._output = qualified(spark, job.output.path) if job.output.path else scratch_folder(spark, job.name)
        self._folder = SearchFolder(self._output, run_id, self._hadoop)
        self._total = search.trials or search.size or 0
        self._sampler, self._seed = sampler_of(search, has_optuna()), _seed(search, job)
        self._begun = time.monotonic()
        self._trials: TrialThreads | None = None
        display.run = run_id

    def execute(self) -> Result:
        """Train what trials are left to do, and publish the best; return its result."""
        folder = self._folder
        summary = folder.finished_search()
        if summary is not None:
            self._display.note(f"search {self._id} is finished already: {folder.final.url}")
            return self._finished(summary)
        context = self._spark.sparkContext
        check_application(context, self._job.cluster.worker_memory)
        who = {"application": context.applicationId, "user": context.sparkUser()}
        with RunLifecycle(folder, who, self._display, self._end) as life:
            shipped = ship(context, modules_of(self._job, self._supplied.functions), self._folders, self._job.model.files)
            folder.check_same(self._record(shipped.digests))
            self._display.tidy(folder.forget_old, "the files of old searches were not removed")
            before = read_trials(folder.place)
            if before:
                self._display.note(f"resuming search {self._id}, which has {counted(len(before), 'trial')}")
            variants = Variants(self._prepared)
            life.finally_do(variants.release, "the prepared rows are still kept")
            self._trials = self._threads(variants, before)
            with life.reported(self._hadoop, self._status, self._stop):
                self._search_on(variants, life.check)
                self._publish(self._best())
            self._display.tidy(folder.discard, "the search's status was not removed")
            self._display.tidy(lambda: folder.place.remove(ROWS, recursive=True), "the prepared rows were not removed")
            summary = folder.finished_summary()
            assert summary is not None  # it was published just now
            show = partial(show_end, self._display.console, summary, folder.final.url)
            self._display.tidy(show, "the table can't be shown")
            return self._finished(summary)

    def _threads(self, variants: Variants, before: list[TrialRecord]) -> TrialThreads:
        runs = TrialRuns(
            self._spark,
            self._search,
            self._base,
            f"{self._folder.place.url}/{TRIALS}",
            warm_by_default(self._spark.sparkContext),
            self._supplied,
            self._folders,
            variants,
            self._display,
        )
        study = self._folder.place.join("study")
        proposals = proposals_of(self._search, self._id, self._sampler, self._seed, study, before)
        return TrialThreads(runs, proposals, self._folder, before, self._total, self._note_trial)

    def _search_on(self, variants: Variants, check: Callable[[], object]) -> None:
        threads = self._work
        if not any(key.startswith(("data.", "seed", "model.load")) for key in self._search.space) and threads.left:
            variants.of(self._job, self._display)  # what can't be prepared ends the search at once
        self._display.line_of(self._id, None)
        threads.run(check)

    @property
    def _work(self) -> TrialThreads:
        assert self._trials is not None  # set once the search is claimed
        return self._trials

    def _stop(self, request: Stop) -> None:
        """Stop the search as a request says that was left in its folder."""
        self._display.note(f"stopping {'at once' if request.now else 'at the end of the epochs'}: {request.reason}")
        self._work.stop(request.now, request.reason)

    def _note_trial(self, trial: TrialRecord, leads: bool) -> None:
        self._display.note(trial_line(trial, self._search.goal.metric, leads))

    def _best(self) -> TrialRecord:
        trials = self._work.trials
        found = best(trials, self._search.goal.mode)
        if found is None:
            reasons = [f"trial {trial.number} failed: {trial.reason}" for trial in trials if trial.reason]
            raise NoTrialFinished(
                f"none of the search's {counted(len(trials), 'trial')} has left a model. {reasons[0] if reasons else ''}"
            )
        return found

    def _publish(self, found: TrialRecord) -> None:
        trials = self._work.trials
        about = {
            "trial": found.number,
            "parameters": found.parameters,
            "goal": {**self._search.goal.model_dump(), "value": found.value},
            "sampler": self._sampler,
            "seed": self._seed,
            "trials": counts(trials),
        }
        job = self._base.job(found.parameters).to_yaml()
        goal = self._search.goal
        title = f"{self._job.name}: {goal.metric} of {counted(len(trials), 'trial')}"
        files = result_files(trials, self._search, title, self._display.log.text(), self._display.note)
        self._display.console.print(rich_table(trials, goal.metric, goal.mode))
        self._folder.publish_best(found, job, about, files, time.monotonic() - self._begun)

    def _prepared(self, job: Job, variant: str, display: RunDisplay) -> Prepared:
        """Return the prepared rows of a job, for all trials that have them."""
        context = self._spark.sparkContext
        parent = find_parent_run(self._spark, job.model.load, self._hadoop) if job.model.load is not None else None
        ship(context, modules_of(job, self._supplied.functions), self._folders, job.model.files)
        stores = job.data.keep == "storage" and job.data.prepared is None
        prepared = prepare_rows(
            self._spark,
            job,
            self._supplied,
            self._folders,
            display,
            parent=parent,
            counted=job.training.split == "epochs",
            read_again=True,
            store_at=f"{self._folder.place.url}/{ROWS}/{variant}" if stores else None,
        )
        try:
            display.step("keeping the rows for all trials")
            prepared.share(job.data.label_column, job.seed)
        except BaseException:
            prepared.release()
            raise
        return prepared

    def _record(self, code: dict[str, str]) -> SearchRecord:
        return SearchRecord(
            job=identity(self._base.mapping, {}, [])["configuration"],
            code=code,
            space={key: each.model_dump(by_alias=True, exclude_none=True) for key, each in self._search.space.items()},
            goal=self._search.goal.model_dump(),
            sampler=self._sampler,
            seed=self._seed,
            given=of_supplied(self._supplied, rows_kept=False),
        )

    def _status(self) -> dict[str, Any]:
        """Return the content of status.json."""
        known = counts(self._work.trials)
        phase = f"trials: {', '.join(f'{count} {state}' for state, count in known.items())} of {self._total}"
        so_far = Result(run=self._id, status="running", seconds=time.monotonic() - self._begun)
        return {**so_far.to_dict(), "phase": phase}

    def _end(self, error: BaseException) -> tuple[Result, str]:
        result, details = failed(error, self._id, self._job, time.monotonic() - self._begun)
        self._ended(result, details)
        return result, details

    def _finished(self, summary: dict[str, Any]) -> Result:
        final = self._folder.final
        trials = json.loads(final.read_text(f"{RESULTS}/{RECORDS}"))
        return Result.of_summary(summary, final.url, history=saved_history(final), hadoop=dict(self._hadoop), trials=trials)


def trial_line(trial: TrialRecord, metric: str, leads: bool) -> str:
    """Return a line on how a trial has ended."""
    short = names([trial])
    values = ", ".join(f"{short[key]} {shown(value)}" for key, value in trial.parameters.items())
    if trial.state == "failed":
        return f"trial {trial.number} failed ({values}): {(trial.reason or '').strip().partition(chr(10))[0]}"
    parts = [f"trial {trial.number}: {metric} {figure(trial.value)}{' (the best so far)' if leads else ''}", values]
    if trial.state == "stopped":
        parts.append(f"stopped after {counted(trial.epochs, 'epoch')}")
    return " · ".join([*parts, f"{trial.seconds:.0f} s"])
