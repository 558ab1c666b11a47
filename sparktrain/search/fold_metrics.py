"""The metrics of a cross-validation: their mean and deviation over the folds, as a summary and as tables."""

from __future__ import annotations

import csv
import io
import statistics
from collections.abc import Sequence
from typing import Any

from sparktrain.display.figures import figure
from sparktrain.runs.json_text import now
from sparktrain.runs.records.run import Summary
from sparktrain.runs.result import Result
from sparktrain.search.trials import is_number


def mean(values: Sequence[float | None]) -> float | None:
    """Return the mean of a metric over the folds; None if one of them has no finite value."""
    known = [value for value in values if value is not None and is_number(value)]
    return statistics.fmean(known) if len(known) == len(values) else None


def deviation(values: Sequence[float | None]) -> float | None:
    """Return the sample standard deviation, with n - 1 in the denominator; None if a fold has no finite value."""
    known = [value for value in values if value is not None and is_number(value)]
    return statistics.stdev(known) if len(known) == len(values) else None


def _metrics(results: Sequence[Result]) -> dict[str, list[float | None]]:
    """Return each metric that all folds have, with its values in the order of the folds."""
    names = [name for name in results[0].metrics if all(name in result.metrics for result in results)]
    return {name: [result.metrics[name] for result in results] for name in names}


def summary_of_folds(run: str, name: str, results: Sequence[Result], wall: float) -> Summary:
    """Return the summary of a cross-validation.

    Args:
        run: its id.
        name: the job's name.
        results: the results of the folds' runs, in the order of the folds.
        wall: seconds of all of it.
    """
    metrics = _metrics(results)

    def average(values: Sequence[Any]) -> float:
        return statistics.fmean(values)

    summaries = [result.summary for result in results]
    phases = [phase for phase in summaries[0]["seconds"] if all(phase in each["seconds"] for each in summaries)]
    return Summary(
        run=run,
        name=name,
        status="finished",
        finished=now(),
        rows=round(average([result.rows for result in results])),
        validation_rows=round(average([each["validation_rows"] for each in summaries])),
        epochs=round(average([result.epochs for result in results])),
        workers=max(result.workers for result in results),
        engine=results[0].engine or "",
        attempts=sum(result.attempts for result in results),
        metrics={each: mean(values) for each, values in metrics.items()},
        rows_per_second=round(average([each["rows_per_second"] for each in summaries]), 1),
        seconds={phase: round(average([each["seconds"][phase] for each in summaries]), 3) for phase in phases},
        wall=round(wall, 3),
        notes=list(dict.fromkeys(note for each in summaries for note in each["notes"])),
        folds=len(results),
        deviations={each: deviation(values) for each, values in metrics.items()},
    )


def fold_line(number: int, result: Result) -> str:
    """Return a line on the metrics of a fold's model."""
    return f"fold {number}: " + " ".join(f"{name} {figure(value)}" for name, value in result.metrics.items() if value is not None)


def folds_csv(results: Sequence[Result]) -> str:
    """Return a CSV with a line for each fold: rows, epochs, and the metrics with all their digits."""
    metrics = _metrics(results)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["fold", "rows", "validation_rows", "epochs", *metrics])
    for number, result in enumerate(results):
        values = ["" if each[number] is None else each[number] for each in metrics.values()]
        writer.writerow([number, result.rows, result.summary["validation_rows"], result.epochs, *values])
    return text.getvalue()


def folds_markdown(results: Sequence[Result], summary: Summary) -> str:
    """Return a Markdown table with a line for each fold, and the mean and the deviation of each metric."""
    metrics = _metrics(results)

    def cells(values: Sequence[float | None]) -> list[str]:
        return ["" if value is None else figure(value) for value in values]

    lines = [["fold", "rows", "validation rows", *metrics], [" --- "] * (3 + len(metrics))]
    for number, result in enumerate(results):
        rows = [str(number), f"{result.rows:,}", f"{result.summary['validation_rows']:,}"]
        lines.append([*rows, *cells([values[number] for values in metrics.values()])])
    lines.append(["mean", "", "", *cells([summary.metrics[name] for name in metrics])])
    lines.append(["deviation", "", "", *cells([summary.deviations[name] for name in metrics])])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
