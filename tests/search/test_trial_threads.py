"""Trials at work: how many at a time, what a failure costs, which end early, and what is left to resume. The runs are stand-ins."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace

import pytest

from sparktrain.config import Goal, Range, Search, Stop
from sparktrain.driver.control.run_control import RunStopped
from sparktrain.interfaces.events import EpochEvent
from sparktrain.runs.records.search import TrialRecord
from sparktrain.search.proposals import PlainProposals
from sparktrain.search.trial_run import MetricMissing
from sparktrain.search.trial_threads import TrialThreads
from sparktrain.search.trials import new_trial, read_trials, write_trial
from sparktrain.storage import open_folder


class Runs:
    """Stands where the trials' runs do: each has the epochs and values that `train` gives it, and looks at its control."""

    def __init__(self, search: Search, train) -> None:
        self.search, self._train = search, train
        self.most, self._now, self._lock = 0, 0, threading.Lock()

    def train(self, trial, control, stopping):
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        try:
            return self._train(trial, control, stopping)
        finally:
            with self._lock:
                self._now -= 1


def ended(trial, state="finished", value=0.5, **more) -> TrialRecord:
    return TrialRecord(**{**trial.content(), "state": state, "value": value, **more})


def epochs(values):
    """Train: an epoch for each value of a trial, unless its control says that it is to end."""

    def train(trial, control, stopping):
        for epoch, value in enumerate(values[trial.number], start=1):
            for tell in control.subscribers:
                tell(EpochEvent(trial.run, epoch, len(values[trial.number]), 0.1, {"val_auc": value}))
            if control.asked is not None:
                return ended(trial, "stopped", value, epochs=epoch, reason=control.asked.reason)
        return ended(trial, value=value, epochs=epoch)

    return train


@pytest.fixture
def threads(tmp_path):
    """Makes the threads of a search of five trials; `folder` is where its records are."""
    folder = SimpleNamespace(place=open_folder(str(tmp_path)), check=lambda: None)

    def make(train, before=(), **keys) -> TrialThreads:
        space = {"a": Range(choice=[0, 1, 2, 3, 4])}
        search = Search(**{"space": space, "goal": Goal(metric="val_auc", mode="max"), "trials": 5, **keys})
        made = TrialThreads(Runs(search, train), PlainProposals(space, "grid", 7), folder, before, 5, lambda *_: None)
        made.folder = folder.place
        return made

    return make


def nothing() -> None:
    """Look on at nothing."""


def test_as_many_trials_as_are_asked_for_train_at_the_same_time(threads):
    both = threading.Barrier(2, timeout=20)

    def train(trial, control, stopping):
        if trial.number < 4:
            both.wait()
        return ended(trial)

    made = threads(train, parallel=2)
    made.run(nothing)
    assert [trial.parameters["a"] for trial in made.trials] == [0, 1, 2, 3, 4] and made._runs.most == 2
    assert read_trials(made.folder) == made.trials and made.left == 0


def test_bad_trials_end_at_an_epoch_s_end_and_the_best_goes_on(threads):
    made = threads(epochs([[0.6] * 4, [0.9] * 4, [0.5] * 4, [0.7] * 4, [0.95] * 4]), stop=Stop(by="asha"))
    made.run(nothing)
    assert [(trial.state, trial.epochs) for trial in made.trials] == [
        ("finished", 4),
        ("finished", 4),
        ("stopped", 1),
        ("stopped", 1),
        ("finished", 4),
    ]
    assert "(asha)" in made.trials[2].reason


def test_what_every_trial_would_fail_of_ends_the_search_and_those_at_work_are_left_to_resume(threads):
    def train(trial, control, stopping):
        if trial.number == 1:
            raise MetricMissing([], "the search")
        while not control.asked:
            time.sleep(0.01)
        assert control.asked.now and stopping()
        raise RunStopped("at once")

    made = threads(train, parallel=2)
    with pytest.raises(MetricMissing):
        made.run(nothing)
    assert [(trial.number, trial.state) for trial in read_trials(made.folder)] == [(0, "running"), (1, "running")]


def test_an_interruption_of_the_main_thread_stops_every_trial_at_once(threads):
    begun = threading.Event()

    def train(trial, control, stopping):
        begun.set()
        while not control.asked:
            time.sleep(0.01)
        raise RunStopped("at once")

    def ctrl_c() -> None:
        if begun.is_set():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        threads(train, parallel=2).run(ctrl_c)


def test_a_search_that_is_stopped_ends_with_the_epochs_at_work_and_one_stopped_at_once_with_none(threads):
    def train(trial, control, stopping):
        made.stop(now, "asked")
        if control.asked.now:
            raise RunStopped("at once")
        return ended(trial, "stopped", epochs=1)

    now = False
    made = threads(train)
    made.run(nothing)
    assert [trial.state for trial in made.trials] == ["stopped"]
    now = True
    made = threads(train, made.trials)
    with pytest.raises(RunStopped, match="asked"):
        made.run(nothing)
    assert [trial.state for trial in read_trials(made.folder)] == ["stopped", "running"]


def test_no_trial_begins_after_the_time_limit_and_those_at_work_end_with_their_epoch(threads):
    def train(trial, control, stopping):
        while not control.asked:
            time.sleep(0.01)
        return ended(trial, "stopped", reason=control.asked.reason)

    made = threads(train, time_limit=0.001)
    made.run(nothing)
    assert ["time_limit of 0.001 minutes is over" in trial.reason for trial in made.trials] == [True]


def test_trials_that_were_at_work_go_on_first_and_those_that_had_ended_stay(threads):
    begun = []

    def train(trial, control, stopping):
        begun.append(trial.number)
        return ended(trial)

    before = [ended(new_trial(0, {"a": 0}), "failed", None), new_trial(1, {"a": "kept"})]
    made = threads(train, before)
    for trial in before:
        write_trial(made.folder, trial)
    made.run(nothing)
    assert begun == [1, 2, 3, 4] and made.trials[0] == before[0] and made.trials[1].parameters == {"a": "kept"}
