"""Counts the tasks of Spark's running stages, for the progress line."""

from __future__ import annotations

from py4j.protocol import Py4JError
from pyspark import SparkContext


def count_tasks(context: SparkContext) -> tuple[int, int] | None:
    """Return (done, all) tasks of the stages that are running; None if the JVM is gone."""
    try:
        tracker = context.statusTracker()
        stages = [tracker.getStageInfo(stage) for stage in tracker.getActiveStageIds()]
    except Py4JError:
        return None
    found = [stage for stage in stages if stage is not None]
    return sum(stage.numCompletedTasks for stage in found), sum(stage.numTasks for stage in found)
