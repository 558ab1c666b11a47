"""Runs of one application lease its executors: whose turn it is, and what those that end leave."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparktrain.cluster.executors.gathering import gather
from sparktrain.cluster.executors.gathering_policy import Bounds, Plan
from sparktrain.cluster.executors.pool import ExecutorPool, Ticket
from sparktrain.cluster.executors.slots import NoSlots, Slots


class FakeRequests:
    """Stands for Spark's scheduler in decisions that need none: so many executors are up, whatever is asked for."""

    def __init__(self, up: int, local: bool = False) -> None:
        self.up, self.local, self.resets = up, local, 0

    def count(self) -> Slots:
        return Slots(1, self.up, 1, local=True) if self.local else Slots(self.up, 4, 1, local=False)

    def apply(self, plan: Plan, busy: int) -> None:
        pass

    def reset(self) -> None:
        self.resets += 1


@pytest.fixture
def pool() -> ExecutorPool:
    return ExecutorPool(FakeRequests(3))


def lease(pool: ExecutorPool, who: str, workers: int, **words) -> Ticket:
    ticket = pool.enter(who, **words)
    gather(pool, ticket, Bounds(workers, workers), timeout=0.0)
    return ticket


def started(pool: ExecutorPool, ticket: Ticket, workers: int) -> threading.Event:
    """Set once the ticket has leased its workers, in a thread that waits for them."""
    leased = threading.Event()

    def wait() -> None:
        gather(pool, ticket, Bounds(workers, workers), timeout=60.0)
        leased.set()

    threading.Thread(target=wait, daemon=True).start()
    return leased


def test_runs_share_the_executors_and_one_that_finds_too_few_is_told_who_has_them(pool):
    one, two = lease(pool, "a", 1), lease(pool, "b", 1)
    told = []
    third = pool.enter("c")
    thread = threading.Thread(target=gather, args=(pool, third, Bounds(2, 2), 60.0, None, told.append), daemon=True)
    thread.start()
    fourth = pool.enter("d")
    while not told:
        thread.join(0.05)
    assert told[0] == "waiting for executors: 1 of 2 are free; run a has 1 of them, run b has 1 of them"
    assert str(pool.others(fourth)) == "run a has 1 of them, run b has 1 of them, run c is served before it"
    pool.leave(one)
    thread.join(10)
    assert third.leased == 2 and pool.others(fourth).training == (("b", 1), ("c", 2)) and not pool.others(fourth).before
    pool.leave(two)


def test_a_small_run_does_not_go_before_a_large_one_that_came_first_but_one_of_higher_priority_does(pool):
    first = lease(pool, "first", 2)
    large, small, urgent = pool.enter("large"), pool.enter("small"), pool.enter("urgent", priority=1)
    waits = {ticket.who: started(pool, ticket, workers) for ticket, workers in ((large, 3), (small, 1), (urgent, 2))}
    assert pool.others(urgent).before == () and pool.others(large).before == ("urgent",)
    assert pool.others(small).before == ("urgent", "large")
    pool.leave(first)
    assert waits["urgent"].wait(10) and not waits["large"].is_set() and not waits["small"].wait(0.5)
    pool.leave(urgent)
    assert waits["large"].wait(10) and not waits["small"].is_set()
    pool.leave(large)
    assert waits["small"].wait(10)


def test_a_run_that_tries_again_is_served_before_those_that_came_after_it(pool):
    first = lease(pool, "first", 3)
    second = started(pool, pool.enter("second"), 1)
    pool.wait_again(first)
    assert not second.wait(0.5)
    gather(pool, first, Bounds(3, 3), timeout=0.0)
    assert first.leased == 3 and not second.is_set()
    pool.leave(first)
    assert second.wait(10)


def test_a_run_that_must_be_alone_waits_for_the_others_and_they_for_it(pool):
    other = lease(pool, "other", 1)
    alone = pool.enter("alone", alone=True)
    leased = started(pool, alone, 1)
    assert not leased.wait(0.5)
    pool.leave(other)
    assert leased.wait(10) and pool.others(pool.enter("next")).blocking


def test_more_than_there_will_ever_be_is_refused_with_who_has_the_others(pool):
    lease(pool, "a", 2)
    with pytest.raises(NoSlots, match=r"asks for 4 workers.*has 3 executors.*after 0 s.*and run a has 2 of them"):
        lease(pool, "b", 4)


def test_in_local_mode_the_slots_are_leased(pool):
    pool = ExecutorPool(FakeRequests(2, local=True))
    one = lease(pool, "a", 1)
    assert lease(pool, "b", 1).leased == 1
    waits = started(pool, pool.enter("c"), 1)
    assert not waits.wait(0.3)
    pool.leave(one)
    assert waits.wait(10)


def test_the_lease_of_a_run_whose_thread_has_ended_is_over(pool):
    thread = threading.Thread(target=lease, args=(pool, "gone", 3))
    thread.start()
    thread.join(10)
    assert lease(pool, "next", 3).leased == 3


def test_only_the_last_run_goes_back_to_the_executors_of_the_submission(pool):
    one, two = lease(pool, "a", 1), lease(pool, "b", 1)
    pool.leave(one)
    pool.leave(one)
    assert not pool.executors.resets
    pool.leave(two)
    assert pool.executors.resets == 1


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(0, 2), st.integers(1, 5)), min_size=1, max_size=6))
def test_all_runs_are_served_in_order_and_never_more_than_there_are_executors(runs):
    """Each run: its workers, its priority, and for how many rounds it trains."""
    pool = ExecutorPool(FakeRequests(4))
    tickets = [pool.enter(str(number), priority) for number, (_, priority, _) in enumerate(runs)]
    left = [length for _, _, length in runs]
    served: list[int] = []
    for _ in range(100):
        for number, (workers, _, _) in enumerate(runs):
            others = pool.others(tickets[number])
            if number not in served and not others.blocking and 4 - others.busy >= workers:
                pool.lease(tickets[number], workers)
                served.append(number)
        training = [number for number in served if left[number]]
        assert sum(runs[number][0] for number in training) <= 4
        for number in training:
            left[number] -= 1
            if not left[number]:
                pool.leave(tickets[number])
    assert served == sorted(range(len(runs)), key=lambda number: (-runs[number][1], number)) and not any(left)
