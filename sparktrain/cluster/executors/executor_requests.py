"""Counts a Spark application's executors, and asks the cluster manager for more or fewer."""

from __future__ import annotations

from pyspark import SparkContext

from sparktrain.cluster.executors.gathering_policy import Plan, surplus
from sparktrain.cluster.executors.slots import Slots, count_slots, listed_executors
from sparktrain.cluster.spark_context import jvm, master


class ExecutorRequests:
    """Counts an application's executors, and asks the cluster manager for more or fewer.

    Attributes:
        context: the application's context.
        target: how many executors the cluster manager was asked for; None if as many as possible (a standalone master).
    """

    def __init__(self, context: SparkContext) -> None:
        self.context = context
        self._spark = context._jsc.sc()
        given = context.getConf().get("spark.executor.instances", None)
        self._first = None if master(context).startswith(("spark:", "local-cluster")) else int(given or 2)  # YARN's default
        self.target = self._first

    def count(self) -> Slots:
        """Return the slots that the application has now, those of runs that train among them."""
        return count_slots(self.context)

    def apply(self, plan: Plan, busy: int) -> None:
        """Ask the cluster manager for what a plan says, and end the executors that it doesn't keep.

        Args:
            busy: executors that other runs have leased, of which none is ended.
        """
        if plan.keep is not None and plan.total is not None:
            self._keep(busy + plan.keep, plan.total)
        elif plan.total is not None and self.target is not None and plan.total > self.target:
            self._set_target(plan.total)

    def reset(self) -> None:
        """Reduce the number of executors to the one that the application was submitted with."""
        if self.target is not None and self._first is not None and self.target > self._first:
            self._keep(self._first, self._first)

    def _keep(self, count: int, total: int) -> None:
        ended = surplus({each.id(): each.activeTasks() for each in listed_executors(self.context)}, count)
        if ended:
            # Not forced: Spark itself leaves those on which a task has begun meanwhile.
            adjust, count_failures, force = True, False, False
            chosen = jvm(self.context).PythonUtils.toSeq(ended)
            self._spark.schedulerBackend().killExecutors(chosen, adjust, count_failures, force)
        if ended or total != self.target:
            self._set_target(total)  # afterwards, as Spark asks for one less for each executor that is ended

    def _set_target(self, total: int) -> None:
        java = jvm(self.context)
        self._spark.requestTotalExecutors(total, 0, java.PythonUtils.toScalaMap(java.java.util.HashMap()))
        self.target = total
