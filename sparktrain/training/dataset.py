"""This worker's batches as a tf.data pipeline that Keras reads."""

from __future__ import annotations

from typing import Any, Callable, Iterator, Mapping

import keras
import numpy as np
import tensorflow as tf

from sparktrain.feed import Batch, Shard

LABEL = ""   # the first label among the leaves of a structure


class Feeding:
    """The batches of one worker's shard, epoch after epoch, in the structure that its model takes.

    Args:
        shard: the rows.
        template: the model's input structure with an input's name at each leaf (see `model.input_template`).
        labels: likewise of what it is compared with (see `model.label_template`).
        batch_size: for the validation rows, which are evaluated in batches of their own.
        class_weight: class to weight, multiplied into the rows' own weights in training, as Keras's class_weight
            does; a class that isn't named weighs 1.
        validates: whether any worker has validation rows; then all of them take part.
        one_step: only the first batch of an epoch, for a rehearsal.

    Attributes:
        epoch: which epoch's batches (from 0) the next pass over `training` gives.
        error: what the feed raised inside TensorFlow's threads, which would hand on its text only.
        steps: of an epoch.
        epoch_rows: how many rows an epoch trains on here.
        validation_rows: how many rows are evaluated here.
        validates: as given.
    """

    def __init__(
        self,
        shard: Shard,
        template: Any,
        labels: Any = LABEL,
        *,
        batch_size: int,
        class_weight: Mapping[int, float] | None,
        validates: bool,
        one_step: bool,
    ) -> None:
        self._shard = shard
        self._template = template
        self._labels = labels
        self._batch_size = batch_size
        self._class_weight = class_weight
        self._one_step = one_step
        self.epoch = 0
        self.error: Exception | None = None
        self.steps = 1 if one_step else shard.schedule.steps
        self.epoch_rows = self._rows(self.steps)
        self.validation_rows = min(shard.validation_rows, batch_size) if one_step else shard.validation_rows
        self.validates = validates

    @property
    def empty_steps(self) -> bool:
        """Whether some step gives this worker no row."""
        return 0 in self._sizes()

    def rows_until(self, epoch: int, step: int) -> int:
        """How many rows were trained on once `step` steps of epoch `epoch` (from 0) are done."""
        return epoch * self.epoch_rows + self._rows(step)

    def training(self) -> tf.data.Dataset:
        """The steps of one epoch: of the epoch that `epoch` says as a pass over it begins."""
        weighted = self._shard.weighted or self._class_weight is not None
        sizes = self._sizes()
        # A constant batch size lets TensorFlow unroll and plan: an LSTM's step is a sixth faster.
        rows = sizes.pop() if len(sizes) == 1 else None
        return self._dataset(self._training_batches, self.steps, rows, weighted)

    def validation(self) -> tf.data.Dataset:
        """The validation rows in a fixed order; one batch of no rows where this worker has none."""
        steps = max(1, -(-self.validation_rows // self._batch_size))
        return self._dataset(self._validation_batches, steps, None, self._shard.weighted)

    def _rows(self, steps: int) -> int:
        return self._shard.schedule.bounds(self._shard.part, steps - 1)[1] if steps else 0

    def _sizes(self) -> set[int]:
        return {self._shard.schedule.rows(self._shard.part, step) for step in range(self.steps)}

    def _training_batches(self) -> Iterator[Batch]:
        for inputs, label, weight in self._shard.epoch(self.epoch):
            if self._class_weight is not None:
                of_class = class_weights(label, self._class_weight)
                weight = of_class if weight is None else weight * of_class
            yield Batch(inputs, label, weight)

    def _validation_batches(self) -> Iterator[Batch]:
        if self._shard.validation_rows:
            yield from self._shard.validation(self._batch_size)
            return
        inputs = {name: np.zeros((0, *shape), dtype) for name, (shape, dtype) in self._shard.inputs.items()}
        shape, dtype = self._shard.label
        yield Batch(inputs, np.zeros((0, *shape), dtype), np.zeros(0, np.float32) if self._shard.weighted else None)

    def _dataset(
        self, batches: Callable[[], Iterator[Batch]], steps: int, rows: int | None, weighted: bool
    ) -> tf.data.Dataset:
        leaves = [*keras.tree.flatten(self._template), *keras.tree.flatten(self._labels)]
        known = {**self._shard.inputs, LABEL: self._shard.label}
        kinds = [known[name] for name in leaves] + ([((), np.dtype(np.float32))] if weighted else [])
        passing: Iterator[Batch] = iter(())

        def fetch(step: np.ndarray) -> list[np.ndarray]:
            nonlocal passing
            try:
                if step == 0:
                    passing = batches()
                inputs, label, weight = next(passing)   # exactly as many as steps
            except Exception as error:
                self.error = self.error or error   # the first: TensorFlow asks again after it
                raise
            came = {**inputs, LABEL: label}
            return [*(came[name] for name in leaves), *([weight] if weighted else [])]

        def batch(step: tf.Tensor) -> tuple[Any, ...]:
            # Half of what Dataset.from_generator costs a batch.
            arrays = tf.numpy_function(fetch, [step], [tf.as_dtype(dtype) for _, dtype in kinds])
            for array, (shape, _) in zip(arrays, kinds):
                array.set_shape((rows, *shape))
            both = keras.tree.pack_sequence_as((self._template, self._labels), arrays[: len(leaves)])
            return *both, *arrays[len(leaves):]

        # Its known length lets Keras cut several steps an execution at an epoch's end.
        dataset = tf.data.Dataset.range(steps).map(batch).prefetch(2)
        options = tf.data.Options()
        options.autotune.enabled = False   # its thread's sleep would be waited for at every pass's end
        return dataset.with_options(options)


def class_weights(label: np.ndarray, weights: Mapping[int, float]) -> np.ndarray:
    """The weight of each row by its class: float32 [rows].

    Args:
        label: classes, [rows] or [rows, 1], or one-hot, [rows, classes].
        weights: class to weight; 1 where a class isn't named.
    """
    if label.ndim > 1:
        label = label.argmax(axis=-1) if label.shape[-1] > 1 else label[..., 0]
    classes, inverse = np.unique(np.rint(label).astype(np.int64), return_inverse=True)
    return np.array([weights.get(int(c), 1.0) for c in classes], np.float32)[inverse]
