"""Trains one trial of a search, and records how it ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pyspark.sql import SparkSession

from sparktrain.cluster.executors.slots import ClusterRefused, NoSlots
from sparktrain.config import BaseJob, ConfigError, Job, Problem, Search
from sparktrain.config.training import Output, Warm
from sparktrain.display.search_progress import SearchDisplay, TrialDisplay
from sparktrain.driver.control.run_control import RunControl
from sparktrain.driver.failure_report import failed
from sparktrain.driver.supplied_objects import SuppliedObjects
from sparktrain.driver.training_run import run_job
from sparktrain.interfaces.launch import EngineRefused
from sparktrain.runs.records.search import TrialRecord
from sparktrain.runs.result import Result
from sparktrain.search.trials import is_number
from sparktrain.search.variants import Variants

# What a trial can't do anything about, so that every other would fail in the same way
ENDS_THE_SEARCH = (ClusterRefused, EngineRefused)
_WORKERS = "training.workers"


class MetricMissing(ConfigError):
    """Raised where the model that a search trains lacks the metric that is its goal."""


@dataclass(frozen=True)
class TrialRuns:
    """Trains the trials of a search, each as a run of its own. Its methods may be called from several threads.

    Attributes:
        output: the URL of the folder that the trials' runs are written to.
        warm: whether training processes are forked from one that stays on each executor.
        supplied: objects that a program passes in place of names in the configuration.
        folders: where `module:function` is looked up.
    """

    spark: SparkSession
    search: Search
    base: BaseJob
    output: str
    warm: bool
    supplied: SuppliedObjects
    folders: Sequence[str]
    variants: Variants
    display: SearchDisplay

    def job(self, values: dict[str, Any]) -> Job:
        """Return the job of a trial.

        Raises:
            ConfigError: it can't work with these values.
        """
        return arranged(self.base.job(values), self.output, self.warm)

    def train(self, trial: TrialRecord, control: RunControl, stopping: Callable[[], bool]) -> TrialRecord:
        """Train a trial, or resume it, and return its record as it ended.

        Args:
            control: the control of the trial's run.
            stopping: returns whether the whole search is being stopped at once.

        Raises:
            MetricMissing, ClusterRefused, EngineRefused, NoSlots: every other trial would fail in the same way.
            Exception: whatever ended it, if the search is being stopped at once.
        """
        begun = time.monotonic()
        try:
            job = self.job(trial.parameters)
            display = self.display.trial(trial.run)
            result = self._run(trial, job, display, control)
        except ENDS_THE_SEARCH:
            raise
        except Exception as error:
            if isinstance(error, NoSlots) and _WORKERS not in self.search.space:
                raise
            if stopping() or is_gone(self.spark):
                raise  # it isn't the trial's failure: it is resumed under the search's id
            result, details = failed(error, trial.run, None, 0.0)
            self.display.log.add(f"{trial.run}: {result.reason}\n{details}".rstrip())
            return _ended(trial, "failed", begun, reason=result.reason)
        finally:
            self.display.line_of(trial.run, None)
        metric = self.search.goal.metric
        if metric not in result.metrics:
            known = ", ".join(result.metrics)
            raise MetricMissing([Problem("goal.metric", f"{metric} came", f"one of the model's metrics: {known}")], "the search")
        planned = job.training.epochs_of_each(result.workers)
        early = control.asked.reason if control.asked is not None and result.epochs < planned else None
        return of_result(trial, result, metric, begun, early)

    def _run(self, trial: TrialRecord, job: Job, display: TrialDisplay, control: RunControl) -> Result:
        supplied = replace(self.supplied, prepared=self.variants.of(job, display))
        return run_job(
            self.spark, job, run_id=trial.run, supplied=supplied, folders=self.folders, display=display, control=control
        )


def is_gone(spark: SparkSession) -> bool:
    """Return whether the application has ended, so that no further trial can be trained."""
    try:
        return bool(spark.sparkContext._jsc.sc().isStopped())
    except Exception:  # the JVM doesn't answer
        return True


def arranged(job: Job, output: str, warm: bool) -> Job:
    """Return a trial's job: written to the search's folder, and with warm training processes unless it says otherwise."""
    return with_warm(job, warm).model_copy(update={"output": Output(path=output)})


def with_warm(job: Job, warm: bool) -> Job:
    """Return the job with warm training processes, if `warm`, unless it says otherwise itself."""
    if not warm or "warm" in job.cluster.model_fields_set:
        return job
    return job.model_copy(update={"cluster": job.cluster.model_copy(update={"warm": Warm()})})


def of_result(trial: TrialRecord, result: Result, metric: str, begun: float, early: str | None = None) -> TrialRecord:
    """Return the record of a trial whose run has finished.

    Args:
        metric: the goal's metric, which the run has.
        begun: when the trial began, by the monotonic clock.
        early: why it was ended before its last epoch; None if it wasn't.
    """
    values = [value if is_number(value) else None for value in result.history.get(metric, [])]
    more = {"values": values, "metrics": dict(result.metrics), "epochs": result.epochs}
    value = result.metrics[metric]
    if not is_number(value):
        return _ended(trial, "failed", begun, reason=f"{metric} is {value}", **more)
    return _ended(trial, "finished" if early is None else "stopped", begun, value=value, reason=early, **more)


def _ended(trial: TrialRecord, state: str, begun: float, **more: Any) -> TrialRecord:
    seconds = round(time.monotonic() - begun, 3)
    return TrialRecord.model_validate({**trial.content(), "state": state, "seconds": seconds, **more})
