"""Cross-validation: a model for each fold, the mean and deviation of their metrics, and what a killed one resumes with."""

from __future__ import annotations

import csv
import io
import json
import statistics
import sys

import numpy
import pytest

import sparktrain
from sparktrain.cli.command import main as command
from sparktrain.cluster.executors.pool import pool_of
from sparktrain.config import ConfigError
from sparktrain.runs.finished import latest, resolve
from sparktrain.runs.listing import listed
from sparktrain.storage import NotFound, open_folder

pytestmark = [pytest.mark.real, pytest.mark.usefixtures("no_children")]
GIVEN = dict(features=["x"], label="y", engine="single", epochs=2, batch_size=32)


@pytest.mark.timeout(900)
def test_each_row_is_validated_by_one_model_that_has_not_seen_it_and_the_metrics_are_means_over_the_models(
    spark, frame, small, tmp_path, capsys
):
    words = dict(GIVEN, output=f"file://{tmp_path}/models")
    result = sparktrain.cross_validate(frame, small.build, folds=3, parallel=2, run_id="crossed", **words)
    assert not pool_of(spark.sparkContext).runs()
    assert (result.status, result.run, result.output) == ("finished", "crossed", f"file://{tmp_path}/models/crossed")
    rows = frame.count()
    assert [fold.rows + fold.summary["validation_rows"] for fold in result.folds] == [rows] * 3
    assert sum(fold.summary["validation_rows"] for fold in result.folds) == rows
    for name in ("val_loss", "val_auc", "loss"):
        values = [fold.metrics[name] for fold in result.folds]
        assert len(set(values)) == 3
        assert result.metrics[name] == pytest.approx(statistics.fmean(values))
        assert result.deviations[name] == pytest.approx(statistics.stdev(values))
    # One fold's model is that of a run which is given the fold
    one = sparktrain.train(frame, small.build, validation={"folds": 3, "fold": 1}, **words)
    assert one.metrics == result.folds[1].metrics
    for mine, its in zip(one.model.get_weights(), result.folds[1].model.get_weights(), strict=True):
        assert numpy.array_equal(mine, its)
    # It has no model of its own: the latest model is another run's
    models = open_folder(f"file://{tmp_path}/models")
    assert latest(models) == one.run and {run["run"] for run in listed(models, 9)} == {"crossed", one.run}
    with pytest.raises(ValueError, match=r"expected result\.folds\[0\]\.model"):
        _ = result.model
    with pytest.raises(NotFound, match=r"a cross-validation.*fold-0"):
        resolve(result.output)
    lines = list(csv.DictReader(io.StringIO(open_folder(result.output).read_text("folds.csv"))))
    assert [float(line["val_auc"]) for line in lines] == [fold.metrics["val_auc"] for fold in result.folds]
    assert not models.exists("_searches/crossed") and "fold-0" in open_folder(result.output).list()
    capsys.readouterr()
    assert command(["runs", "show", result.output]) == 0
    assert "±" in capsys.readouterr().out
    # Under its id again it is finished, and nothing is trained
    again = sparktrain.cross_validate(frame, small.build, folds=3, parallel=2, run_id="crossed", **words)
    assert again.metrics == result.metrics and again.deviations == result.deviations


def test_what_trains_one_model_refuses_folds_and_says_what_takes_them(frame, small):
    with pytest.raises(ConfigError, match=r"data\.validation\.folds: came to train one model.*sparktrain\.cross_validate"):
        sparktrain.train(frame, small.build, validation={"folds": 3}, **GIVEN)
    with pytest.raises(ConfigError, match="validation: came; expected folds"):
        sparktrain.cross_validate(frame, small.build, validation={"fraction": 0.2}, **GIVEN)


KILLED = """
import os, sys
from sparktrain.cli import main
from sparktrain.search import cross_validation

fold_line = cross_validation.fold_line

def kill(number, result):
    if number == 1:
        os._exit(9)
    return fold_line(number, result)

if os.environ["KILL"] == "yes":
    cross_validation.fold_line = kill
sys.exit(main())
"""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_cross_validation_that_was_killed_resumes_under_its_id_with_the_models_that_it_had(home, program):
    (home / "killed.py").write_text(KILLED)
    words = [sys.executable, "killed.py", "--config", "job.yaml", "--run-id", "mine", "--set", "data.validation={folds: 3}"]
    killed = program(words, KILL="yes")
    assert killed.returncode == 9, killed.stderr[-3000:]
    folds = home / "models" / "_searches" / "mine" / "folds"
    had = {name: (folds / name / "model.keras").stat().st_mtime_ns for name in ("fold-0", "fold-1")}
    resumed = program(words, KILL="no")
    assert resumed.returncode == 0, resumed.stderr[-3000:]
    assert "resuming cross-validation mine" in resumed.stderr
    line = json.loads(resumed.stdout.strip().splitlines()[-1])
    final = home / "models" / "mine"
    assert (line["status"], line["run"], line["output"]) == ("finished", "mine", f"file://{final}")
    assert {name: (final / name / "model.keras").stat().st_mtime_ns for name in had} == had
    summary = json.loads((final / "summary.json").read_text())
    assert summary["folds"] == 3 and summary["deviations"].keys() == summary["metrics"].keys() == line["metrics"].keys()
    assert not (home / "models" / "_searches" / "mine").exists()
    assert (home / "told.json").read_text() == "finished"  # on_end
