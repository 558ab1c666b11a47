"""A worker's rows as datasets for a loop of the user's own: each pass over one is the next epoch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

from sparktrain.feed import MORE_LABEL, Batch, Shard
from sparktrain.training.dataset import LABEL, Feeding


class OwnRows:
    """Hands out a worker's rows as datasets, and knows its own datasets again.

    Args:
        shard: the rows.
        size: how many workers there are.
        labelled: whether the rows have a label.

    Attributes:
        rows: training rows handed out so far.
        steps: batches handed out so far.
        epoch: whose order (from 0) the next pass over training rows has.
        peeking: whether passes are only looked at: they count as no epoch, and their rows are not counted.
    """

    def __init__(self, shard: Shard, size: int, labelled: bool) -> None:
        self.rows = self.steps = self.epoch = 0
        self.peeking = False
        self.labelled = labelled
        self._shard, self._size = shard, size
        # By the dataset's id, which is its own while the object is kept
        self._handed_out: dict[int, tuple[tf.data.Dataset, Passes]] = {}

    @property
    def inputs(self) -> list[str]:
        """The names of the inputs, in the order of the features."""
        return [name for name in self._shard.inputs if not name.startswith(MORE_LABEL)]

    @property
    def error(self) -> Exception | None:
        """What the feed raised inside TensorFlow's threads, which would hand on its text only."""
        return next((passes.error for _, passes in self._handed_out.values() if passes.error is not None), None)

    def training(self, batch_size: int) -> tf.data.Dataset:
        """The training rows in batches, as many on every worker."""
        passes = Passes(self, self._cut(batch_size), batch_size)
        return self._hand_out(passes.training(), passes)

    def validation(self, batch_size: int) -> tf.data.Dataset:
        """The validation rows in batches; one batch of no rows where this worker has none."""
        passes = Passes(self, self._cut(batch_size), batch_size, validation=True)
        return self._hand_out(passes.validation(), passes)

    def passes_of(self, dataset: Any) -> Passes | None:
        """The batches behind a dataset that was handed out; None where it is another one, such as one derived from it."""
        _, passes = self._handed_out.get(id(dataset), (None, None))
        return passes

    @contextmanager
    def peek(self) -> Iterator[None]:
        """Let passes that begin inside count as no epoch."""
        before, self.peeking = self.peeking, True
        try:
            yield
        finally:
            self.peeking = before

    def _cut(self, batch_size: int) -> Shard:
        own = self._shard
        return Shard(own.folders, own.filled, own.agreement, own.part, own.seed, (batch_size,) * self._size)

    def _hand_out(self, dataset: tf.data.Dataset, passes: Passes) -> tf.data.Dataset:
        if not self.labelled:
            dataset = dataset.map(lambda inputs, *_: inputs)
        self._handed_out[id(dataset)] = dataset, passes
        return dataset


class Passes(Feeding):
    """The batches of one dataset that was handed out.

    Args:
        own: the rows that it is of.
        shard: cut into batches.
        batch_size: likewise.
        validation: whether it is of the validation rows.
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
        """Whether one of the batches has no row."""
        return self.empty_validation if self._validation else self.empty_steps

    def sample(self) -> Any:
        batch = super().sample()
        return batch if batch is None or self._own.labelled else batch[0]

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
