"""Inspects the data that a user passes to a distributed model's fit or evaluate: its number of batches, and their structure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import GeneratorType
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from sparktrain.models.errors import TrainingError
from sparktrain.training.own_rows import OwnRows
from sparktrain.training.row_counts import RowCounts

_BATCH_SIZE = 32  # Keras's default for arrays
_SHOWN = 8  # ranks that a message names


@dataclass(frozen=True)
class GivenBatches:
    """The data of a call, on this worker.

    Attributes:
        data: the data to pass to Keras in place of the original.
        kind: the type of the original, for messages.
        batches: batches of one pass; None if unknown, -1 if endless.
        maybe_empty: whether a batch may have no rows.
        spec: a batch as a structure of tf.TensorSpec; None if it couldn't be inspected.
        sample: returns a batch with rows; None if there is none.
    """

    data: Any
    kind: str
    batches: int | None
    maybe_empty: bool
    spec: Any
    sample: Callable[[], Any]


def look_at(
    x: Any, y: Any, sample_weight: Any, batch_size: int | None, own: OwnRows | None, validation_split: float = 0.0
) -> GivenBatches:
    """Inspect the data of a call, without losing a batch of it.

    Args:
        x, y, sample_weight, batch_size, validation_split: the call's arguments.
        own: this worker's rows, which the data may be a dataset of; None if it has none.

    Raises:
        TrainingError: there is no data.
    """
    if x is None:
        raise TrainingError("no data came: a distributed model takes worker.dataset(batch_size), or data of your own")
    kind = type(x).__name__
    if isinstance(x, tf.data.Dataset):
        return _dataset(x, kind, own)
    if isinstance(x, keras.utils.PyDataset):
        batch = x[0] if x.num_batches != 0 else None
        batches = -1 if x.num_batches is None else x.num_batches
        return GivenBatches(x, kind, batches, True, _spec_of(batch), lambda: _with_rows(batch))
    if isinstance(x, GeneratorType):
        first = next(x, None)
        return GivenBatches(_behind(first, x), kind, None, True, _spec_of(first), lambda: _with_rows(first))
    parts = (x,) if y is None and sample_weight is None else (x, y) if sample_weight is None else (x, y, sample_weight)
    rows = _length(parts)
    if rows is None:  # such as another library's loader
        return GivenBatches(x, kind, None, False, None, lambda: None)
    size = batch_size or _BATCH_SIZE
    rows = math.floor(rows * (1.0 - validation_split))  # as Keras does
    return GivenBatches(x, kind, -(-rows // size), not rows, _spec_of(parts), lambda: _with_rows(_head(parts, size)))


def _dataset(x: tf.data.Dataset, kind: str, own: OwnRows | None) -> GivenBatches:
    passes = None if own is None else own.passes_of(x)
    if passes is not None:
        return GivenBatches(x, kind, int(x.cardinality()), passes.maybe_empty, x.element_spec, passes.sample)

    def sample() -> Any:
        if own is None:
            return _with_rows(next(iter(x.take(1)), None))
        with own.peek():
            return _with_rows(next(iter(x.take(1)), None))

    batches = int(x.cardinality())
    leaves = [leaf for leaf in keras.tree.flatten(x.element_spec) if leaf is not None]
    full = all(getattr(leaf, "shape", tf.TensorShape(None)).rank and leaf.shape[0] for leaf in leaves)
    known = {tf.data.UNKNOWN_CARDINALITY: None, tf.data.INFINITE_CARDINALITY: -1}.get(batches, batches)
    return GivenBatches(x, kind, known, not full, x.element_spec, sample)


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


def refuse_different(told: Sequence[Mapping[str, Any]]) -> None:
    """Check that all workers make the same call.

    Args:
        told: each worker's values that must be the same, by rank: "steps", and arguments of the call.

    Raises:
        TrainingError: a value differs.
    """
    for name in told[0]:
        values = [each.get(name) for each in told]
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

    def __init__(self, steps: int, counts: RowCounts, sample: Callable[[], Any]) -> None:
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


def in_model_s_structure(dataset: Any, model: keras.Model, own: OwnRows | None) -> Any:
    """Return a dataset of this worker's rows in the structure of the model's inputs and outputs.

    Several features are a dict by name; if the model's inputs have other names, they are matched in their order. Several
    labels are a tuple; if the model's outputs are a dict, they are matched in its order. Other data is returned as it is.
    """
    if not isinstance(dataset, tf.data.Dataset) or own is None:
        return dataset
    spec = dataset.element_spec
    inputs, *rest = spec if isinstance(spec, tuple) else (spec,)
    by_order, outputs = _takes_by_order(model, inputs, own.inputs), _output_names(model, rest)
    if not by_order and outputs is None:
        return dataset

    def arranged(*element: Any) -> Any:
        x, *rest = element
        if by_order:
            structure = model.inputs[0] if isinstance(model, keras.Sequential) else model.input
            x = keras.tree.lists_to_tuples(keras.tree.pack_sequence_as(structure, [x[name] for name in own.inputs]))
        if outputs is not None:
            rest[0] = dict(zip(outputs, rest[0]))
        return (x, *rest) if rest else x

    if isinstance(spec, tuple):
        return dataset.map(arranged)
    return dataset.map(lambda x: arranged(x))  # TensorFlow unpacks tuples alone


def _takes_by_order(model: keras.Model, inputs: Any, names: Sequence[str]) -> bool:
    expected = getattr(model, "inputs", None) or ()
    return (
        isinstance(inputs, dict)
        and set(inputs) == set(names)
        and bool(expected)
        and len(expected) == len(names)
        and {tensor.name for tensor in expected} != set(names)
    )


def _output_names(model: keras.Model, rest: Sequence[Any]) -> list[str] | None:
    outputs = model.output if getattr(model, "outputs", None) and not isinstance(model, keras.Sequential) else None
    labels = rest[0] if rest else None
    if isinstance(outputs, dict) and isinstance(labels, tuple) and len(labels) == len(outputs):
        return list(outputs)
    return None


def _behind(first: Any, generator: Iterator[Any]) -> Iterator[Any]:
    if first is not None:
        yield first
    yield from generator


def spec_of(value: Any) -> tf.TensorSpec | None:
    """Return the tf.TensorSpec of an array, with any number of rows; None for None."""
    if value is None:
        return None
    value = value if hasattr(value, "shape") and hasattr(value, "dtype") else np.asarray(value)
    return tf.TensorSpec((None, *value.shape[1:]), tf.string if _is_text(value) else tf.as_dtype(value.dtype))


def _is_text(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind in "OUS"


def _spec_of(batch: Any) -> Any:
    return None if batch is None else keras.tree.map_structure(spec_of, batch)


def rows_in(batch: Any) -> int:
    """Return how many rows a batch of arrays or eager tensors has."""
    first = next(leaf for leaf in keras.tree.flatten(batch) if leaf is not None)
    if isinstance(first, tf.SparseTensor):
        return int(first.dense_shape[0])
    return int(first.nrows()) if isinstance(first, tf.RaggedTensor) else len(first)


def _with_rows(batch: Any) -> Any:
    return batch if batch is not None and rows_in(batch) else None


def _length(parts: Sequence[Any]) -> int | None:
    leaves = [leaf for leaf in keras.tree.flatten(parts) if leaf is not None]
    return len(leaves[0]) if leaves and all(hasattr(leaf, "shape") and len(leaf.shape) for leaf in leaves) else None


def _head(parts: Sequence[Any], rows: int) -> Any:
    return keras.tree.map_structure(lambda leaf: None if leaf is None else leaf[:rows], parts)
