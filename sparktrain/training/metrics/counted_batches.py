"""What the callbacks of a fit ask of its batches, whether they are a shard's or given by the user's code."""

from __future__ import annotations

from typing import Any, Protocol


class CountedBatches(Protocol):
    """The batches of one worker's fit, counted in rows and steps.

    Attributes:
        steps: of an epoch.
        begin: the step (from 0) of its epoch that the next pass begins with.
        epoch: the epoch (from 0) that is trained; set as it begins.
    """

    steps: int
    begin: int

    @property
    def epoch(self) -> int: ...

    @epoch.setter
    def epoch(self, epoch: int, /) -> None: ...

    @property
    def epoch_rows(self) -> int:
        """How many rows this worker trains on in this epoch."""

    @property
    def validation_rows(self) -> int:
        """How many rows this worker evaluates after this epoch."""

    def rows_of(self, step: int, /) -> int:
        """Return how many rows this worker gets in a step of the epoch, counted from 1."""

    def rows_until(self, epoch: int, step: int, /) -> int:
        """Return how many rows this worker has trained on after `step` steps of epoch `epoch`, which is counted from 0."""

    def sample(self) -> Any:
        """Return some rows in the form in which a step takes them; None if there are none."""
