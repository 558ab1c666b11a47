"""Counts a Spark application's slots for workers, and refuses settings that training can't work with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pyspark import SparkContext
from pyspark.resource import ResourceProfile, ResourceProfileBuilder, TaskResourceRequests

from sparktrain.cluster.executors.memory import OVERHEAD, overhead_given, overhead_needed
from sparktrain.cluster.spark_context import jvm, master


class NoSlots(RuntimeError):
    """Raised where the cluster lacks the slots that the job needs; the message has the numbers."""


class ClusterRefused(ValueError):
    """Raised where the Spark application has a setting that training can't work with."""


@dataclass(frozen=True)
class Slots:
    """The executors, cores and GPUs of a Spark application.

    Attributes:
        executors: how many executors are up; 1 in local mode.
        cores: cores of each executor; of the smallest if they differ.
        task_cpus: cores that Spark gives a task (spark.task.cpus).
        local: whether driver and executor are one process (local[N]), where every core is a slot.
        gpus: GPUs of each executor.
        task_gpus: GPUs that Spark gives a task by default (spark.task.resource.gpu.amount).
    """

    executors: int
    cores: int
    task_cpus: int
    local: bool
    gpus: int = 0
    task_gpus: float = 0.0

    @property
    def most(self) -> int:
        """How many workers there is room for."""
        return self.cores // self.task_cpus if self.local else self.executors

    def threads(self, workers: int) -> int:
        """Return how many threads each of `workers` workers may use."""
        return max(1, self.cores // workers if self.local else self.cores)

    def profile(self, gpus: int) -> ResourceProfile | None:
        """Return the resources that a task must request to have an executor to itself; None if the defaults do.

        It has task requests only, so that the preparation can use all cores.

        Args:
            gpus: GPUs of a worker.
        """
        if self.local or (self.cores // self.task_cpus <= 1 and gpus == self.task_gpus):
            return None
        requests = TaskResourceRequests().cpus(self.cores)
        if gpus:
            requests = requests.resource("gpu", gpus)
        return ResourceProfileBuilder().require(requests).build


def worker_gpus(asked: int | Literal["auto"], slots: Slots) -> int:
    """Return how many GPUs each worker uses.

    Args:
        asked: training.gpus_per_worker.

    Raises:
        ClusterRefused: Spark gives each executor another number of GPUs.
    """
    if asked in ("auto", slots.gpus):
        return slots.gpus
    if asked == 0:
        return 0
    raise ClusterRefused(
        f"training.gpus_per_worker is {asked}, and each executor has {slots.gpus} GPU(s), which Spark doesn't divide among "
        f"workers (spark.executor.resource.gpu.amount): submit with --conf spark.executor.resource.gpu.amount={asked}, or "
        "set training.gpus_per_worker to auto"
    )


def count_slots(context: SparkContext) -> Slots:
    """Return the slots that the application has now."""
    conf = context.getConf()
    task_cpus = int(conf.get("spark.task.cpus", "1"))
    if master(context).startswith("local") and not master(context).startswith("local-cluster"):
        return Slots(1, _local_cores(context), task_cpus, local=True)
    cores = executor_cores(context)
    gpus = int(conf.get("spark.executor.resource.gpu.amount", "0"))
    task_gpus = float(conf.get("spark.task.resource.gpu.amount", "0"))
    return Slots(len(cores), min(cores.values(), default=1), task_cpus, local=False, gpus=gpus, task_gpus=task_gpus)


def listed_executors(context: SparkContext) -> list[Any]:
    """Return Spark's own summaries of the executors that the application has now, JVM objects; none in local mode."""
    found = context._jsc.sc().statusStore().executorList(True)
    summaries = (found.apply(index) for index in range(found.size()))
    return [each for each in summaries if each.id() != "driver"]


def executor_cores(context: SparkContext) -> dict[str, int]:
    """Return the cores of each executor that the application has now, by executor id; none in local mode.

    Settings can't tell: by default a standalone master gives an executor all of a node's cores, Kubernetes one, and
    spark.default.parallelism may be anything.
    """
    return {each.id(): each.totalCores() for each in listed_executors(context)}


def executors_up(context: SparkContext) -> int:
    """Return how many executors the application has now; 0 in local mode."""
    return len(executor_cores(context))


def _local_cores(context: SparkContext) -> int:
    """Return the N of local[N]; not spark.default.parallelism, which a user may set to anything."""
    in_master = re.match(r"local\[\s*(\d+|\*)", master(context))
    if in_master is None:
        return 1
    return jvm(context).Runtime.getRuntime().availableProcessors() if in_master[1] == "*" else int(in_master[1])


def check_application(context: SparkContext, worker_memory: str | None = None) -> None:
    """Refuse settings of the application that a barrier stage or training can't run with.

    Args:
        context: the application's context.
        worker_memory: cluster.worker_memory.

    Raises:
        ClusterRefused: the message names the setting and what to set instead.
    """
    refused = refused_setting(dict(context.getConf().getAll()), master(context), worker_memory)
    if refused is not None:
        raise ClusterRefused(refused)


def refused_setting(settings: Mapping[str, str], master: str, worker_memory: str | None) -> str | None:
    """Return a message that names a setting that training can't run with, and what to set instead; None if all are fit.

    Args:
        settings: the application's settings.
        master: its master, such as `yarn`.
        worker_memory: cluster.worker_memory.
    """
    if worker_memory is not None and master.startswith(("yarn", "k8s:")):
        needed, given = overhead_needed(worker_memory, settings), overhead_given(settings)
        if given < needed:
            return (
                f"cluster.worker_memory is {worker_memory}, and the executors' containers have {given} MiB beside the "
                f"JVM's heap ({OVERHEAD}), of which the JVM itself needs a part: submit with --conf "
                f"{OVERHEAD}={needed}m (spark-submit.sh does so by itself if it isn't set)"
            )
    limit = settings.get("spark.executor.pyspark.memory")
    if limit is not None:
        return (
            f"spark.executor.pyspark.memory is {limit}, and Spark makes it a limit on each Python process's address space: "
            "mapped segments and TensorFlow's own mappings count there in full, though they take little memory, and fail "
            "under it. Leave it out; if the cluster limits memory, give workers room with spark.executor.memoryOverhead"
        )
    if settings.get("spark.io.encryption.enabled", "false").lower() == "true":
        return (
            "spark.io.encryption.enabled is true, and the segments that workers train from are mapped from the executors' local "
            "disks, where they are not encrypted. Submit with --conf spark.io.encryption.enabled=false, and encrypt the disks "
            "themselves if you need to"
        )
    if settings.get("spark.dynamicAllocation.enabled", "false").lower() == "true":
        return (
            "spark.dynamicAllocation.enabled is true, and Spark runs no barrier stage under it (SPARK-24942): "
            "submit with --conf spark.dynamicAllocation.enabled=false and --num-executors set to the workers you want"
        )
    return None
