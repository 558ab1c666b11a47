"""Whether a failed attempt is followed by another, and after how long."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparktrain.driver.attempts.retry_policy import RetryPolicy, kind_of, kind_of_failure
from sparktrain.interfaces.checkpoints import Checkpoint
from sparktrain.interfaces.messages import Failure
from sparktrain.known_messages.spark import EXECUTOR_TAKEN

FIRST, SECOND = Checkpoint(1, 0, 2), Checkpoint(2, 0, 2)


@pytest.mark.parametrize(
    "words, kind",
    [
        ("ExecutorLostFailure (executor 1 exited caused by one of the running tasks)", "lost"),
        ("ExecutorLostFailure (executor 1 exited unrelated to the running tasks) Reason: Container released", "taken"),
        ("Executor decommission finished", "taken"),
        ("ExecutorLostFailure: Container preempted by the scheduler", "taken"),
        ("Stage 3 failed: FetchFailed(...)", "lost"),
        ("AnalysisException: no such column", "final"),
    ],
)
def test_what_a_failure_was_is_read_from_sparks_words(words, kind):
    assert kind_of(words) == kind


@pytest.mark.parametrize(
    "failure, kind",
    [
        (Failure("code", "KeyError", "'x'", "ExecutorLostFailure"), "final"),
        (Failure("input", "BadInput", "nan can't be trained on"), "final"),
        (Failure("echo", "PeerLost", "gone"), "lost"),
        (Failure("lost", "Stalled", "no sign of life"), "lost"),
        (Failure("lost", "TaskLost", "gone", "Spark says: the cluster is gone"), "lost"),
        (Failure("lost", "TaskLost", "gone", f"Spark says: {EXECUTOR_TAKEN.example}"), "taken"),
    ],
)
def test_a_workers_failure_is_tried_again_unless_its_code_or_its_rows_are_wrong(failure, kind):
    assert kind_of_failure(failure) == kind


def test_a_failure_that_comes_again_ends_the_run():
    assert RetryPolicy(3).after("final", FIRST) is None


def test_a_run_goes_on_as_often_as_it_may():
    policy = RetryPolicy(2)
    assert [policy.after("lost", None) is not None for _ in range(3)] == [True, True, False]
    assert RetryPolicy(0).after("lost", FIRST) is None


def test_the_pause_grows_while_attempts_come_no_further_and_begins_anew_where_one_does():
    policy = RetryPolicy(20)
    pauses = [policy.after("lost", reached).pause for reached in (None, None, None, FIRST, FIRST, SECOND)]
    assert pauses == [1, 5, 15, 1, 5, 1]
    assert [policy.after("lost", SECOND).pause for _ in range(5)] == [5, 15, 30, 60, 60]


def test_an_executor_that_is_taken_away_costs_nothing_where_the_attempt_came_further():
    policy = RetryPolicy(0)
    assert policy.after("taken", FIRST).failures == 0 and policy.after("taken", SECOND).failures == 0
    assert policy.after("taken", SECOND) is None, "nothing new: it would be taken away again"
    assert RetryPolicy(0, reached=FIRST).after("taken", FIRST) is None, "that checkpoint is an earlier driver's"


@given(st.integers(0, 5), st.lists(st.sampled_from(["lost", "taken"]), min_size=200, max_size=200))
def test_attempts_that_come_to_nothing_new_end_whatever_ends_them(most, kinds):
    policy = RetryPolicy(most)
    went_on = [policy.after(kind, None) is not None for kind in kinds]
    assert went_on == [True] * most + [False] * (200 - most)
