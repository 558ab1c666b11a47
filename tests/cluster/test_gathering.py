"""When a run takes the executors it has, waits for more, or steps back for another."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparktrain.cluster.executors.gathering_policy import Bounds, GatheringPolicy, Observed, Plan, surplus
from sparktrain.cluster.executors.memory import mebibytes, overhead_given, overhead_needed
from sparktrain.cluster.executors.slots import ClusterRefused, Slots, worker_gpus

TWO, SOME = Bounds(2, 2), Bounds(2, 8)


def after(free: int, bounds: Bounds, waited: float, quiet: float, turn: bool, busy: int = 0) -> Plan:
    """The plan of a run that has seen `free` executors for `quiet` seconds, and gathers for `waited` seconds."""
    policy = GatheringPolicy(bounds, 1e9, shared=True, now=0.0)
    held = True if turn else None
    policy.next_step(Observed(free + 1 if quiet < waited else free, busy, lease=held), 0.0)
    policy.next_step(Observed(free, busy, lease=held), waited - quiet)
    return policy.next_step(Observed(free, busy, lease=held), waited)


@pytest.mark.parametrize(
    "room, bounds, waited, quiet, turn, step",
    [
        (2, TWO, 0.0, 0.0, False, "train"),
        (5, TWO, 0.0, 0.0, False, "train"),
        (1, TWO, 1.0, 1.0, False, "wait"),  # executors come one by one
        (1, TWO, 6.0, 6.0, False, "lease"),  # another may hold what is missing
        (1, TWO, 600.0, 600.0, True, "wait"),  # its turn: those that train will end
        (0, TWO, 6.0, 6.0, False, "lease"),
        (2, SOME, 1.0, 1.0, False, "wait"),  # more may come
        (2, SOME, 60.0, 11.0, False, "train"),
        (2, SOME, 60.0, 3.0, False, "wait"),
        (2, SOME, 60.0, 3.0, True, "wait"),  # and renews the lease, as others wait for it
        (8, SOME, 0.0, 0.0, False, "train"),
        (1, SOME, 60.0, 60.0, False, "lease"),
    ],
)
def test_what_a_run_does_next(room, bounds, waited, quiet, turn, step):
    plan = after(room, bounds, waited, quiet, turn)
    assert (plan.step, plan.lease) == ("wait" if step == "lease" else step, step == "lease" or (turn and step == "wait"))


@given(st.integers(0, 20), st.integers(1, 10), st.integers(0, 10), st.floats(0, 1e4), st.floats(0, 1e4), st.booleans())
def test_no_run_trains_with_too_few_or_holds_some_for_ever_without_the_turn(room, least, more, waited, quiet, turn):
    plan = after(room, Bounds(least, least + more), waited, min(quiet, waited), turn)
    assert plan.step != "train" or room >= least
    assert not (plan.step == "wait" and room < least and not turn and waited > 60 and not plan.lease)


def test_without_the_lease_a_run_keeps_no_executor_and_asks_for_none():
    policy = GatheringPolicy(TWO, 600.0, shared=True, now=0.0)
    assert policy.next_step(Observed(1), 6.0) == Plan("wait", 2, lease=True)
    for second in (6.2, 7.0, 50.0):  # also one that starts later than it was asked for
        assert policy.next_step(Observed(1, lease=False), second) == Plan("queue", 0, 0, lease=True)
    assert policy.next_step(Observed(2, lease=False), 50.1).step == "queue", "they are being ended"
    assert policy.next_step(Observed(0, lease=True), 51.0) == Plan("wait", 2, lease=True)
    assert policy.next_step(Observed(1, lease=False), 52.0).step == "queue", "the lease was lost: it was only slow"


def test_a_run_alone_on_its_cluster_waits_without_a_lease_until_its_time_is_over():
    policy = GatheringPolicy(TWO, 60.0, shared=False, now=0.0)
    assert policy.next_step(Observed(1), 60.0) == Plan("wait", 2)
    assert policy.next_step(Observed(1), 60.1) == Plan("fail")
    assert policy.next_step(Observed(2), 60.2) == Plan("train"), "they came at last"


def test_a_run_with_fewer_workers_than_it_may_have_asks_for_no_more():
    assert after(3, SOME, 60.0, 11.0, False) == Plan("train", 3, 3)
    assert after(9, SOME, 60.0, 11.0, False) == Plan("train")


def test_slots_of_one_machine_never_grow():
    policy = GatheringPolicy(TWO, 60.0, shared=False, now=0.0)
    assert policy.next_step(Observed(1, fixed=True), 0.0) == Plan("fail")
    assert policy.next_step(Observed(2, fixed=True), 0.0) == Plan("train")


def test_other_runs_of_the_application_are_waited_for_as_long_as_they_train_and_missing_executors_are_not():
    policy = GatheringPolicy(TWO, 60.0, shared=False, now=0.0)
    assert policy.next_step(Observed(1, busy=1), 1000.0) == Plan("wait", 3)
    assert policy.next_step(Observed(0, busy=2, blocked=True), 2000.0) == Plan("wait")
    assert policy.next_step(Observed(1), 2060.0) == Plan("wait", 2), "of the other run one executor is left"
    assert policy.next_step(Observed(1), 2060.1) == Plan("fail")


def test_a_run_that_another_one_goes_before_takes_and_asks_for_nothing():
    policy = GatheringPolicy(SOME, 60.0, shared=True, now=0.0)
    assert policy.next_step(Observed(8, blocked=True), 30.0) == Plan("wait")
    assert policy.next_step(Observed(8), 30.2) == Plan("train")


def test_on_one_machine_the_slots_of_other_runs_are_waited_for_and_more_than_there_are_is_refused_at_once():
    policy = GatheringPolicy(TWO, 60.0, shared=False, now=0.0)
    assert policy.next_step(Observed(1, busy=1, fixed=True), 1000.0) == Plan("wait")
    assert policy.next_step(Observed(2, blocked=True, fixed=True), 1000.0) == Plan("wait")
    assert GatheringPolicy(Bounds(3, 3), 60.0, False, 0.0).next_step(Observed(1, busy=1, fixed=True), 0.0) == Plan("fail")


def test_executors_that_other_runs_train_on_are_asked_for_again_and_are_no_room():
    assert after(1, TWO, 1.0, 1.0, False, busy=4) == Plan("wait", 6)
    assert after(3, SOME, 60.0, 11.0, False, busy=4) == Plan("train", 7, 3)


def test_the_youngest_executors_are_ended_and_none_that_runs_a_task():
    assert surplus({"1": 0, "2": 1, "3": 0}, 1) == ["1", "3"] and surplus({"1": 2, "2": 1}, 0) == []
    assert surplus({"10": 0, "9": 0, "2": 0}, 1) == ["9", "10"] and surplus({"1": 0}, 2) == []


@given(
    st.lists(st.tuples(st.integers(1, 4), st.integers(0, 3), st.floats(0, 40), st.floats(1, 60)), min_size=1, max_size=4),
    st.randoms(),
)
def test_runs_that_share_a_cluster_of_four_executors_all_train_whoever_is_served_first(runs, chance):
    """Each run: its fewest workers, how many more it may have, when it begins, and how long it trains."""
    policies, plans, asked, held, ends = {}, {}, {}, dict.fromkeys(range(len(runs)), 0), {}
    owner, now = None, 0.0
    while len(ends) < len(runs) or any(end > now for end in ends.values()):
        now += 1.0
        assert now < 1000, "they wait for each other"
        for run in chance.sample(range(len(runs)), len(runs)):
            least, more, begins, length = runs[run]
            if ends.get(run, now + 1) <= now:
                held[run] = 0
            if begins > now or run in ends:
                continue
            policy = policies.setdefault(run, GatheringPolicy(Bounds(least, least + more), 1e9, True, now))
            lease = None
            if run in plans and plans[run].lease:
                owner = run if owner is None else owner
                lease = owner == run
            plan = plans[run] = policy.next_step(Observed(held[run], lease=lease), now)
            asked[run] = asked.get(run, 0) if plan.total is None else plan.total
            held[run] = held[run] if plan.keep is None else min(held[run], plan.keep)
            if plan.step == "train":
                assert held[run] >= least
                ends[run], owner = now + length, None if owner == run else owner
            elif held[run] < asked[run] and sum(held.values()) < 4:
                held[run] += 1  # the cluster manager starts one


@pytest.mark.parametrize("asked, gpus, got", [("auto", 0, 0), ("auto", 4, 4), (4, 4, 4), (0, 4, 0), (0, 0, 0)])
def test_a_worker_is_pinned_to_what_spark_gives_its_executor(asked, gpus, got):
    assert worker_gpus(asked, Slots(2, 4, 1, local=False, gpus=gpus)) == got


@pytest.mark.parametrize("asked, gpus", [(1, 0), (1, 2), (4, 2)])
def test_another_number_of_gpus_is_refused_with_both_numbers_and_what_to_submit(asked, gpus):
    with pytest.raises(ClusterRefused) as caught:
        worker_gpus(asked, Slots(2, 4, 1, local=False, gpus=gpus))
    text = str(caught.value)
    assert f"gpus_per_worker is {asked}" in text and f"has {gpus} GPU" in text
    assert f"spark.executor.resource.gpu.amount={asked}" in text


@pytest.mark.parametrize(
    "text, size", [("512m", 512), ("8g", 8192), ("8GB", 8192), ("1t", 1 << 20), ("1024", 1024), ("2048k", 2)]
)
def test_amounts_of_memory_mean_what_they_mean_to_spark(text, size):
    assert mebibytes(text) == size


def test_a_workers_memory_comes_on_top_of_what_the_jvm_needs_itself():
    assert overhead_needed("2g", {}) == 384 + 2048
    assert overhead_needed("2g", {"spark.executor.memory": "10g"}) == 1024 + 2048
    assert overhead_given({"spark.executor.memory": "10g"}) == 1024
    assert overhead_given({"spark.executor.memoryOverhead": "3g"}) == 3072
