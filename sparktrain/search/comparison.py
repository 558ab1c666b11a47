"""Train the same job with several engines, numbers of workers and ways to divide the work, and compare the results."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from pyspark.sql import SparkSession

from sparktrain.cluster.processes.warm_start import warm_by_default
from sparktrain.config import Job
from sparktrain.config.rules.data import refuse_cross_validation
from sparktrain.data import prepare
from sparktrain.display.figures import figure
from sparktrain.driver.artifacts.plots import new_figure, png
from sparktrain.driver.failure_report import failed
from sparktrain.driver.supplied_objects import SuppliedObjects
from sparktrain.driver.training_run import run_job
from sparktrain.interfaces.engines import ENGINES
from sparktrain.search.trial_run import with_warm
from sparktrain.usercode.lookup import resolve, search_folders


@dataclass(frozen=True)
class Variant:
    """One way to train: an engine, a number of workers, and how the work is divided and averaged."""

    engine: str
    workers: int
    split: str = "rows"
    average: str | int = "step"

    @property
    def name(self) -> str:
        if self.workers == 1:
            return f"{self.engine}, 1 worker"
        return f"{self.engine}, {self.workers} workers, split {self.split}, average {self.average}"


@dataclass(frozen=True)
class Outcome:
    """The measurements of a variant that was trained to its end.

    Attributes:
        seconds: duration of training, from the first step to the last epoch's end.
        rows_per_second: over all workers.
        rows_per_epoch: the rows that all workers together train on in an epoch.
        epoch_seconds: duration of each epoch.
        history: the values of each metric, by epoch.
    """

    variant: Variant
    seconds: float
    rows_per_second: float
    rows_per_epoch: int
    epoch_seconds: list[float]
    history: dict[str, list[float]]

    def moments(self) -> Iterator[tuple[int, float, int]]:
        """Yield for each epoch's end: its number from 1, seconds since training began, rows seen by all workers."""
        seconds = 0.0
        for epoch, took in enumerate(self.epoch_seconds, start=1):
            seconds += took
            yield epoch, seconds, epoch * self.rows_per_epoch


def variants(
    engines: Sequence[str], workers: Sequence[int], splits: Sequence[str], averages: Sequence[str | int]
) -> list[Variant]:
    """Return all distinct ways to train, one worker alone first, for which `split` and `average` make no difference."""
    found = [Variant("single", 1)]
    found += [Variant(engine, 1) for engine in engines if ENGINES[engine].one_worker and engine != "single"]
    many = [engine for engine in engines if not ENGINES[engine].one_worker]
    found += [Variant(*each) for each in product(many, [n for n in workers if n > 1], splits, averages)]
    return found


@dataclass(frozen=True)
class Failure:
    """A variant that was not trained to its end.

    Attributes:
        reason: why it failed.
        details: the text of the error, to be shown below the reason.
    """

    variant: Variant
    reason: str
    details: str


def compare(
    spark: SparkSession, job: Job, ways: Sequence[Variant], config_file: str, tell: Callable[[str], None]
) -> Iterator[Outcome | Failure]:
    """Train a job in each of several ways, one after the other, on the same prepared rows and with the same seed.

    Args:
        job: what all ways have in common; the models are deleted.
        ways: the ways to train, from `variants`.
        config_file: the job's file; `module:function` is looked up in its folder, too.
        tell: is called with a line of text as each way begins.

    Yields:
        The outcome of each way, as soon as it is known; if one fails, its Failure, and the next way follows.
    """
    refuse_cross_validation(job.data, "compare ways to train it")
    job = with_warm(job, warm_by_default(spark.sparkContext))
    folders = search_folders(config_file)
    preprocess = resolve(job.data.preprocess, folders) if job.data.preprocess is not None else None
    tell("preparing the rows")
    prepared = prepare(spark, job.data, seed=job.seed, preprocess=preprocess, read_again=True)
    try:
        for number, way in enumerate(ways, start=1):
            tell(f"{number} of {len(ways)}: {way.name}")
            training = job.training.model_copy(
                update={
                    "engine": way.engine,
                    "workers": way.workers,
                    "split": way.split,
                    "average": way.average,
                }
            )
            try:
                yield _train(spark, job.model_copy(update={"training": training}), prepared, folders, way)
            except Exception as error:
                result, details = failed(error, way.name, None, 0)
                yield Failure(way, result.reason or "", details)
    finally:
        prepared.release()


def metric_of(outcome: Outcome, asked: str) -> str:
    """Return the metric to compare by: `asked` if the model has it, else the first one other than the loss, else "loss"."""
    names = [name for name in outcome.history if not name.startswith("val_") and name != "loss"]
    return asked if asked in names else next(iter(names), "loss")


