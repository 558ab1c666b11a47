"""Watches whether Spark makes progress on a job before any of its training tasks has started."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable

from py4j.protocol import Py4JError
from pyspark import SparkContext

from sparktrain.known_messages.spark import TASK_THREAD

_LOOK = 1.0  # seconds between checks


class SparkProgress:
    """Spark's progress on the jobs with a tag.

    Args:
        context: the application's context.
        tag: the jobs' tag.
    """

    def __init__(self, context: SparkContext, tag: str) -> None:
        self._spark, self._tag = context._jsc.sc(), tag

    def done(self) -> Hashable:
        """Return a value that changes whenever a task of the jobs is done, or a stage begins."""
        tracker = self._spark.statusTracker()
        completed = []
        for job in tracker.getJobIdsForTag(self._tag):
            info = tracker.getJobInfo(job)
            for stage in info.get().stageIds() if info.isDefined() else ():
                one = tracker.getStageInfo(stage)
                if one.isDefined():
                    completed.append((stage, one.get().numCompletedTasks()))
        return tuple(completed)

    def tasks_run(self) -> bool:
        """Return whether any executor of the application runs a task, as the executors' own threads show.

        A task that the driver considers running may never have reached an executor.
        """
        ids = self._spark.statusStore().executorList(True)
        for index in range(ids.size()):
            threads = self._spark.getExecutorThreadDump(ids.apply(index).id())
            if threads.isDefined() and any(TASK_THREAD.find(thread.threadName()) for thread in threads.get()):
                return True
        return False


def watch_beginning(progress: SparkProgress, limit: float, begun: threading.Event, on_stuck: Callable[[str], None]) -> None:
    """Wait until the tasks have started, or Spark has made no progress for `limit` seconds.

    Anything that is slow but alive is waited for: a preparation of hours before the tasks' stage, or another job that
    uses their executors.

    Args:
        progress: asked once a second for the tasks done and, if these don't change for the limit, for what executors run.
        limit: seconds.
        begun: set when the tasks have started, or the waiting is to end.
        on_stuck: called with a message if Spark is stuck.
    """
    before, since = None, time.monotonic()
    while not begun.wait(_LOOK):
        try:
            done = progress.done()
            if done != before:
                before, since = done, time.monotonic()
            waited = time.monotonic() - since
            if waited <= limit:
                continue
            if progress.tasks_run():
                since = time.monotonic()
                continue
        except Py4JError:
            return  # the JVM is gone, which the stage's own end reports
        on_stuck(
            f"Spark has done no task of this run for {waited:.0f} s (cluster.stall_timeout is {limit:.0f}), and the executors say "
            "that they run none of this application: it can't start the training's tasks, or its scheduler is stuck. Check whether "
            "executors were lost, so that fewer slots are left than workers, and whether the driver's log has an OutOfMemoryError: "
            "then give it more memory (--driver-memory), and if the rows were made in the driver (createDataFrame of a list or a "
            "pandas frame), write them as Parquet first and train on that. Raise the limit if this cluster may take that long to "
            "start a task"
        )
        return
