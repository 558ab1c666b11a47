"""How a run's end is told: one JSON line whatever happens, an exit status, numbers of the weights that were kept."""

from __future__ import annotations

import json
import math

import pytest

from sparktrain.cli.command import main as command
from sparktrain.cli.job_program import _unless_it_fails
from sparktrain.cluster.executors.slots import NoSlots
from sparktrain.cluster.root_cause import WorkerFailure
from sparktrain.cluster.stage import AttemptFailed
from sparktrain.config import ConfigError, Job
from sparktrain.config.names import check_run_id
from sparktrain.data import Prepared
from sparktrain.display.result_line import say
from sparktrain.driver.failure_report import failed
from sparktrain.driver.timeline import RunTimeline
from sparktrain.interfaces.messages import Failure, Finished, Joined, Phase
from sparktrain.launcher.job_arguments import arguments
from sparktrain.runs.result import Result, exit_status
from sparktrain.usercode.lookup import check_function, source


def last_line(capsys) -> dict:
    return json.loads(capsys.readouterr().out.splitlines()[-1])


@pytest.mark.parametrize("words", [["--config"], ["--config", "a.yaml", "--epochs", "3"], []])
def test_a_command_line_that_cannot_work_is_refused_with_the_line(capsys, words):
    with pytest.raises(SystemExit) as end:
        arguments().parse_args(words)
    assert end.value.code == 2
    assert last_line(capsys)["status"] == "refused"


@pytest.mark.parametrize("run_id", ["latest", "a/b", "../up", "_runs", ".hidden", "a,b", ""])
def test_a_run_id_that_is_no_name_of_a_folder_is_refused(capsys, run_id):
    with pytest.raises(ConfigError, match="--run-id"):
        check_run_id(run_id)
    assert command(["validate", "--config", "none.yaml", f"--run-id={run_id}"]) == 2
    assert "--run-id" in last_line(capsys)["reason"]


def test_a_module_that_cannot_be_parsed_is_refused_with_its_line(tmp_path):
    (tmp_path / "old.py").write_text("def build():\n    print 'python 2'\n")
    assert "line 2" in str(check_function("model.build", "old:build", [str(tmp_path)]))


def test_the_line_comes_also_where_the_result_file_cannot_be_written(capsys, tmp_path):
    say(Result(run="a", status="finished", metrics={"auc": math.nan}), str(tmp_path / "no" / "folder"))
    assert last_line(capsys)["metrics"] == {"auc": None}


def test_what_follows_a_run_cannot_change_its_end(capsys):
    def leave():
        raise SystemExit(7)

    _unless_it_fails("on_end (mine:tell)", leave)
    assert "on_end (mine:tell) failed" in capsys.readouterr().err


LOST = AttemptFailed(WorkerFailure(1, 1, "node", Failure("code", "KeyError", "'x'", "Traceback: mine")))


@pytest.mark.parametrize(
    "error, status, code, reason, details",
    [
        (KeyboardInterrupt(), "stopped", 1, "stopped from outside", ""),
        (SystemExit(0), "failed", 1, "SystemExit", "Traceback"),  # of the user's own code
        (RuntimeError("mine"), "failed", 1, "RuntimeError: mine", "Traceback"),
        (NoSlots("2 of 4"), "failed", 1, "2 of 4", ""),
        (ConfigError([]), "refused", 2, "can't work", ""),
        (LOST, "failed", 1, "rank 1 on node: KeyError", "Traceback: mine"),
    ],
)
def test_each_end_has_its_status_and_users_errors_their_traceback(error, status, code, reason, details):
    try:
        raise error
    except BaseException as raised:
        result, shown = failed(raised, "a", None, 12.0)
    assert (result.status, exit_status(result), result.seconds) == (status, code, 12.0)
    assert reason in result.reason and details in shown and bool(details) == bool(shown)


def test_arguments_that_cannot_travel_are_refused_before_anything_is_read():
    with pytest.raises(ConfigError, match="model.args.*since"):
        source("mine:build", {"since": {1, 2}})


def test_a_bound_method_goes_by_value_and_keeps_its_object():
    assert source("text".upper).pickle is not None


def test_classes_go_by_their_names_and_one_without_rows_is_told():
    timeline = RunTimeline()
    timeline.message(0, Joined(0, 10, 2, 100, 3, {}, [[0, 5]]))
    timeline.message(1, Joined(1, 10, 2, 100, 3, {}, [[0, 2], [2, 3]]))
    assert timeline.class_counts(["other", "refund", "praise"]) == {"other": 7, "refund": 0, "praise": 3}
    assert timeline.class_counts(None) == {0: 7, 2: 3}
    timeline.message(0, Joined(0, 10, 2, 100, 3, {}))
    assert timeline.class_counts(["other"]) is None  # a measure


def test_a_summary_has_the_metrics_of_the_weights_that_are_kept():
    timeline = RunTimeline()
    timeline.mark("stage")
    for part, rank in enumerate([1, 0]):
        timeline.message(part, Joined(rank, 10, 2, 100, 3, {}, [[0, 20]]))
        timeline.message(part, Phase("train"))
    timeline.message(1, Phase("save"))
    timeline.mark("end")
    history = {"loss": [3.0, 1.0, 2.0]}
    finished = [Finished({}, 30, 9, {}), Finished(history, 30, 9, {}, epochs=3, best_epoch=2)]
    job = Job.from_mapping({"data": {"features": ["x"], "label": "y"}, "training": {"workers": 2, "batch_size": 4}})
    summary = timeline.summary("a", job, finished, Prepared(frame=None, classes=["no", "yes"]))
    assert summary.metrics == {"loss": 1.0} and summary.best_epoch == 2 and summary.epochs == 3
    assert (summary.rows, summary.validation_rows, summary.batch) == (20, 4, 8)
    assert summary.notes == ["class yes has no training rows"]
    assert set(summary.seconds) == {"fill", "start workers", "train", "save"}