def _train(spark: SparkSession, job: Job, prepared: Any, folders: Sequence[str], way: Variant) -> Outcome:
    # The frame is what is kept: each run's own copy of it would be released with the run
    result = run_job(spark, job, supplied=SuppliedObjects(prepared=replace(prepared, _kept=[])), folders=folders)
    result.delete()
    summary = result.summary
    rows = result.rows * (way.workers if way.split == "epochs" else 1)
    return Outcome(way, summary["seconds"]["train"], summary["rows_per_second"], rows, summary["epoch_seconds"], result.history)


def markdown(outcomes: Sequence[Outcome], metric: str, failures: Sequence[Failure] = ()) -> str:
    """Return a Markdown table: seconds, speed-up over the first outcome, rows/s, loss and metric (at the end, at one moment).

    Args:
        metric: the name of a metric in the history; the value on the validation rows is shown if there is one.
        failures: listed below the table.
    """
    told = "".join(f"\n- {failure.variant.name}: failed. {failure.reason}" for failure in failures) + "\n" * bool(failures)
    if not outcomes:
        return told
    first = outcomes[0]
    shown = [name for name in dict.fromkeys(("loss", "val_loss", metric, f"val_{metric}")) if name in first.history]
    soonest = min(outcome.seconds for outcome in outcomes)
    head = [
        "engine",
        "workers",
        "split",
        "average",
        "epochs",
        "seconds",
        "speed-up",
        "rows/s",
        *shown,
        f"{shown[-1]} after {soonest:.0f} s",
        f"{shown[-1]} after {first.rows_per_epoch:,} rows",
    ]
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * 4}{' ---: |' * (len(head) - 4)}"]
    for outcome in outcomes:
        way = outcome.variant
        alone = way.workers == 1
        cells = [
            way.engine,
            str(way.workers),
            "-" if alone else way.split,
            "-" if alone else str(way.average),
            str(len(outcome.epoch_seconds)),
            f"{outcome.seconds:.1f}",
            f"{first.seconds / outcome.seconds:.2f}",
            f"{outcome.rows_per_second:,.0f}",
            *(figure(outcome.history[name][-1]) for name in shown),
            _at(outcome, shown[-1], lambda epoch, seconds, rows: seconds <= soonest * 1.02),
            _at(outcome, shown[-1], lambda epoch, seconds, rows: rows <= first.rows_per_epoch),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n" + told


def _at(outcome: Outcome, metric: str, reached: Callable[[int, float, int], bool]) -> str:
    """Return a metric at the last epoch's end that lies within a bound."""
    epochs = [epoch for epoch, seconds, rows in outcome.moments() if reached(epoch, seconds, rows)]
    return figure(outcome.history[metric][epochs[-1] - 1]) if epochs else "-"


def table_csv(outcomes: Sequence[Outcome]) -> str:
    """Return a CSV with a line for each epoch of each outcome: when it ended, rows seen by all workers, metrics."""
    metrics = sorted({name for outcome in outcomes for name in outcome.history})
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["engine", "workers", "split", "average", "epoch", "seconds", "rows", *metrics])
    for outcome in outcomes:
        way = outcome.variant
        for epoch, seconds, rows in outcome.moments():
            values = [outcome.history[name][epoch - 1] if name in outcome.history else "" for name in metrics]
            writer.writerow([way.engine, way.workers, way.split, way.average, epoch, f"{seconds:.3f}", rows, *values])
    return text.getvalue()


def picture(outcomes: Sequence[Outcome], metric: str, title: str) -> bytes:
    """Return a PNG that plots loss and metric by seconds of training and by rows seen.

    Raises:
        ModuleNotFoundError: matplotlib isn't installed.
    """
    figure = new_figure(12, 8)
    figure.suptitle(title)
    panels = figure.subplots(2, 2, sharey="row")
    for row, name in enumerate(("loss", metric)):
        key = f"val_{name}" if f"val_{name}" in outcomes[0].history else name
        for column, unit in enumerate(("seconds of training", "rows seen by all workers")):
            axes = panels[row][column]
            for outcome in outcomes:
                moments = list(outcome.moments())
                axes.plot(
                    [moment[1 + column] for moment in moments],
                    outcome.history[key],
                    marker="o",
                    markersize=3,
                    label=outcome.variant.name,
                )
            axes.set(xlabel=unit, ylabel=key if column == 0 else "")
    panels[0][0].legend(fontsize=7)
    return png(figure)
