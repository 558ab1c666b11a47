"""One trial of a search: what its record says of how its run ended. The runs are stand-ins."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from sparktrain.cluster.executors.slots import ClusterRefused, NoSlots
from sparktrain.config import BaseJob, Goal, Range, Search
from sparktrain.driver.control.run_control import RunControl
from sparktrain.driver.supplied_objects import SuppliedObjects
from sparktrain.runs.result import Result
from sparktrain.search import trial_run
from sparktrain.search.trial_run import MetricMissing, TrialRuns
from sparktrain.search.trials import new_trial

SEARCH = Search(space={"training.epochs": Range(choice=[3])}, goal=Goal(metric="auc", mode="max"))
BASE = {"data": {"features": ["x"], "label": "y"}, "training": {"engine": "single"}}
TRIAL = new_trial(4, {"training.epochs": 3})


@pytest.fixture
def train(monkeypatch):
    """Trains the trial by a run that ends as it is told: with a result, or by an error."""
    lines: list[str] = []

    def train(outcome, trial=TRIAL, stopping=False, gone=False, asked=False):
        def run_job(spark, job, *, run_id, **keys):
            assert (run_id, job.output.path, job.training.epochs) == ("trial-0004", "hdfs:///t", 3)
            assert job.cluster.warm is not None
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        monkeypatch.setattr(trial_run, "run_job", run_job)
        context = SimpleNamespace(_jsc=SimpleNamespace(sc=lambda: SimpleNamespace(isStopped=lambda: gone)))
        display = SimpleNamespace(
            trial=lambda run: None, line_of=lambda run, line: None, log=SimpleNamespace(add=lines.append), note=lines.append
        )
        variants = SimpleNamespace(of=lambda job, display: None)
        spark = SimpleNamespace(sparkContext=context)
        runs = TrialRuns(spark, SEARCH, BaseJob(BASE), "hdfs:///t", True, SuppliedObjects(), [], variants, display)
        control = RunControl()
        if asked:
            control.stop(reason="bad")
        return runs.train(trial, control, lambda: stopping)

    train.lines = lines
    return train


def result(value, epochs=3, metric="auc") -> Result:
    metrics, history = {metric: value}, {metric: [0.1, float("nan"), value][:epochs]}
    return Result("trial-0004", "finished", epochs=epochs, workers=1, metrics=metrics, history=history)


def test_a_trial_has_the_value_of_the_model_that_it_left_and_those_of_all_epochs(train):
    ended = train(result(0.7))
    assert (ended.state, ended.value, ended.values, ended.epochs) == ("finished", 0.7, [0.1, None, 0.7], 3)
    assert ended.parameters == TRIAL.parameters and ended.reason is None


def test_one_that_was_ended_early_says_why(train):
    ended = train(result(0.1, epochs=1), asked=True)
    assert (ended.state, ended.value, ended.reason) == ("stopped", 0.1, "bad")
    assert train(result(0.7), asked=True).state == "finished"  # it was its last epoch


@pytest.mark.parametrize("value", [float("nan"), None])
def test_a_model_whose_metric_is_no_number_has_failed(train, value):
    ended = train(result(value))
    assert (ended.state, ended.value, ended.reason) == ("failed", None, f"auc is {value}")


def test_an_error_costs_the_trial_and_its_traceback_is_in_the_search_s_log(train):
    ended = train(KeyError("mine"))
    assert (ended.state, ended.reason) == ("failed", "KeyError: 'mine'") and "Traceback" in train.lines[0]
    ended = train(result(0.7), trial=new_trial(4, {"training.epochs": 0}))
    assert ended.state == "failed" and "training.epochs" in ended.reason


@pytest.mark.parametrize("keys", [{"stopping": True}, {"gone": True}])
def test_what_is_not_the_trial_s_own_failure_leaves_it_to_be_resumed(train, keys):
    with pytest.raises(KeyError):
        train(KeyError("Spark's"), **keys)


def test_what_every_trial_would_fail_of_is_raised(train):
    with pytest.raises(ClusterRefused):
        train(ClusterRefused("no"))
    with pytest.raises(NoSlots):
        train(NoSlots("no"))
    with pytest.raises(MetricMissing, match=r"goal\.metric: auc came; expected one of the model's metrics: loss"):
        train(result(0.7, metric="loss"))
