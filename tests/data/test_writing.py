"""Rows are written whole, or not at all."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest
from pyspark.sql import functions as F

from sparktrain.data.writing import write_rows

pytestmark = pytest.mark.real


class Interrupted(Exception):
    pass


def test_one_who_is_interrupted_while_they_write_may_remove_the_folder_for_good(spark, tmp_path):
    def raise_it(*_):
        raise Interrupted

    before = signal.signal(signal.SIGUSR1, raise_it)
    rows, ended = tmp_path / "rows", threading.Event()

    def interrupt() -> None:
        while not list(rows.glob("_temporary/*/_temporary/*")) and not ended.wait(0.05):
            pass
        os.kill(os.getpid(), signal.SIGUSR1)

    slow = F.udf(lambda number: time.sleep(0.2) or number, "long")
    interrupter = threading.Thread(target=interrupt)
    interrupter.start()
    try:
        with pytest.raises(Interrupted):
            write_rows(spark.range(0, 60, 1, 30).withColumn("slow", slow("id")), f"file://{rows}")
        assert not _active_tasks(spark), "a task that is still running makes its folder again"
    finally:
        ended.set()
        interrupter.join()
        signal.signal(signal.SIGUSR1, before)


def _active_tasks(spark) -> int:
    tracker = spark.sparkContext.statusTracker()
    newest = max(tracker.getJobIdsForGroup(None))
    return sum(tracker.getStageInfo(stage).numActiveTasks for stage in tracker.getJobInfo(newest).stageIds)
