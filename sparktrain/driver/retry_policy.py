"""Whether a failed attempt is followed by another, and after how long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sparktrain.interfaces.checkpoints import Checkpoint

# What a failure was: final fails again however often it is tried; lost may go better the next time; taken is an executor that
# the cluster manager took away, for another application or with its node, which is nobody's fault.
Kind = Literal["final", "lost", "taken"]

_PAUSES = (1.0, 5.0, 15.0, 30.0, 60.0)  # seconds before the next attempt, after so many in a row that came no further
# As Spark words the end of an executor that the cluster manager took away.
_TAKEN = ("unrelated to the running tasks", "decommission", "preempt")
_LOST = ("ExecutorLostFailure", "executor loss", "Could not recover from a failed barrier", "FetchFailed", "worker lost")


@dataclass(frozen=True)
class Retry:
    """Another attempt.

    Attributes:
        pause: seconds before it.
        failures: how many of `training.max_failures` are used up.
    """

    pause: float
    failures: int


class RetryPolicy:
    """Decide, failure by failure, whether a run goes on.

    Every failure counts against `training.max_failures` but for one: an executor that was taken away after the attempt had
    written a new checkpoint. Without that condition a cluster that takes each executor away again (a node whose disks are
    full, say) would be tried for ever.

    Args:
        max_failures: as often a run goes on after failures that count.
        reached: the newest checkpoint that the first attempt resumes from; None where the run begins.
    """

    def __init__(self, max_failures: int, reached: Checkpoint | None = None) -> None:
        self._max = max_failures
        self._failures = self._in_a_row = 0
        self._reached = reached

    @property
    def exhausted(self) -> bool:
        """Whether the next failure ends the run, unless it is one that doesn't count."""
        return self._failures >= self._max

    def after(self, kind: Kind, reached: Checkpoint | None) -> Retry | None:
        """Decide after a failed attempt.

        Args:
            kind: of its failure.
            reached: the newest checkpoint that another attempt can resume from; None where there is none.

        Returns:
            None where the run ends with this failure.
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
    """What a failure was, by Spark's words for it; final where they tell of nothing that was lost."""
    if any(word in spark_says.lower() for word in _TAKEN):
        return "taken"
    return "lost" if any(word in spark_says for word in _LOST) else "final"
