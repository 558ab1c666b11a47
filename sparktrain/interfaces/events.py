"""The events of a run, which its program can subscribe to (`RunControl.subscribe`)."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class PhaseEvent:
    """A run has entered a phase.

    Attributes:
        run: the run's id.
        phase: the step of the preparation as the display shows it; then the phase of the slowest worker: start, fill, join,
            build, train (run for a loop of the user's own), save, done.
    """

    run: str
    phase: str


@dataclass(frozen=True)
class EpochEvent:
    """An epoch of a run has ended.

    Attributes:
        run: the run's id.
        epoch: the epoch's number, from 1.
        epochs: the number of epochs to train.
        seconds: how long the epoch took.
        metrics: the metrics over all workers' rows, by name.
        attempt: the number of the attempt that trained it, from 1.
        again: whether an earlier attempt, whose checkpoint of it was lost, has ended the epoch, too.
    """

    run: str
    epoch: int
    epochs: int
    seconds: float
    metrics: dict[str, float] = field(default_factory=dict)
    attempt: int = 1
    again: bool = False


@dataclass(frozen=True)
class EndEvent:
    """A run has ended; the last of its events.

    Attributes:
        run: the run's id.
        status: finished, checked, refused, failed or stopped, as in the run's JSON line.
        reason: why the run didn't finish; None if it did.
    """

    run: str
    status: str
    reason: str | None = None


Event = PhaseEvent | EpochEvent | EndEvent
