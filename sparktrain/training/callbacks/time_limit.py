"""Limits the time of training; checked between epochs."""

from __future__ import annotations

import time

from sparktrain.models.errors import TrainingError


class TimeLimit:
    """Ends training before an epoch that would exceed the limit.

    Args:
        ends_at: the limit, in seconds of this host's monotonic clock.
        then: "save" to save the current model at the limit, or "fail".

    Attributes:
        note: a note for the user if it has ended the training; else None.
    """

    def __init__(self, ends_at: float, then: str) -> None:
        self._ends_at, self._then = ends_at, then
        self.note: str | None = None

    def over(self, done: int, epochs: int, epoch_seconds: float) -> bool:
        """Return whether training must end now.

        Args:
            done: how many of `epochs` are done.
            epochs: the number of epochs to train.
            epoch_seconds: how long the last epoch took, the estimate for the next.

        Raises:
            TrainingError: training must end, and the limit is configured to fail.
        """
        left = self._ends_at - time.monotonic()
        if left >= epoch_seconds:
            return False
        passed = f"{left:.1f} s were left" if left > 0 else f"it was over {-left:.1f} s ago"
        self.note = (
            f"training.time_limit ended training after epoch {done} of {epochs}: "
            f"{passed}, and an epoch takes {epoch_seconds:.1f} s"
        )
        if self._then == "fail":
            raise TrainingError(f"{self.note}; training.time_limit.then: save would have kept the model as it was then")
        return True
