"""Folds at work: how many at a time, what a failure and a stop do to the others. The runs are stand-ins."""

from __future__ import annotations

import threading

import pytest

from sparktrain.driver.control.run_control import RunStopped
from sparktrain.runs.result import Result
from sparktrain.search.fold_threads import FoldThreads


def nothing() -> None:
    """Look on at nothing."""


def result(number: int) -> Result:
    return Result(f"fold-{number}", "finished")


def test_results_are_in_the_order_of_the_folds_whichever_ends_first():
    first = threading.Event()

    def train(number, control):
        if number == 0:
            assert first.wait(20), "the other fold must train at the same time"
        else:
            first.set()
        return result(number)

    threads = FoldThreads(3, 2, train)
    assert [each.run for each in threads.run(nothing)] == ["fold-0", "fold-1", "fold-2"]
    assert threads.finished == 3


def test_a_failure_ends_the_runs_at_work_and_no_further_fold_begins():
    begun, ended = [], []
    at_work = threading.Event()

    def train(number, control):
        begun.append(number)
        if number == 0:
            at_work.wait(20)
            raise KeyError("mine")
        at_work.set()
        stopped = threading.Event()
        control.subscribe(lambda event: None)
        for _ in range(200):
            if control.asked is not None:
                ended.append((number, control.asked.now))
                raise RunStopped("as asked")
            stopped.wait(0.1)
        return result(number)

    with pytest.raises(KeyError, match="mine"):
        FoldThreads(5, 2, train).run(nothing)
    assert sorted(begun) == [0, 1] and ended == [(1, True)]


def test_after_a_stop_the_models_at_work_are_trained_to_their_end_and_no_other_begins():
    begun = []

    def train(number, control):
        begun.append(number)
        if number == 1:
            threads.stop(False, "asked by me")
            assert control.asked is None
        return result(number)

    threads = FoldThreads(4, 1, train)
    with pytest.raises(RunStopped, match="asked by me; 2 of 4 folds have a model"):
        threads.run(nothing)
    assert begun == [0, 1]


def test_what_a_look_raises_ends_all():
    def look():
        raise ConnectionError("another driver has taken over")

    asked = []

    def train(number, control):
        for _ in range(200):
            if control.asked is not None:
                asked.append(number)
                break
            threading.Event().wait(0.1)
        return result(number)

    with pytest.raises(ConnectionError):
        FoldThreads(2, 2, train).run(look)
    assert sorted(asked) == [0, 1]
