"""Whether Spark is at work on a job before any of its training tasks has begun."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable

from py4j.protocol import Py4JError
from pyspark import SparkContext

_LOOK = 1.0  # seconds
_TASK_THREAD = "Executor task launch worker for task"  # how Spark's executors name the threads of tasks that run


class SparkProgress:
    """What Spark tells of the jobs of one tag.

    Args:
        context: the application's.
        tag: of the jobs.
    """

    def __init__(self, context: SparkContext, tag: str) -> None:
        self._spark, self._tag = context._jsc.sc(), tag

    def done(self) -> Hashable:
        """How far the jobs are: something that changes whenever a task of theirs is done, or a stage begins."""
        tracker = self._spark.statusTracker()
        told = []
        for job in tracker.getJobIdsForTag(self._tag):
            info = tracker.getJobInfo(job)
            for stage in info.get().stageIds() if info.isDefined() else ():
                one = tracker.getStageInfo(stage)
                if one.isDefined():
                    told.append((stage, one.get().numCompletedTasks()))
        return tuple(told)

    def tasks_run(self) -> bool:
        """Whether any executor of the application runs any task, as the executors themselves say.

        What the driver believes to be running may never have reached them.
        """
        ids = self._spark.statusStore().executorList(True)
        for index in range(ids.size()):
            threads = self._spark.getExecutorThreadDump(ids.apply(index).id())
            if threads.isDefined() and any(_TASK_THREAD in thread.threadName() for thread in threads.get()):
                return True
        return False


def watch_beginning(progress: SparkProgress, limit: float, begun: threading.Event, on_stuck: Callable[[str], None]) -> None:
    """Wait until the tasks have begun, or for so long as nothing of Spark's comes further.

    Whatever takes long and lives is waited for: a preparation of hours before the tasks' stage, and another job that
    holds their executors.

    Args:
        progress: asked once a second for what is done, and, where that is the same for the limit, what the executors do.
        limit: seconds.
        begun: set when they have begun, or nobody waits any more.
        on_stuck: told what is wrong.
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
            return  # the JVM is gone, which the stage's own end tells
        on_stuck(
            f"Spark has done no task of this run for {waited:.0f} s (cluster.stall_timeout is {limit:.0f}), and the executors say "
            "that they run none of this application: it can't start the training's tasks, or its scheduler is stuck. Look whether "
            "executors were lost, so that fewer slots are left than workers, and whether the driver's log has an OutOfMemoryError: "
            "then give it more memory (--driver-memory), and where the rows were made in the driver (createDataFrame of a list or a "
            "pandas frame), write them as Parquet first and train on that. Raise the limit if this cluster may take that long to "
            "start a task"
        )
        return
