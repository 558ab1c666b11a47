"""Chooses the root cause among the workers' failures, and explains it by what is known of the others and of Spark. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sparktrain.interfaces.messages import Failure
from sparktrain.known_messages import kubernetes, spark, yarn
from sparktrain.known_messages.known_message import line_with

_CAUSES = ("code", "input", "lost", "echo")  # the likeliest root cause first
_REASONS = (spark.EXECUTOR_LOST, spark.EXECUTOR_TAKEN, spark.APPLICATION_REMOVED)
_TOOK_TOO_MUCH = (yarn.CONTAINER_TOO_LARGE, spark.CONTAINER_TOO_LARGE, kubernetes.CONTAINER_TOO_LARGE)


@dataclass(frozen=True)
class WorkerFailure:
    """A worker's failure, with its part, rank and host."""

    part: int
    rank: int | None  # None: it failed before all workers had connected, so that no ranks were assigned
    host: str
    failure: Failure

    def __str__(self) -> str:
        worker = f"rank {self.rank}" if self.rank is not None else f"part {self.part}"
        return f"{worker} on {self.host}"


def root_cause(failures: Sequence[WorkerFailure]) -> WorkerFailure:
    """Choose the root cause among the failures of several workers: other workers' echoes come last.

    Args:
        failures: in the order in which they arrived; not empty.
    """
    return min(failures, key=lambda failure: _CAUSES.index(failure.failure.cause))


def with_reason(gone: WorkerFailure, verdict: str) -> WorkerFailure:
    """Add Spark's reason to the failure of a task that is gone: the cluster manager's reason for the executor's end.

    Args:
        gone: the failure.
        verdict: Spark's message on the end of the stage.
    """
    why = line_with(_REASONS, verdict)
    message = gone.failure.message if why is None else f"{gone.failure.message}. Spark says: {why[:500]}"
    if any(known.find(verdict) for known in _TOOK_TOO_MUCH):
        message += " A training process counts there, too: give each worker more with cluster.worker_memory"
    return replace(gone, failure=replace(gone.failure, message=message, traceback=f"Spark says: {verdict}"))


def with_missing(echo: WorkerFailure, silent: Sequence[str]) -> WorkerFailure:
    """Add the workers that had not reached a failed collective call, if no worker has failed by itself.

    Args:
        echo: the failure of a worker that waited in the call.
        silent: the workers that have neither finished nor failed, as `rank 1 on HOST`.
    """
    if not silent:
        return echo
    message = (
        f"{echo.failure.message}. No worker has failed by itself; {', '.join(silent[:4])} had not come to the collective call in "
        "which this one waited"
    )
    return replace(echo, failure=replace(echo.failure, message=message))
