"""The disks get back what a training stage has read, while it is still at work."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest
from pyspark import inheritable_thread_target

from sparktrain.cluster.disks.shuffle_files import remove_shuffle_files

pytestmark = pytest.mark.real


def test_the_files_of_a_shuffle_go_while_the_stage_that_has_read_them_runs_on(spark, tmp_path):
    folder, context = str(tmp_path), spark.sparkContext

    def read_and_stay(batches):
        from pyspark import TaskContext

        rows = sum(batch.num_rows for batch in batches)
        told = Path(folder, f"read-{TaskContext.get().partitionId()}")
        told.with_suffix(".new").write_text(f"{rows} {os.environ['SPARK_LOCAL_DIRS']}")
        told.with_suffix(".new").rename(told)
        until = time.monotonic() + 200
        while not Path(folder, "end").exists() and time.monotonic() < until:
            time.sleep(0.05)
        yield from ()

    def stage():
        context.addJobTag("reads")
        spark.range(1000).repartition(2).mapInArrow(read_and_stay, "id long", barrier=True).collect()

    running = threading.Thread(target=inheritable_thread_target(spark)(stage), daemon=True)
    running.start()
    try:
        reads = [Path(folder, f"read-{part}") for part in range(2)]
        wait_for(lambda: all(each.exists() for each in reads))
        folders = {local for each in reads for local in each.read_text().split(" ")[1].split(",")}
        shuffled = remove_shuffle_files(context, "reads")
        assert len(shuffled) == 1 and sum(int(each.read_text().split()[0]) for each in reads) == 1000
        wait_for(lambda: not [file for local in folders for file in Path(local).rglob(f"shuffle_{shuffled[0]}_*")])
        assert running.is_alive()
    finally:
        Path(folder, "end").touch()
        running.join(60)
    assert not running.is_alive() and remove_shuffle_files(context, "reads") == []


def wait_for(done) -> None:
    until = time.monotonic() + 200
    while not done():
        assert time.monotonic() < until
        time.sleep(0.05)
