"""This worker's batches as a tf.data pipeline that Keras reads."""

from __future__ import annotations

from typing import Any, Iterator, Mapping

import keras
import numpy as np
import tensorflow as tf

from sparktrain.feed import Shard


class Feeding:
    """The batches of one worker's shard, epoch after epoch, in the structure that its model takes.

    Args:
        shard: the rows.
        template: the model's input structure with an input's name at each leaf (see `model.input_template`).
        batch_size: for the validation rows, which are evaluated in batches of their own.
        class_weight: class to weight, multiplied into the rows' own weights in training, as Keras's class_weight
            does; a class that isn't named weighs 1.
        validates: whether any worker has validation rows; then all of them take part.
        one_step: only the first batch of an epoch, for a rehearsal.
    """

    def __init__(
        self,
        shard: Shard,
        template: Any,
        *,
        batch_size: int,
        class_weight: Mapping[int, float] | None,
        validates: bool,
        one_step: bool,
    ) -> None:
        self._shard = shard
        self._template = template
        self._batch_size = batch_size
        self._class_weight = class_weight
        self._one_step = one_step
        self.validates = validates
        self.epoch = 0   # which epoch's batches the next iterator gives
        self.error: Exception | None = None   # what the feed raised inside TensorFlow's threads
        self.steps = 1 if one_step else shard.schedule.steps
        self.epoch_rows = self._rows(self.steps)
        self.validation_rows = shard.validation_rows

    @property
    def empty_steps(self) -> bool:
        """Whether some step gives this worker no row."""
        return any(self._shard.schedule.rows(self._shard.part, step) == 0 for step in range(self.steps))

    def rows_until(self, epoch: int, step: int) -> int:
        """How many rows were trained on once `step` steps of epoch `epoch` (from 0) are done."""
        return epoch * self.epoch_rows + self._rows(step)

    def _rows(self, steps: int) -> int:
        return self._shard.schedule.bounds(self._shard.part, steps - 1)[1] if steps else 0

    def training(self) -> tf.data.Dataset:
        """The steps of one epoch: of the epoch that `epoch` says as its iterator starts."""
        weighted = self._shard.weighted or self._class_weight is not None
        return self._dataset(self._training, weighted, self.steps)

    def validation(self) -> tf.data.Dataset:
        """The validation rows in a fixed order; one batch of no rows where this worker has none."""
        batches = max(1, -(-self._shard.validation_rows // self._batch_size))
        return self._dataset(self._validation, self._shard.weighted, 1 if self._one_step else batches)

    def _training(self) -> Iterator[Any]:
        for inputs, label, weight in self._shard.epoch(self.epoch):
            if self._class_weight is not None:
                of_class = class_weights(label, self._class_weight)
                weight = of_class if weight is None else weight * of_class
            yield self._element(inputs, label, weight)

    def _validation(self) -> Iterator[Any]:
        if not self._shard.validation_rows:
            inputs = {name: np.zeros((0, *shape), dtype) for name, (shape, dtype) in self._shard.inputs.items()}
            shape, dtype = self._shard.label
            weight = np.zeros(0, np.float32) if self._shard.weighted else None
            yield self._element(inputs, np.zeros((0, *shape), dtype), weight)
            return
        for inputs, label, weight in self._shard.validation(self._batch_size):
            yield self._element(inputs, label, weight)

    def _element(self, inputs: Mapping[str, np.ndarray], label: np.ndarray, weight: np.ndarray | None) -> tuple:
        structured = keras.tree.map_structure(lambda name: inputs[name], self._template)
        return (structured, label) if weight is None else (structured, label, weight)

    def _dataset(self, batches: Any, weighted: bool, count: int) -> tf.data.Dataset:
        def told() -> Iterator[Any]:
            try:
                yield from batches()
            except Exception as error:
                self.error = error   # TensorFlow would hand on its text only
                raise

        inputs = keras.tree.map_structure(lambda name: _spec(self._shard.inputs[name]), self._template)
        signature = (inputs, _spec(self._shard.label), *([_spec(((), np.float32))] if weighted else []))
        dataset = tf.data.Dataset.from_generator(told, output_signature=signature)
        # A known length lets Keras cut several steps an execution at an epoch's end.
        dataset = dataset.take(count).apply(tf.data.experimental.assert_cardinality(count)).prefetch(2)
        options = tf.data.Options()
        options.autotune.enabled = False   # its thread's sleep would be waited for at every iterator's end
        return dataset.with_options(options)


def _spec(of_row: tuple[tuple[int, ...], Any]) -> tf.TensorSpec:
    shape, dtype = of_row
    return tf.TensorSpec((None, *shape), np.dtype(dtype))


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
