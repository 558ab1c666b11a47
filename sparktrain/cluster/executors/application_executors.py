"""Runs a function once on each executor, in a separate barrier stage that can be cancelled by its tag."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from functools import partial

from py4j.protocol import Py4JError
from pyspark import SparkContext
from pyspark.errors import PySparkException

from sparktrain.cluster.executors.slots import Slots, executors_up
from sparktrain.cluster.spark_cause import spark_cause
from sparktrain.interfaces.launch import Executors, LaunchFailed, Returned


class ApplicationExecutors(Executors):
    """The executors of one Spark application.

    Args:
        context: the application's context.
        slots: the application's slots.
        workers: the number of workers; in local mode that many slots stand for executors.
    """

    def __init__(self, context: SparkContext, slots: Slots, workers: int) -> None:
        self.context = context
        self.together = slots.local
        self._slots = slots
        self._workers = workers
        self._tag = f"sparktrain-executors-{secrets.token_hex(4)}"

    @property
    def count(self) -> int:
        return self._workers if self.together else executors_up(self.context)

    def run(self, function: Callable[[int], Returned], description: str) -> list[Returned]:
        """See `Executors.run`. A barrier stage is used, as only that is certain to put tasks on different executors."""
        count = self.count
        numbers = self.context.parallelize(range(count), count)
        tasks = numbers.barrier().mapPartitions(partial(_call, function))
        profile = self._slots.profile(self._slots.gpus)
        if profile is not None:
            tasks = tasks.withResources(profile)
        self.context.addJobTag(self._tag)
        self.context.setLocalProperty("spark.job.description", f"sparktrain: {description}")
        try:
            return tasks.collect()
        except (PySparkException, Py4JError) as error:
            raise LaunchFailed(spark_cause(error)) from error
        finally:
            self.context.removeJobTag(self._tag)
            self.context.setLocalProperty("spark.job.description", None)

    def cancel(self) -> None:
        self.context.cancelJobsWithTag(self._tag)


def _call(function: Callable[[int], Returned], numbers: Iterable[int]) -> Iterable[Returned]:
    [number] = numbers  # read to the end: Spark doesn't reuse a Python worker that left some of its input
    return [function(number)]
