"""The time that training may take, looked at between epochs."""

from __future__ import annotations

import time

from sparktrain.models.errors import TrainingError


class TimeLimit:
    """Ends training before an epoch that would be over the limit.

    Args:
        ends_at: seconds of this host's monotonic clock.
        then: save, what there is; or fail.

    Attributes:
        note: what to tell of the end that it made; None where it made none.
    """

    def __init__(self, ends_at: float, then: str) -> None:
        self._ends_at, self._then = ends_at, then
        self.note: str | None = None

    def over(self, done: int, epochs: int, epoch_seconds: float) -> bool:
        """Whether training ends here.

        Args:
            done: how many epochs are done, of `epochs`.
            epoch_seconds: how long the last one took, and so, most likely, the next.

        Raises:
            TrainingError: it does, and that is to be a failure.
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
