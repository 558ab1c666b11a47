"""Whom an attempt waits for in vain, in every phase; and whom it waits for with good reason."""

from __future__ import annotations

import pytest

from sparktrain.cluster.stalls import Stalls
from sparktrain.interfaces.messages import Alive, Filling, Log, Phase, Progress

LIMIT = 300.0
STALL = (
    "the attempt ends after `cluster.stall_timeout`, 300 s, with who was waited for; training goes on from the last checkpoint"
)
BEFORE = {
    "start": [],
    "fill": ["fill"],
    "join": ["fill", "join"],
    "build": ["fill", "join", "build"],
    "train": ["fill", "join", "build", "train"],
    "run": ["fill", "join", "run"],
    "save": ["fill", "join", "build", "train", "save"],
}


class Clock:
    """Two workers by their messages, second by second."""

    def __init__(self, phase: str) -> None:
        self.now = 0.0
        self.stalls = Stalls(2, LIMIT, 0.0)
        for part in range(2):
            for name in ["start", *BEFORE[phase]]:
                self.say(part, Phase(name))

    def say(self, part: int, message) -> None:
        self.stalls.heard(part, message, self.now)

    def run(self, seconds: int, *messages) -> str | None:
        """Both workers' messages each second: a list of (part, message); returns the first stall's words."""
        for _ in range(seconds):
            self.now += 1
            for part, message in messages:
                self.say(part, message)
            stall = self.stalls.find(self.now)
            if stall is not None:
                self.part = stall.part
                return stall.message
        return None


@pytest.mark.failures
@pytest.mark.parametrize("phase", BEFORE)
def test_a_worker_that_gives_no_sign_of_life_ends_the_attempt_in_every_phase(phase, note_failure):
    clock = Clock(phase)
    told = clock.run(400, (0, Alive()), (0, Filling(1, 1)) if phase == "fill" else (0, Alive()))
    assert 300 < clock.now < 303 and clock.part == 1
    assert "no sign of life for 301 s" in told and "cluster.stall_timeout is 300" in told
    note_failure("A worker without a sign of life, in any phase", STALL)


@pytest.mark.parametrize("phase", ["start", "join", "build", "run", "save"])
def test_a_long_phase_of_living_workers_is_waited_for(phase):
    clock = Clock(phase)
    assert clock.run(20_000, (0, Alive()), (1, Alive())) is None


@pytest.mark.failures
def test_rows_that_do_not_come_end_the_attempt_though_the_training_process_lives(note_failure):
    """It has begun meanwhile, and tells so; the other worker has all its rows and waits."""
    clock = Clock("fill")
    clock.run(100, (0, Filling(5, 5)), (1, Filling(5, 5)))
    clock.say(0, Phase("start"))
    clock.say(1, Phase("join"))
    told = clock.run(400, (0, Alive()), (1, Alive()))
    assert clock.part == 0 and told.startswith("no rows have come to this worker for 301 s")
    note_failure("No rows come to a worker that lives, while it is filled", STALL)


def test_rows_that_come_slowly_are_waited_for():
    clock = Clock("fill")
    for _ in range(20):
        assert clock.run(250, (0, Alive()), (1, Alive())) is None
        for part in range(2):
            clock.say(part, Filling(5, 5))


def test_the_first_step_which_the_framework_compiles_is_given_a_minute_also_under_a_shorter_limit():
    def clock(*messages):
        clock = Clock("train")
        clock.stalls._limit = 10.0
        for message in messages:
            clock.say(0, message)
        return clock

    compiling = clock()
    assert compiling.run(1000, (0, Alive()), (1, Alive())) is not None and 60 < compiling.now < 63
    training = clock(Progress(1, 1, 1, 1, 1, {}))
    assert training.run(1000, (0, Alive()), (1, Alive())) is not None and 10 < training.now < 13
    silent = clock()
    assert "no sign of life" in silent.run(1000, (0, Alive())) and silent.now < 13


@pytest.mark.failures
def test_a_training_in_which_all_live_and_nobody_makes_a_step_ends_the_attempt(note_failure):
    clock = Clock("train")
    assert clock.run(1000, (0, Progress(1, 1, 1, 1, 1, {})), (1, Alive())) is None
    told = clock.run(400, (0, Alive()), (1, Log("still computing")))
    assert told.startswith("no worker has made a step for 301 s") and "all still give signs of life" in told
    note_failure("No worker makes a step, though all live", STALL)


def test_in_a_loop_of_the_users_own_a_worker_that_never_makes_the_others_call_is_named():
    clock = Clock("run")
    for waited in range(1, 400):
        told = clock.run(1, (0, Alive(float(waited))), (1, Alive()))
        if told:
            break
    assert waited == 301 and clock.part == 1
    assert "1 worker(s) have waited for 301 s in a collective call" in told and "does not make that call" in told


def test_in_a_loop_of_the_users_own_a_wait_that_ends_is_none():
    clock = Clock("run")
    for waited in [*range(1, 299), *range(1, 299)]:
        assert clock.run(1, (0, Alive(float(waited))), (1, Alive())) is None


@pytest.mark.failures
def test_a_task_that_never_comes_ends_the_attempt_and_before_the_first_nothing_is_expected(note_failure):
    stalls = Stalls(3, LIMIT, 0.0)
    assert stalls.find(100_000.0) is None, "Spark prepares the rows, which others watch"
    for part in (0, 2):
        stalls.heard(part, Phase("join"), 100_000.0)
    for second in range(100_000, 100_301):
        for part in (0, 2):
            stalls.heard(part, Alive(), float(second))
        assert stalls.find(float(second)) is None
    stalls.heard(0, Alive(), 100_301.0)
    found = stalls.find(100_301.0)
    assert found.part == 1 and "1 of 3 tasks have not begun" in found.message
    note_failure("A task that Spark never starts, beside others", STALL)


def test_nobody_waits_for_a_worker_that_has_ended():
    clock = Clock("save")
    clock.stalls.ended(1)
    assert clock.run(2000, (0, Alive())) is None


def test_the_import_of_a_framework_may_take_longer_than_a_short_limit():
    stalls = Stalls(1, 4.0, 0.0)
    stalls.heard(0, Phase("start"), 0.0)
    assert stalls.find(59.0) is None
    assert stalls.find(61.0) is not None
