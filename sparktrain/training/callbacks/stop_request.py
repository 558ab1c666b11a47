"""Holds whether the driver has asked a training process to end training after its epoch."""

from __future__ import annotations

from collections.abc import Sequence


class StopRequest:
    """A request to end training after the current epoch, as one worker knows it.

    The workers of a run hear of it at different moments, so that each tells the others at an epoch's end, and all go by what was
    told.

    Attributes:
        reason: why training is to end; None while nobody has asked. Set by the thread that hears the task, read by training.
    """

    def __init__(self) -> None:
        self.reason: str | None = None

    def ask(self, reason: str) -> None:
        """Ask for the end; the first reason stays."""
        if self.reason is None:
            self.reason = reason


def first_reason(told: Sequence[str | None]) -> str | None:
    """Return the reason that all workers go by, the first that any of them knows, by rank; None if none of them was asked."""
    return next((reason for reason in told if reason is not None), None)
