"""The shuffle files of a running stage, removed once all its tasks have read them."""

from __future__ import annotations

from pyspark import SparkContext


def remove_shuffle_files(context: SparkContext, tag: str) -> list[int]:
    """Have Spark remove, on all executors, the files of the shuffles that a job's last stage has read.

    Spark itself keeps them until the frame is garbage in the driver, which of a training is after it. A later job that
    needs one of these shuffles all the same computes it anew.

    Args:
        context: the application's.
        tag: of the job.

    Returns:
        The shuffles' numbers; empty where there are none, the job has ended, or Spark's own cleaning is switched off.

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
