"""Decides whether a failed attempt is retried, and after how long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sparktrain.interfaces.checkpoints import Checkpoint
from sparktrain.interfaces.messages import Failure
from sparktrain.known_messages import spark

# The kinds of failure: final would fail again however often it is retried; lost may succeed the next time; taken is an executor
# that the cluster manager took away, for another application or with its node, which is nobody's fault.
Kind = Literal["final", "lost", "taken"]

_PAUSES = (1.0, 5.0, 15.0, 30.0, 60.0)  # seconds before the next attempt, after 1, 2, ... in a row without a new checkpoint
_TAKEN = (spark.EXECUTOR_TAKEN, spark.EXECUTOR_DECOMMISSIONED, spark.EXECUTOR_PREEMPTED)
_LOST = (spark.EXECUTOR_LOST, spark.BARRIER_STAGE_LOST, spark.FETCH_FAILED, spark.WORKER_LOST)


@dataclass(frozen=True)
class Retry:
    """The decision to make another attempt.

    Attributes:
        pause: seconds to wait before it.
        failures: how many of `training.max_failures` are used up.
    """

    pause: float
    failures: int


class RetryPolicy:
    """Decides after each failure whether a run makes another attempt.

    Every failure counts against `training.max_failures`, except for an executor that was taken away after the attempt had
    written a new checkpoint. Without that condition, a cluster that takes each executor away again (a node whose disks are
    full, say) would be retried for ever.

    Args:
        max_failures: how many failures that count are retried.
        reached: the checkpoint that the first attempt resumes from; None if it starts from the beginning.
    """

    def __init__(self, max_failures: int, reached: Checkpoint | None = None) -> None:
        self._max = max_failures
        self._failures = self._in_a_row = 0
        self._reached = reached

    @property
    def exhausted(self) -> bool:
        """Whether the next failure that counts ends the run."""
        return self._failures >= self._max

    def after(self, kind: Kind, reached: Checkpoint | None) -> Retry | None:
        """Decide whether to retry after a failed attempt.

        Args:
            kind: the kind of its failure.
            reached: the newest checkpoint that another attempt can resume from; None if there is none.

        Returns:
            The retry; None if the run ends with this failure.
        """
        if kind == "final":
            return None
        further = reached is not None and reached != self._reached
        self._reached = reached
        self._in_a_row = 1 if further else self._in_a_row + 1
        self._failures += not (kind == "taken" and further)
        if self._failures > self._max:
            return None
        return Retry(_PAUSES[min(self._in_a_row, len(_PAUSES)) - 1], self._failures)


def kind_of(spark_says: str) -> Kind:
    """Return the kind of a failure by Spark's message: final unless it mentions something lost or taken away."""
    if any(message.find(spark_says) for message in _TAKEN):
        return "taken"
    return "lost" if any(message.find(spark_says) for message in _LOST) else "final"


def kind_of_failure(failure: Failure) -> Kind:
    """Return the kind of a worker's failure; of a lost one, its traceback may be Spark's message on the executor's end."""
    if not failure.retryable:
        return "final"
    return "taken" if kind_of(failure.traceback) == "taken" else "lost"
