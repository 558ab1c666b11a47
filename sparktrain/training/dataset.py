"""This worker's batches as a tf.data pipeline that Keras reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property, partial
from itertools import islice, pairwise
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from sparktrain.feed import Batch, Shard
from sparktrain.training.devices import replicas

LABEL = ""  # the first label among the leaves of a structure


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
        epoch: which epoch's batches (from 0) the next pass over `training` gives; where there are several devices, the
            first one's.
        begin: at which step (from 0) of its epoch the next `training` begins.
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
        self.template = template
        self._labels = labels
        self._batch_size = batch_size
        self._class_weight = class_weight
        self._one_step = one_step
        self.epoch = self.begin = 0
        self.error: Exception | None = None
        self.steps = 1 if one_step else shard.schedule.steps
        self.epoch_rows = self._rows(self.steps)
        self.validation_rows = min(shard.validation_rows, batch_size) if one_step else shard.validation_rows
        self.validates = validates

    @property
    def empty_steps(self) -> bool:
        """Whether some step gives this worker, or one of its devices, no row."""
        return min(self._sizes) < replicas()

    @property
    def rows_by_part(self) -> list[list[int]]:
        """See Shard.rows_by_part."""
        return self._shard.rows_by_part

    def rows_of(self, step: int) -> int:
        """How many rows a step of an epoch, counted from 1, gives this worker."""
        return self._shard.schedule.rows(self._shard.part, step - 1)

    def rows_until(self, epoch: int, step: int) -> int:
        """How many rows were trained on once `step` steps of epoch `epoch` (from 0) are done."""
        return epoch * self.epoch_rows + self._rows(step)

    @property
    def empty_validation(self) -> bool:
        """Whether some batch of `validation` gives this worker, or one of its devices, no row."""
        last = self.validation_rows % self._batch_size or min(self._batch_size, self.validation_rows)
        return last < replicas()

    @property
    def batch_spec(self) -> Any:
        """The structure of tf.TensorSpec of a device's batch in training."""
        return self._training().element_spec

    def sample(self) -> Any:
        """Some of this worker's training rows as a step takes them, one of its devices' where it has several; None without rows."""
        if not self._rows(1):
            return None
        batches = partial(Feeding._training_batches, self)  # not a subclass's, which counts them
        return next(iter(self._dataset(batches, 1, None, self._weighted)))

    def training(self) -> tf.data.Dataset:
        """The steps of one epoch from `begin` on: of the epoch that `epoch` says as a pass over it begins.

        For several devices, those of all epochs, one after the other.
        """
        return _for_devices(self._training())

    def validation(self) -> tf.data.Dataset:
        """The validation rows in a fixed order; one batch of no rows where this worker has none.

        For several devices, again and again.
        """
        return _for_devices(self._dataset(self._validation_batches, self.validation_steps, None, self._shard.weighted))

    @property
    def validation_steps(self) -> int:
        """Batches of `validation`."""
        return max(1, -(-self.validation_rows // self._batch_size))

    def _training(self) -> tf.data.Dataset:
        # A constant batch size lets TensorFlow unroll and plan: an LSTM's step is a sixth faster.
        rows = min(self._sizes) if len(self._sizes) == 1 and replicas() == 1 else None
        return self._dataset(self._training_batches, self.steps, rows, self._weighted, self.begin)

    @property
    def _weighted(self) -> bool:
        return self._shard.weighted or self._class_weight is not None

    def _rows(self, steps: int) -> int:
        return self._shard.schedule.bounds(self._shard.part, steps - 1)[1] if steps else 0

    @cached_property
    def _sizes(self) -> set[int]:
        """Of all batches of an epoch: there may be millions, and all are looked at."""
        return set(islice(self._shard.schedule.sizes(self._shard.part), self.steps))

    def _training_batches(self, epoch: int) -> Iterator[Batch]:
        for inputs, label, weight in self._shard.epoch(epoch):
            if self._class_weight is not None:
                of_class = class_weights(label, self._class_weight)
                weight = of_class if weight is None else weight * of_class
            yield Batch(inputs, label, weight)

    def _validation_batches(self, epoch: int) -> Iterator[Batch]:
        if self._shard.validation_rows:
            yield from self._shard.validation(self._batch_size)
            return
        inputs = {name: np.zeros((0, *shape), dtype) for name, (shape, dtype) in self._shard.inputs.items()}
        shape, dtype = self._shard.label
        yield Batch(inputs, np.zeros((0, *shape), dtype), np.zeros(0, np.float32) if self._shard.weighted else None)

    def _dataset(
        self,
        batches: Callable[[int], Iterator[Batch]],
        steps: int,
        rows: int | None,
        weighted: bool,
        begin: int = 0,
    ) -> tf.data.Dataset:
        leaves = [*keras.tree.flatten(self.template), *keras.tree.flatten(self._labels)]
        known = {**self._shard.inputs, LABEL: self._shard.label}
        kinds = [known[name] for name in leaves] + ([((), np.dtype(np.float32))] if weighted else [])
        devices = replicas()
        passing: Iterator[Batch] | None = None

        def fetch(number: np.ndarray) -> list[np.ndarray]:
            nonlocal passing
            try:
                epoch, step = divmod(int(number), steps * devices)
                if step == 0 or passing is None:
                    rows_of = batches(self.epoch) if devices == 1 else _split(batches(epoch), devices)
                    passing = islice(rows_of, step, None)
                inputs, label, weight = next(passing)  # exactly as many as steps
            except Exception as error:
                self.error = self.error or error  # the first: TensorFlow asks again after it
                raise
            came = {**inputs, LABEL: label}
            return [*(came[name] for name in leaves), *([weight] if weight is not None else [])]

        def batch(number: tf.Tensor) -> tuple[Any, ...]:
            # Half of what Dataset.from_generator costs a batch.
            arrays = tf.numpy_function(fetch, [number], [tf.as_dtype(dtype) for _, dtype in kinds])
            for array, (shape, _) in zip(arrays, kinds):
                array.set_shape((rows, *shape))
            both = keras.tree.pack_sequence_as((self.template, self._labels), arrays[: len(leaves)])
            return *both, *arrays[len(leaves) :]

        # Its known length lets Keras cut several steps an execution at an epoch's end. That of a distributed one is not
        # known, and a step that finds the end counts as one of the optimizer's: there it has none.
        first = (self.epoch * steps + begin) * devices
        numbers = tf.data.Dataset.range(begin, steps) if devices == 1 else tf.data.Dataset.counter(first)
        dataset = numbers.map(batch).prefetch(2 * devices)
        options = tf.data.Options()
        options.autotune.enabled = False  # its thread's sleep would be waited for at every pass's end
        return dataset.with_options(options)


def _for_devices(dataset: tf.data.Dataset) -> Any:
    """One element a device. Left to it, TensorFlow would cut batches anew, and a device that got no row of a small one
    would take the next batch's."""
    if replicas() == 1:
        return dataset
    return tf.distribute.get_strategy().distribute_datasets_from_function(lambda context: dataset)


def _split(batches: Iterator[Batch], parts: int) -> Iterator[Batch]:
    """Each batch as `parts` smaller ones, some maybe without rows."""
    for inputs, label, weight in batches:
        bounds = np.linspace(0, len(label), parts + 1).astype(int)
        for begin, end in pairwise(bounds):
            yield Batch(
                {name: rows[begin:end] for name, rows in inputs.items()},
                label[begin:end],
                None if weight is None else weight[begin:end],
            )


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
