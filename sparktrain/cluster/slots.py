"""Where workers can run: what a Spark application has, and what training can't work with."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from pyspark import SparkContext
from pyspark.resource import ResourceProfile, ResourceProfileBuilder, TaskResourceRequests

from sparktrain.cluster.memory import OVERHEAD, overhead_given, overhead_needed
from sparktrain.cluster.spark_context import jvm, master


class NoSlots(RuntimeError):
    """The cluster hasn't the slots that the job needs; the message has the numbers."""


class ClusterRefused(ValueError):
    """The Spark application is configured in a way that training can't work with."""


@dataclass(frozen=True)
class Slots:
    """What a Spark application has.

    Attributes:
        executors: how many executors are up; 1 in local mode.
        cores: of each executor; of the smallest, where they differ.
        task_cpus: cores that Spark gives a task (spark.task.cpus).
        local: whether driver and executor are one process (local[N]), where every core is a slot.
        gpus: of each executor.
        task_gpus: GPUs that Spark gives a task where nothing else is asked for (spark.task.resource.gpu.amount).
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
        """How many threads a worker may use."""
        return max(1, self.cores // workers if self.local else self.cores)

    def profile(self, gpus: int) -> ResourceProfile | None:
        """What a task must ask for to have an executor to itself, with its GPUs; None: nothing but what any task gets.

        Task requests alone: the preparation keeps all cores.

        Args:
            gpus: of a worker.
        """
        if self.local or (self.cores // self.task_cpus <= 1 and gpus == self.task_gpus):
            return None
        requests = TaskResourceRequests().cpus(self.cores)
        if gpus:
            requests = requests.resource("gpu", gpus)
        return ResourceProfileBuilder().require(requests).build


def worker_gpus(asked: int | Literal["auto"], slots: Slots) -> int:
    """How many GPUs each worker is pinned to.

    Args:
        asked: training.gpus_per_worker.

    Raises:
        ClusterRefused: that isn't what Spark gives each executor.
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
    """What the application has now."""
    conf = context.getConf()
    task_cpus = int(conf.get("spark.task.cpus", "1"))
    if master(context).startswith("local") and not master(context).startswith("local-cluster"):
        return Slots(1, _local_cores(context), task_cpus, local=True)
    cores = executor_cores(context)
    gpus = int(conf.get("spark.executor.resource.gpu.amount", "0"))
    task_gpus = float(conf.get("spark.task.resource.gpu.amount", "0"))
    return Slots(len(cores), min(cores.values(), default=1), task_cpus, local=False, gpus=gpus, task_gpus=task_gpus)


def executor_cores(context: SparkContext) -> dict[str, int]:
    """Ask Spark for the executors that the application has now.

    What was set or is a default says less: a standalone master gives an executor all of a node's cores, Kubernetes one, and
    spark.default.parallelism may be anything.

    Returns:
        The cores of each, by its id; none in local mode.
    """
    listed = context._jsc.sc().statusStore().executorList(True)
    found = (listed.apply(index) for index in range(listed.size()))
    return {each.id(): each.totalCores() for each in found if each.id() != "driver"}


def executors_up(context: SparkContext) -> int:
    """How many executors the application has now; 0 in local mode."""
    return len(executor_cores(context))


def _local_cores(context: SparkContext) -> int:
    """The N of local[N]; never spark.default.parallelism, which a user may set to anything."""
    in_master = re.match(r"local\[\s*(\d+|\*)", master(context))
    if in_master is None:
        return 1
    return jvm(context).Runtime.getRuntime().availableProcessors() if in_master[1] == "*" else int(in_master[1])


def check_application(context: SparkContext, worker_memory: str | None = None) -> None:
    """Refuse what a barrier stage, or training behind it, can't run under.

    Args:
        worker_memory: cluster.worker_memory.

    Raises:
        ClusterRefused: naming the setting and what to set instead.
    """
    if worker_memory is not None and master(context).startswith(("yarn", "k8s:")):
        settings = dict(context.getConf().getAll())
        needed, given = overhead_needed(worker_memory, settings), overhead_given(settings)
        if given < needed:
            raise ClusterRefused(
                f"cluster.worker_memory is {worker_memory}, and the executors' containers have {given} MiB beside the "
                f"JVM's heap ({OVERHEAD}), of which the JVM's own needs take a part: submit with --conf "
                f"{OVERHEAD}={needed}m (spark-submit.sh does so by itself where nothing is set)"
            )
    limit = context.getConf().get("spark.executor.pyspark.memory", None)
    if limit is not None:
        raise ClusterRefused(
            f"spark.executor.pyspark.memory is {limit}, and Spark makes it a limit on each Python process's address space: "
            "mapped segments and TensorFlow's own mappings count there in full, though they take little memory, and fail "
            "under it. Leave it out; where the cluster counts memory, give workers room by spark.executor.memoryOverhead"
        )
    if context.getConf().get("spark.io.encryption.enabled", "false").lower() == "true":
        raise ClusterRefused(
            "spark.io.encryption.enabled is true, and the segments that workers train from are mapped from the executors' local "
            "disks as they are: they would lie there unencrypted. Submit with --conf spark.io.encryption.enabled=false, and "
            "encrypt those disks themselves where that is asked for"
        )
    if context.getConf().get("spark.dynamicAllocation.enabled", "false").lower() == "true":
        raise ClusterRefused(
            "spark.dynamicAllocation.enabled is true, and Spark runs no barrier stage under it (SPARK-24942): "
            "submit with --conf spark.dynamicAllocation.enabled=false and --num-executors set to the workers you want"
        )
