"""The mean and the deviation of folds' metrics, and what they are when a fold has no number."""

from __future__ import annotations

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparktrain.display.tables import end_table
from sparktrain.runs.result import Result
from sparktrain.search.fold_metrics import deviation, fold_line, folds_csv, folds_markdown, mean, summary_of_folds

SUMMARY = {"validation_rows": 25, "rows_per_second": 10.0, "seconds": {"prepare": 1.0, "train": 3.0}, "notes": ["a note"]}


def fold(number: int, **metrics) -> Result:
    return Result(
        f"fold-{number}", "finished", rows=75, epochs=2, workers=1, engine="single", attempts=1, metrics=metrics, summary=SUMMARY
    )


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=10))
def test_they_are_those_of_the_statistics(values):
    assert mean(values) == statistics.fmean(values) and deviation(values) == statistics.stdev(values)


@pytest.mark.parametrize("missing", [math.nan, math.inf, None])
def test_a_fold_without_a_number_leaves_neither_mean_nor_deviation(missing):
    assert mean([0.5, missing]) is None and deviation([0.5, missing]) is None


def test_the_summary_has_what_all_folds_have():
    results = [fold(0, loss=0.5, val_auc=0.8), fold(1, loss=0.7, val_auc=0.6, own=1.0)]
    summary = summary_of_folds("mine", "flights", results, 12.3456)
    assert summary.metrics == {"loss": pytest.approx(0.6), "val_auc": pytest.approx(0.7)}
    assert summary.deviations == {"loss": pytest.approx(math.sqrt(0.02)), "val_auc": pytest.approx(math.sqrt(0.02))}
    assert (summary.folds, summary.rows, summary.attempts, summary.wall) == (2, 75, 2, 12.346)
    assert summary.notes == ["a note"] and summary.seconds == {"prepare": 1.0, "train": 3.0}
    shown = end_table(summary.content())
    assert any("± 0.1414" in str(cell) for column in shown.columns for cell in column.cells)


def test_the_tables_have_a_line_for_each_fold():
    results = [fold(0, loss=0.5), fold(1, loss=0.7)]
    summary = summary_of_folds("mine", "flights", results, 1.0)
    assert folds_csv(results).splitlines() == ["fold,rows,validation_rows,epochs,loss", "0,75,25,2,0.5", "1,75,25,2,0.7"]
    lines = folds_markdown(results, summary).splitlines()
    assert lines[0] == "| fold | rows | validation rows | loss |" and len(lines) == 6
    assert lines[2] == "| 0 | 75 | 25 | 0.5000 |" and lines[-1].startswith("| deviation |  |  | 0.1414")
    assert fold_line(1, results[1]) == "fold 1: loss 0.7000"
