"""Removes the shuffle files of a running stage once all its tasks have read them."""

from __future__ import annotations

from pyspark import SparkContext


def remove_shuffle_files(context: SparkContext, tag: str) -> list[int]:
    """Remove, on all executors, the files of the shuffles that a job's last stage has read.

    Spark itself keeps them until the driver's frame is garbage collected, which is after training. A later job that needs
    one of these shuffles computes it anew.

    Args:
        context: the application's context.
        tag: the job's tag.

    Returns:
        The shuffles' ids; empty if there are none, the job has ended, or Spark's context cleaner is switched off.

    Raises:
        Py4JError: the driver's JVM is gone.
    """
    spark = context._jsc.sc()
    cleaner = spark.cleaner()
    if cleaner.isEmpty():
        return []
    jobs, removed = spark.dagScheduler().jobIdToActiveJob(), []
    for number in spark.statusTracker().getJobIdsForTag(tag):
        job = jobs.get(number)
        if not job.isDefined():
            continue
        parents = job.get().finalStage().parents()
        for index in range(parents.size()):
            removed.append(parents.apply(index).shuffleDep().shuffleId())
    for shuffle in removed:
        cleaner.get().doCleanupShuffle(shuffle, False)
    return removed
