"""Runs of one application side by side: they share its executors, and wait for each other in order."""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor

import numpy
import pytest

import sparktrain
from sparktrain.cluster.executors.executor_python import check_packages
from sparktrain.cluster.executors.pool import pool_of
from sparktrain.cluster.executors.slots import NoSlots, count_slots
from sparktrain.data import InputError
from sparktrain.storage import open_folder

pytestmark = [pytest.mark.real, pytest.mark.usefixtures("no_children")]


def train(frame, small, folder, name, workers, engine, **words):
    return sparktrain.train(
        frame,
        small.build,
        name=name,
        features=["x"],
        label="y",
        engine=engine,
        workers=workers,
        batch_size=32,
        epochs=2,
        output=f"file://{folder}/{name}",
        run_id=name,
        **words,
    )


def log(result) -> str:
    return open_folder(result.output).read_text("logs/run.log")


@pytest.mark.parametrize("engine", ["horovod", "tensorflowonspark"])
def test_two_small_runs_train_at_the_same_time_a_third_waits_for_one_of_them_and_a_large_one_for_all(
    spark, frame, small, tmp_path, engine
):
    alone = train(frame, small, tmp_path, "alone", 1, "single")
    both = {who: (lambda who=who: __import__("small").meet(str(tmp_path), who, ["a", "b"])) for who in "ab"}
    pool = pool_of(spark.sparkContext)

    def entered(*runs: str) -> None:
        """Wait until runs wait for executors, or have them."""
        until = time.monotonic() + 60
        while not set(runs) <= set(pool.runs()):
            assert time.monotonic() < until, f"of {runs} only {pool.runs()} came"
            time.sleep(0.05)

    with ThreadPoolExecutor(4) as threads:
        runs = [threads.submit(train, frame, small, tmp_path, "a", 1, "single", callbacks=both["a"])]
        runs.append(threads.submit(train, frame, small, tmp_path, "b", 2, "horovod", callbacks=both["b"]))
        entered("a", "b")
        runs.append(threads.submit(train, frame, small, tmp_path, "third", 1, "single"))
        entered("third")
        runs.append(threads.submit(train, frame, small, tmp_path, "large", 2, engine))
        results = [run.result(timeout=400) for run in runs]
    assert [result.summary["workers"] for result in results] == [1, 2, 1, 2]
    assert re.search(
        "waiting for executors: 0 of 1 are free; run (a has 1|b has 2) of them, run (a has 1|b has 2) of them", log(results[2])
    )
    assert "run third is served before it" in log(results[3])
    for result in (results[0], results[2]):  # nothing of one run reaches another
        for mine, other in zip(result.model.get_weights(), alone.model.get_weights(), strict=True):
            numpy.testing.assert_array_equal(mine, other)
    assert not pool.runs()


def test_runs_that_begin_at_the_same_moment_all_look_at_the_executors_python(spark):
    slots = count_slots(spark.sparkContext)
    with ThreadPoolExecutor(4) as threads:
        looks = [threads.submit(check_packages, spark.sparkContext, slots, ["numpy"], "callbacks") for _ in range(12)]
        for look in looks:
            look.result(timeout=120)


def test_a_run_that_is_refused_or_fails_gives_its_executors_back(spark, frame, small, tmp_path):
    with pytest.raises(NoSlots, match="asks for 4 workers"):
        train(frame, small, tmp_path, "four", 4, "horovod", cluster={"slots_timeout": 1})
    with pytest.raises(InputError):
        train(frame.where("false"), small, tmp_path, "none", 2, "horovod")
    assert not pool_of(spark.sparkContext).runs()
