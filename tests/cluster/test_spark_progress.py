"""A Spark that starts none of the tasks ends an attempt; one that is at work for long does not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent

# In an application of its own, of one slot
PROGRAM = """
import os, sys, threading, time
from pyspark.sql import SparkSession
from sparktrain.cluster.disks.local_disks import Spare
from sparktrain.cluster.executors.slots import count_slots
from sparktrain.cluster.spark_progress import SparkProgress, watch_beginning
from sparktrain.cluster.stage import Attempt, StageFailed
from sparktrain.cluster.assignment import Assignment
from sparktrain.interfaces.training_spec import Fit, Output, Source, TrainingSpec

spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
context = spark.sparkContext
context.setLogLevel("OFF")

at_work_file = os.path.join(sys.argv[1], "at work")

def slowly(rows):
    open(at_work_file, "w").close()
    time.sleep(9)
    return rows

def job():
    context.addJobTag("slow")
    context.parallelize([1], 1).mapPartitions(slowly).count()

stuck, begun = [], threading.Event()
at_work = threading.Thread(target=job)
at_work.start()
while not os.path.exists(at_work_file):  # a busy machine may take longer than the limit until then
    time.sleep(0.05)
watching = threading.Thread(target=watch_beginning, args=(SparkProgress(context, "slow"), 2.0, begun, stuck.append))
watching.start()
at_work.join()
print("a task of 9 s, a limit of 2:", stuck, watching.is_alive())
begun.set()
watching.join()

# Two tasks that must begin together where there is one slot: Spark waits ten minutes
assignment = Assignment(TrainingSpec("r", "single", Source("a:b"), Fit(1, (1,)), 0, Output("")), None, {}, 1, Spare(0))
begin = time.monotonic()
try:
    Attempt(spark.range(10).repartition(2), assignment, count_slots(context), 2, print, stall_timeout=3.0).run()
except StageFailed as error:
    print(f"failed after {time.monotonic() - begin:.0f} s: {error}")
sys.stdout.flush()
os._exit(0)
"""


@pytest.mark.real
@pytest.mark.failures
def test_tasks_that_spark_never_starts_end_the_attempt_with_what_to_set_and_a_slow_one_is_waited_for(note_failure, tmp_path):
    done = subprocess.run([sys.executable, "-c", PROGRAM, tmp_path], capture_output=True, text=True, timeout=180, cwd=ROOT)
    told = done.stdout.splitlines()
    assert len(told) == 2, done.stdout + done.stderr
    slow, failed = told
    assert slow == "a task of 9 s, a limit of 2: [] True", done.stdout + done.stderr
    assert "Spark has done no task of this run for" in failed
    for word in ("cluster.stall_timeout is 3", "OutOfMemoryError", "--driver-memory", "Parquet"):
        assert word in failed
    note_failure(
        "Spark starts no task at all, as with a driver out of memory",
        "the attempt ends after `cluster.stall_timeout`, with what most often causes it and what to set",
    )
