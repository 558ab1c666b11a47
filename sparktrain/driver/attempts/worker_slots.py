"""Gathers the executors for a run's workers, and gives them back at its end."""

from __future__ import annotations

import time

from sparktrain.cluster.executors.executor_python import check_python
from sparktrain.cluster.executors.gathering import gather
from sparktrain.cluster.executors.gathering_policy import Bounds
from sparktrain.cluster.executors.pool import Ticket, pool_of
from sparktrain.cluster.executors.slots import Slots, worker_gpus
from sparktrain.driver.attempts.executor_lease import executor_lease
from sparktrain.driver.run_context import RunContext
from sparktrain.interfaces.engines import ENGINES


class WorkerSlots:
    """The executors of one run."""

    def __init__(self, run: RunContext) -> None:
        self._run = run
        self._pool = pool_of(run.spark.sparkContext)
        self._ticket: Ticket | None = None
        self._lease = executor_lease(run.spark, run.job.name, run.hadoop, run.display.note)

    def gather(self) -> Slots:
        """Wait for slots for the workers, set their number in the run's job, and return the slots of the application.

        To be called before each attempt: the executors of the one before are given back first.

        Raises:
            NoSlots: the application doesn't get enough executors in time.
            ConfigError, ClusterRefused: the executors can't be used.
        """
        run, begun = self._run, time.monotonic()
        asked = run.asked.training.workers
        bounds = Bounds(asked, asked) if isinstance(asked, int) else Bounds(asked.min, asked.max)
        if self._ticket is None:
            alone = ENGINES[run.job.training.engine].alone
            self._ticket = self._pool.enter(run.id, run.job.cluster.priority, alone)
        else:
            self._pool.wait_again(self._ticket)
        timeout, check = run.job.cluster.slots_timeout, run.control.check
        slots = gather(self._pool, self._ticket, bounds, timeout, self._lease, run.display.step, check)
        workers = self._ticket.leased
        assert workers is not None  # `gather` has leased them
        run.job = run.job.model_copy(update={"training": run.job.training.model_copy(update={"workers": workers})})
        run.timeline.workers, run.timeline.copies = workers, workers if run.all_rows_each else 1
        run.timeline.seconds["slots"] += time.monotonic() - begun
        worker_gpus(run.job.training.gpus_per_worker, slots)  # raises, if at all, before any row is read
        check_python(run.spark.sparkContext, slots, run.job.training.engine, run.control.check)
        return slots

    def free(self) -> int:
        """Return how many executors, or slots in local mode, are free for this run: only its own if there are other runs."""
        assert self._ticket is not None and self._ticket.leased is not None  # called once they are gathered
        slots = self._pool.executors.count()
        alone = self._pool.runs() == [self._ticket.who] and not slots.local
        return max(self._ticket.leased, slots.most) if alone else self._ticket.leased

    def release(self) -> None:
        """Give the lease and the executors back."""
        try:
            if self._lease is not None:
                self._lease.end()
        finally:
            if self._ticket is not None:
                self._pool.leave(self._ticket)
