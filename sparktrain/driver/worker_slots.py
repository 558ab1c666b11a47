"""Gathers the executors for a run's workers, and gives them back at its end."""

from __future__ import annotations

import time

from sparktrain.cluster.executor_python import check_python
from sparktrain.cluster.gathering import Bounds, Executors, gather
from sparktrain.cluster.slots import Slots, worker_gpus
from sparktrain.driver.executor_lease import executor_lease
from sparktrain.driver.run_context import RunContext


class WorkerSlots:
    """The executors of one run."""

    def __init__(self, run: RunContext) -> None:
        self._run = run
        self._executors = Executors(run.spark.sparkContext)
        self._lease = executor_lease(run.spark, run.job.name, run.hadoop, run.display.note)

    def gather(self) -> Slots:
        """Wait for slots for the workers, set their number in the run's job, and return the slots.

        Raises:
            NoSlots: the application doesn't get enough executors in time.
            ConfigError, ClusterRefused: the executors can't be used.
        """
        run, begun = self._run, time.monotonic()
        asked = run.asked.training.workers
        bounds = Bounds(asked, asked) if isinstance(asked, int) else Bounds(asked.min, asked.max)
        slots = gather(self._executors, bounds, run.job.cluster.slots_timeout, self._lease, run.display.step)
        workers = min(bounds.max, slots.most)
        run.job = run.job.model_copy(update={"training": run.job.training.model_copy(update={"workers": workers})})
        run.timeline.workers, run.timeline.copies = workers, workers if run.all_rows_each else 1
        run.timeline.seconds["slots"] += time.monotonic() - begun
        worker_gpus(run.job.training.gpus_per_worker, slots)  # raises, if at all, before any row is read
        check_python(run.spark.sparkContext, slots, run.job.training.engine)
        return slots

    def release(self) -> None:
        """Give the lease and the executors back to the cluster."""
        if self._lease is not None:
            self._lease.end()
        self._executors.release()
