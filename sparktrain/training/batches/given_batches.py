"""What is known of the data that a user passes to a distributed model's fit or evaluate: how many batches and steps it has."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sparktrain.models.errors import TrainingError
from sparktrain.training.framework import RowCounter

_SHOWN = 8  # ranks that a message names


@dataclass(frozen=True)
class GivenBatches:
    """The data of a call, on this worker.

    Attributes:
        data: the data to pass to Keras in place of the original.
        kind: the type of the original, for messages.
        batches: batches of one pass; None if unknown, -1 if endless.
        maybe_empty: whether a batch may have no rows.
        spec: the structure, shapes and dtypes of a batch, as the framework has them; None if it couldn't be inspected.
        sample: returns a batch with rows; None if there is none.
        in_order: whether Keras takes the batches as they come, and can't shuffle them.
    """

    data: Any
    kind: str
    batches: int | None
    maybe_empty: bool
    spec: Any
    sample: Callable[[], Any]
    in_order: bool = False


def steps_of(given: GivenBatches, steps_per_epoch: int | None, epochs: int) -> int:
    """Return the steps of an epoch of a fit.

    Args:
        given: the fit's data.
        steps_per_epoch: the fit's argument.
        epochs: the number of epochs it makes.

    Raises:
        TrainingError: the number isn't known in advance, or the data may end before the last step.
    """
    batches = given.batches
    if not steps_per_epoch:
        if batches is not None and batches >= 0:
            return batches
        why = "has no end" if batches == -1 else "doesn't say how many batches it has"
        raise TrainingError(
            f"fit came with a {given.kind} that {why}, and all workers have to make the same number of steps: give fit "
            "steps_per_epoch with data that repeats, or tell a tf.data.Dataset's length by "
            ".apply(tf.data.experimental.assert_cardinality(batches))"
        )
    if batches is not None and batches >= 0 and batches % steps_per_epoch and batches < steps_per_epoch * epochs:
        raise TrainingError(
            f"fit's steps_per_epoch is {steps_per_epoch} for {epochs} epoch(s), and the {given.kind} has {batches} batches, so an epoch would "
            "end in its midst: call .repeat() on the dataset, or leave steps_per_epoch out"
        )
    return steps_per_epoch


def refuse_different(by_rank: Sequence[Mapping[str, Any]]) -> None:
    """Check that all workers make the same call.

    Args:
        by_rank: each worker's values that must be the same, by rank: "steps", and arguments of the call.

    Raises:
        TrainingError: a value differs.
    """
    for name in by_rank[0]:
        values = [each.get(name) for each in by_rank]
        if all(value == values[0] for value in values):
            continue
        shown = ", ".join(f"rank {rank}: {value}" for rank, value in enumerate(values[:_SHOWN]))
        shown += f" and {len(values) - _SHOWN} more" if len(values) > _SHOWN else ""
        if name == "steps":
            raise TrainingError(
                f"fit's data has another number of batches on each worker ({shown}), and every step is made by all of them "
                "together. worker.dataset(batch_size), and what .map, .prefetch, .cache or .repeat makes of it, has the same "
                "number everywhere; of data of your own give each worker as many batches, or let it repeat and give "
                "steps_per_epoch"
            )
        raise TrainingError(f"the workers call fit with different arguments: {name} is {shown}. Pass the same on all of them")


class FitBatches:
    """The interface of `Feeding` for the callbacks of a fit whose batches are known only as they arrive.

    Args:
        steps: steps of an epoch.
        counts: the counts of rows of the model's steps.
        sample: see `GivenBatches`.
    """

    begin = 0  # the step that an epoch begins at

    def __init__(self, steps: int, counts: RowCounter, sample: Callable[[], Any]) -> None:
        self.steps, self.sample = steps, sample
        self._counts = counts
        self._first = counts.training
        self.epoch = 0

    @property
    def epoch(self) -> int:
        """The current epoch, from 0."""
        return self._epoch

    @epoch.setter
    def epoch(self, epoch: int) -> None:
        self._epoch = epoch
        self._trained, self._tested = self._counts.training, self._counts.test

    @property
    def epoch_rows(self) -> int:
        """The rows that this worker has trained on in this epoch so far."""
        return self._counts.training - self._trained

    @property
    def validation_rows(self) -> int:
        """The rows that this worker has evaluated since the epoch began."""
        return self._counts.test - self._tested

    def rows_of(self, step: int) -> int:
        """Return this worker's rows in the step just made."""
        return self._counts.last

    def rows_until(self, epoch: int, step: int) -> int:
        """Return the rows that this worker has trained on so far."""
        return self._counts.training - self._first
