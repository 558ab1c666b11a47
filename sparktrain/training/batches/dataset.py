"""Provides this worker's batches to Keras, as the framework's datasets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property, partial
from itertools import islice, pairwise
from typing import Any

import keras
import numpy as np

from sparktrain.feed import Batch, Shard
from sparktrain.training.framework import framework

LABEL = ""  # the first label among the leaves of a structure
_WEIGHT = "\0"  # the rows' weights among them


class Feeding:
    """The batches of one worker's shard, epoch after epoch, in the structure that its model expects.

    Args:
        shard: the rows.
        template: the model's input structure with an input's name at each leaf (see `model.input_template`).
        labels: the structure of the labels with a name at each leaf (see `model.label_template`).
        batch_size: rows of a validation batch.
        class_weight: the weight of each class, multiplied with the rows' own weights in training, as by Keras's
            class_weight; a class that isn't named has weight 1.
        validates: whether any worker has validation rows, so that all evaluate.
        one_step: whether an epoch has its first batch only, for a rehearsal.

    Attributes:
        epoch: the epoch (from 0) whose batches the next pass over `training` yields; with several devices, the first epoch.
        begin: the step (from 0) of its epoch that the next `training` begins at.
        error: the exception of the feed in threads of the framework's, which may pass on only its text; else None.
        steps: steps of an epoch.
        epoch_rows: this worker's training rows of an epoch.
        validation_rows: this worker's validation rows.
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

    def state_dict(self) -> dict[str, int]:
        """Return `epoch` and `step`, those that the next pass over `training` begins with."""
        return {"epoch": self.epoch, "step": self.begin}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        self.epoch, self.begin = state["epoch"], state["step"]

    @property
    def empty_steps(self) -> bool:
        """Whether some step gives this worker, or one of its devices, no rows."""
        return min(self._sizes) < framework().replicas()

    @property
    def rows_by_part(self) -> list[list[int]]:
        """See Shard.rows_by_part."""
        return self._shard.rows_by_part

    def rows_of(self, step: int) -> int:
        """Return this worker's rows in a step of an epoch, counted from 1."""
        return self._shard.schedule.rows(self._shard.part, step - 1)

    def rows_until(self, epoch: int, step: int) -> int:
        """Return how many rows have been trained on after `step` steps of epoch `epoch` (from 0)."""
        return epoch * self.epoch_rows + self._rows(step)

    @property
    def empty_validation(self) -> bool:
        """Whether some validation batch gives this worker, or one of its devices, no rows."""
        last = self.validation_rows % self._batch_size or min(self._batch_size, self.validation_rows)
        return last < framework().replicas()

    @property
    def batch_spec(self) -> Any:
        """The structure, shapes and dtypes of a device's training batch."""
        structure, kinds = self._structure(self._weighted)
        return framework().batch_spec(structure, kinds, self._constant_rows)

    def sample(self) -> Any:
        """Return a training batch of this worker, or of one of its devices; None if it has no rows."""
        if not self._rows(1):
            return None
        batches = partial(Feeding._training_batches, self)  # not a subclass's, which counts them
        return next(iter(self._dataset(batches, 1, None, self._weighted)))

    def training(self) -> Any:
        """Return a dataset of one epoch's steps, from `begin` on; each pass over it reads the current `epoch`.

        With several devices it has the steps of all epochs, one after the other.
        """
        batches = self._dataset(self._training_batches, self.steps, self._constant_rows, self._weighted, self.begin)
        return framework().for_devices(batches)

    def validation(self) -> Any:
        """Return a dataset of the validation rows in a fixed order, with one empty batch if this worker has none.

        With several devices it repeats them forever.
        """
        batches = self._dataset(self._validation_batches, self.validation_steps, None, self._shard.weighted)
        return framework().for_devices(batches)

    @property
    def validation_steps(self) -> int:
        """The number of validation batches."""
        return max(1, -(-self.validation_rows // self._batch_size))

    @property
    def _constant_rows(self) -> int | None:
        """The rows of every training batch, with which TensorFlow can optimize (an LSTM's step is a sixth faster); else None."""
        return min(self._sizes) if len(self._sizes) == 1 and framework().replicas() == 1 else None

    @property
    def _weighted(self) -> bool:
        return self._shard.weighted or self._class_weight is not None

    def _rows(self, steps: int) -> int:
        return self._shard.schedule.bounds(self._shard.part, steps - 1)[1] if steps else 0

    @cached_property
    def _sizes(self) -> set[int]:
        """The distinct sizes of all batches of an epoch, of which there may be millions."""
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
    ) -> Any:
        structure, kinds = self._structure(weighted)
        names = keras.tree.flatten(structure)
        devices = framework().replicas()
        passing: Iterator[Batch] | None = None

        def fetch(number: Any) -> list[np.ndarray]:
            nonlocal passing
            try:
                epoch, step = divmod(int(number), steps * devices)
                if step == 0 or passing is None:
                    rows_of = batches(self.epoch) if devices == 1 else _split(batches(epoch), devices)
                    passing = islice(rows_of, step, None)
                inputs, label, weight = next(passing)  # exactly as many as steps
            except Exception as error:
                self.error = self.error or error  # the first: the framework may ask again after it
                raise
            came: dict[str, Any] = {**inputs, LABEL: label, _WEIGHT: weight}
            return [came[name] for name in names]

        # With a known length, Keras shortens several steps an execution at an epoch's end. The length of a distributed dataset
        # isn't known, and a step that reaches its end would count for the optimizer: so it is endless.
        first = begin if devices == 1 else (self.epoch * steps + begin) * devices
        return framework().dataset(fetch, structure, kinds, rows, first, steps if devices == 1 else None)

    def _structure(self, weighted: bool) -> tuple[Any, list[tuple[tuple[int, ...], np.dtype]]]:
        """Return the structure of a batch with a name at each leaf, and the (shape of a row, dtype) of each leaf."""
        structure = (self.template, self._labels, *([_WEIGHT] if weighted else []))
        known = {**self._shard.inputs, LABEL: self._shard.label, _WEIGHT: ((), np.dtype(np.float32))}
        return structure, [known[name] for name in keras.tree.flatten(structure)]


def _split(batches: Iterator[Batch], parts: int) -> Iterator[Batch]:
    """Yield each batch as `parts` smaller ones, of which some may be empty."""
    for inputs, label, weight in batches:
        bounds = np.linspace(0, len(label), parts + 1).astype(int)
        for begin, end in pairwise(bounds):
            yield Batch(
                {name: rows[begin:end] for name, rows in inputs.items()},
                label[begin:end],
                None if weight is None else weight[begin:end],
            )


def class_weights(label: np.ndarray, weights: Mapping[int, float]) -> np.ndarray:
    """Return the weight of each row by its class, float32 [rows].

    Args:
        label: class numbers, [rows] or [rows, 1], or one-hot, [rows, classes].
        weights: the weight of each class; 1 for a class that isn't named.
    """
    if label.ndim > 1:
        label = label.argmax(axis=-1) if label.shape[-1] > 1 else label[..., 0]
    classes, inverse = np.unique(np.rint(label).astype(np.int64), return_inverse=True)
    return np.array([weights.get(int(c), 1.0) for c in classes], np.float32)[inverse]
