"""A Spark whose scheduler is stuck ends an attempt; one that is at work for long does not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent

# In an application of its own, as its scheduler doesn't survive it
PROGRAM = """
import threading, time
from pyspark.sql import SparkSession
from sparktrain.cluster.slots import count_slots
from sparktrain.cluster.spark_progress import SparkProgress, watch_beginning
from sparktrain.cluster.stage import Attempt, StageFailed
from sparktrain.cluster.task import Task
from sparktrain.interfaces.messages import Fit, Source

spark = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate()
context = spark.sparkContext
context.setLogLevel("OFF")

def slowly(rows):
    time.sleep(9)
    return rows

def job():
    context.addJobTag("slow")
    context.parallelize([1], 1).mapPartitions(slowly).count()

stuck, begun = [], threading.Event()
at_work = threading.Thread(target=job)
at_work.start()
watching = threading.Thread(target=watch_beginning, args=(SparkProgress(context, "slow"), 2.0, begun, stuck.append))
watching.start()
at_work.join()
print("a task of 9 s, a limit of 2:", stuck, watching.is_alive())
begun.set()
watching.join()

context._jsc.sc().schedulerBackend().stop()   # it starts no task any more, as after an OutOfMemoryError in its thread
layout = {}
task = Task("r", "single", None, ("", 0), b"", layout, Source("a:b"), Fit(1, (1,)), 0, "", {}, 1)
begin = time.monotonic()
try:
    Attempt(spark.range(10).repartition(1), task, count_slots(context), 1, print, stall_timeout=3.0).run()
except StageFailed as error:
    print(f"failed after {time.monotonic() - begin:.0f} s: {error}")
import os, sys
sys.stdout.flush()
os._exit(0)   # the stage's thread waits for a job that never ends
"""


@pytest.mark.real
def test_a_scheduler_that_is_stuck_ends_the_attempt_with_what_to_set_and_a_slow_task_is_waited_for():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=180, cwd=ROOT)
    slow, failed = done.stdout.splitlines()[-2:]
    assert slow == "a task of 9 s, a limit of 2: [] True", done.stdout + done.stderr
    assert "Spark has started and ended no task of this run for" in failed
    for word in ("cluster.stall_timeout is 3", "OutOfMemoryError", "--driver-memory", "Parquet"):
        assert word in failed
