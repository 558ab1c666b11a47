"""Runs of one cluster take turns in gathering executors, by small files on a storage that they share."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparktrain.driver.attempts.executor_lease import GATHERING, TRAINING, ExecutorLease, next_move
from sparktrain.storage import open_folder


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def runs(tmp_path):
    """Makes runs on one cluster, with a clock that stands still."""
    clock, notes = Clock(), []

    def make(name: str, cluster: str = "yarn default", folder=tmp_path) -> ExecutorLease:
        who = {"application": f"application_{name}", "user": "ann", "job": name}
        return ExecutorLease(open_folder(str(folder)), cluster, who, notes.append, clock)

    make.clock, make.notes, make.folder = clock, notes, tmp_path
    return make


@pytest.mark.parametrize(
    "mine, state, silence, move",
    [
        (False, None, 0.0, "claim"),
        (False, GATHERING, 30.0, "wait"),
        (False, GATHERING, 30.1, "claim"),  # its owner is dead
        (False, TRAINING, 0.0, "claim"),
        (True, GATHERING, 1000.0, "renew"),
    ],
)
def test_a_lease_is_claimed_once_its_owner_has_its_executors_or_is_dead(mine, state, silence, move):
    assert next_move(mine, state, silence) == move


def test_one_gathers_and_the_other_is_told_for_whom_it_waits(runs):
    first, second = runs("1"), runs("2")
    assert first.take() and first.take() and not second.take()
    assert second.whose() == "application_1 (1, user ann) gathers its executors"
    first.done()
    assert second.take()
    assert second.whose() == "application_1 (1, user ann) has its executors"
    first.end(), second.end()
    assert not list(runs.folder.iterdir()) and not runs.notes


def test_a_run_that_was_killed_loses_its_turn_and_one_that_gives_signs_keeps_it(runs):
    first, second = runs("1"), runs("2")
    assert first.take()
    for _ in range(20):
        runs.clock.now += 5
        assert first.take() and not second.take()
    runs.clock.now += 29
    assert not second.take()
    runs.clock.now += 2
    assert second.take()
    assert not first.take()  # it was only slow: it learns that it is another's turn
    second.done()
    assert first.take()
    first.end(), second.end()
    assert not list(runs.folder.iterdir())


def test_other_clusters_have_their_own_turns(runs):
    assert runs("1").take() and runs("2", cluster="yarn nightly").take()


def test_without_a_shared_storage_a_run_gathers_as_if_it_were_alone_and_says_so_once(runs, tmp_path):
    (tmp_path / "file").write_text("")
    alone = runs("1", folder=tmp_path / "file")
    assert alone.take() and alone.take()
    alone.done(), alone.end()
    assert len(runs.notes) == 1 and "take turns" in runs.notes[0]


@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["take", "done", "end"])), max_size=30))
def test_never_two_at_once_in_any_order(tmp_path_factory, moves):
    folder, clock = open_folder(str(tmp_path_factory.mktemp("turns"))), Clock()
    runs = [ExecutorLease(folder, "yarn", {"application": str(n), "user": "u", "job": "j"}, pytest.fail, clock) for n in range(3)]
    gathering: set[int] = set()
    for number, move in moves:
        if move == "take":
            if runs[number].take():
                gathering.add(number)
        elif move == "done":
            if number in gathering:
                runs[number].done()
                gathering.discard(number)
        else:
            runs[number].end()
            gathering.discard(number)
        assert len(gathering) <= 1
