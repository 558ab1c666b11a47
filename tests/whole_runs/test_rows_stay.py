"""The rows of a run stay on the executors for the next one, which trains on them at once, to the same weights."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy
import psutil
import pytest
from pyspark.sql import functions as F

import sparktrain
from sparktrain.storage import open_folder

pytestmark = [pytest.mark.real, pytest.mark.usefixtures("no_children")]
TAKEN, FILLED = "taking the rows that the executors have kept", "filling\n"


@pytest.fixture
def train(small, tmp_path):
    def train(frame, name, **words):
        given = dict(
            features=["x"], label="y", engine="horovod", workers=2, batch_size=32, epochs=2, validation={"fraction": 0.2}
        )
        output = f"file://{tmp_path}/{name}"
        result = sparktrain.train(frame, small.build, output=output, **{**given, **words})
        result.log = open_folder(result.output).read_text("logs/run.log")
        return result

    return train


def holders() -> list[psutil.Process]:
    """This session's executors that have rows, those with the newest rows first."""
    places = Path(tempfile.gettempdir()).glob("spark-*/executor-*/blockmgr-*/sparktrain-rows-*")
    found = sorted(places, key=os.path.getmtime, reverse=True)
    pids = dict.fromkeys(int(path.name.rpartition("pid")[2]) for path in found)
    processes = [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]
    return [each for each in processes if each.environ().get("SPARKTRAIN_TEST_SESSION") == str(os.getpid())]


def same_weights(one, other) -> bool:
    return all(numpy.array_equal(a, b) for a, b in zip(one.model.get_weights(), other.model.get_weights(), strict=True))


def test_the_second_run_over_the_same_rows_takes_them_and_comes_to_the_same_model(frame, train, tmp_path):
    frame.coalesce(1).write.parquet(f"file://{tmp_path}/rows")
    read = lambda: frame.sparkSession.read.parquet(f"file://{tmp_path}/rows")  # noqa: E731  a frame of its own each time
    first, second = train(read(), "first"), train(read(), "second")
    assert FILLED in first.log and TAKEN in second.log and FILLED not in second.log
    assert same_weights(first, second) and first.history == second.history and second.attempts == 1
    # what changes how they are divided, laid out or computed is filled anew; what doesn't is not
    assert TAKEN in train(read(), "longer", epochs=3, batch_size=16).log
    for name, words in {"seed": {"seed": 1}, "more": {"workers": 3}, "validation": {"validation": {"fraction": 0.3}}}.items():
        assert FILLED in train(read(), name, **words).log, name
    assert FILLED in train(read().withColumn("x", F.transform("x", lambda v: v * F.lit(2).cast("float"))), "other rows").log
    frame.limit(200).coalesce(1).write.mode("append").parquet(f"file://{tmp_path}/rows")
    assert FILLED in train(read(), "another file").log


def test_rows_that_may_be_others_each_time_are_filled_anew(frame, train):
    chance = frame.withColumn("x", F.transform("x", lambda v: v + F.rand().cast("float")))
    assert FILLED in train(chance, "one").log and FILLED in train(chance, "two").log


def test_a_program_that_wants_no_rows_kept_gets_none(frame, train):
    assert FILLED in train(frame, "one", cluster={"warm": None}).log
    assert FILLED in train(frame, "two", cluster={"warm": None}).log


def test_rows_that_an_executor_has_lost_are_filled_again_without_a_failed_attempt(frame, train):
    first = train(frame, "first")
    for process in holders()[:1]:
        process.kill()
        process.wait(30)
    second = train(frame, "second", max_failures=0)
    assert TAKEN in second.log and FILLED in second.log and second.attempts == 1 and same_weights(first, second)


def test_an_attempt_after_a_killed_worker_takes_the_rows_of_the_one_before(frame, train, small, tmp_path):
    def callbacks():
        return __import__("small").kill_once(str(tmp_path / "killed"), 1, 1, 0, f"{tmp_path}/broken/_runs/*/checkpoints/*")

    whole = train(frame, "whole")
    again = frame.where("number >= 0")  # the same rows, and not known as such
    broken = train(again, "broken", callbacks=callbacks, max_failures=1, cluster={"warm": None})
    assert broken.attempts == 2 and TAKEN in broken.log and same_weights(whole, broken)
