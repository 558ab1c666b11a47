"""Provides a worker's rows as datasets for the user's own loop: each pass over one is the next epoch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from sparktrain.feed import MORE_LABEL, Batch, Shard
from sparktrain.training.batches.dataset import LABEL, Feeding


class OwnRows:
    """Makes datasets of a worker's rows, and recognises them when they are passed to a model.

    Args:
        shard: the rows.
        size: the number of workers.
        labelled: whether the rows have a label.

    Attributes:
        rows: training rows that datasets have yielded so far.
        steps: training batches that datasets have yielded so far.
        epoch: the epoch (from 0) of the next pass over training rows.
        peeking: whether passes count as no epoch, and their rows are not counted.
    """

    def __init__(self, shard: Shard, size: int, labelled: bool) -> None:
        self.rows = self.steps = self.epoch = 0
        self.peeking = False
        self.labelled = labelled
        self._shard, self._size = shard, size
        # By the dataset's id, which is unique while the dataset is referenced
        self._handed_out: dict[int, tuple[Any, Passes]] = {}

    @property
    def inputs(self) -> list[str]:
        """The names of the inputs, in the order of the features."""
        return [name for name in self._shard.inputs if not name.startswith(MORE_LABEL)]

    @property
    def error(self) -> Exception | None:
        """The exception of the feed in threads of the framework's, which may pass on only its text; else None."""
        return next((passes.error for _, passes in self._handed_out.values() if passes.error is not None), None)

    def training(self, batch_size: int) -> Any:
        """Return a dataset of the training rows, with the same number of batches on every worker."""
        passes = Passes(self, self._cut(batch_size), batch_size)
        return self._hand_out(passes.training(), passes)

    def validation(self, batch_size: int) -> Any:
        """Return a dataset of the validation rows; one empty batch if this worker has none."""
        passes = Passes(self, self._cut(batch_size), batch_size, validation=True)
        return self._hand_out(passes.validation(), passes)

    def passes_of(self, dataset: Any) -> Passes | None:
        """Return the batches behind a dataset that this made; None for any other, such as one derived from it."""
        _, passes = self._handed_out.get(id(dataset), (None, None))
        return passes

    @contextmanager
    def peek(self) -> Iterator[None]:
        """Let passes that begin within a context count as no epoch."""
        before, self.peeking = self.peeking, True
        try:
            yield
        finally:
            self.peeking = before

    def _cut(self, batch_size: int) -> Shard:
        own = self._shard
        return Shard(own.folders, own.filled, own.agreement, own.part, own.seed, (batch_size,) * self._size)

    def _hand_out(self, dataset: Any, passes: Passes) -> Any:
        self._handed_out[id(dataset)] = dataset, passes
        return dataset


class Passes(Feeding):
    """The batches of one dataset.

    Args:
        own: the worker's rows.
        shard: the rows, with the schedule for the batch size.
        batch_size: the largest number of rows of a batch.
        validation: whether the dataset has the validation rows.
    """

    def __init__(self, own: OwnRows, shard: Shard, batch_size: int, validation: bool = False) -> None:
        more = [name for name in shard.inputs if name.startswith(MORE_LABEL)]
        super().__init__(
            shard,
            own.inputs[0] if len(own.inputs) == 1 else {name: name for name in own.inputs},
            (LABEL, *more) if more else LABEL,
            batch_size=batch_size,
            class_weight=None,
            validates=shard.validation_rows > 0,
            one_step=False,
        )
        self._own, self._validation = own, validation

    @property
    def maybe_empty(self) -> bool:
        """Whether one of the batches has no rows."""
        return self.empty_validation if self._validation else self.empty_steps

    def _structure(self, weighted: bool) -> tuple[Any, list[tuple[tuple[int, ...], np.dtype]]]:
        structure, kinds = super()._structure(weighted)
        if self._own.labelled:
            return structure, kinds
        return self.template, kinds[: len(keras.tree.flatten(self.template))]

    def _training_batches(self, epoch: int) -> Iterator[Batch]:
        own = self._own
        if own.peeking:
            yield from super()._training_batches(own.epoch)
            return
        own.epoch += 1
        for batch in super()._training_batches(own.epoch - 1):
            own.rows += len(batch.label)
            own.steps += 1
            yield batch
