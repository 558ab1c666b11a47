"""When a run takes the executors it has, waits for more, or steps back for another."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparktrain.cluster.gathering import Bounds, next_step
from sparktrain.cluster.memory import mebibytes, overhead_given, overhead_needed
from sparktrain.cluster.slots import ClusterRefused, Slots, worker_gpus

TWO, SOME = Bounds(2, 2), Bounds(2, 8)


@pytest.mark.parametrize(
    "room, bounds, waited, quiet, turn, step",
    [
        (2, TWO, 0.0, 0.0, False, "train"),
        (5, TWO, 0.0, 0.0, False, "train"),
        (1, TWO, 1.0, 1.0, False, "wait"),  # executors come one by one
        (1, TWO, 6.0, 6.0, False, "queue"),  # another may hold what is missing
        (1, TWO, 600.0, 600.0, True, "wait"),  # its turn: those that train will end
        (0, TWO, 6.0, 6.0, False, "queue"),
        (2, SOME, 1.0, 1.0, False, "wait"),  # more may come
        (2, SOME, 60.0, 11.0, False, "train"),
        (2, SOME, 60.0, 3.0, False, "wait"),
        (8, SOME, 0.0, 0.0, False, "train"),
        (1, SOME, 60.0, 60.0, False, "queue"),
    ],
)
def test_what_a_run_does_next(room, bounds, waited, quiet, turn, step):
    assert next_step(room, bounds, waited, quiet, turn) == step


@given(st.integers(0, 20), st.integers(1, 10), st.integers(0, 10), st.floats(0, 1e4), st.floats(0, 1e4), st.booleans())
def test_no_run_trains_with_too_few_or_holds_some_for_ever_without_the_turn(room, least, more, waited, quiet, turn):
    step = next_step(room, Bounds(least, least + more), waited, quiet, turn)
    assert step != "train" or room >= least
    assert not (step == "wait" and room < least and not turn and waited > 60)


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
