"""Inspects data that a user passes to a distributed model: tf.data's datasets, arrays, generators."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from types import GeneratorType
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from sparktrain.models.errors import TrainingError
from sparktrain.training.batches.given_batches import GivenBatches
from sparktrain.training.batches.own_rows import OwnRows

_BATCH_SIZE = 32  # Keras's default for arrays


def look_at(
    x: Any, y: Any, sample_weight: Any, batch_size: int | None, own: OwnRows | None, validation_split: float = 0.0
) -> GivenBatches:
    """See `Framework.look_at`."""
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
        return GivenBatches(_behind(first, x), kind, None, True, _spec_of(first), lambda: _with_rows(first), True)
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
        return GivenBatches(x, kind, int(x.cardinality()), passes.maybe_empty, x.element_spec, passes.sample, True)

    def sample() -> Any:
        if own is None:
            return _with_rows(next(iter(x.take(1)), None))
        with own.peek():
            return _with_rows(next(iter(x.take(1)), None))

    batches = int(x.cardinality())
    leaves = [leaf for leaf in keras.tree.flatten(x.element_spec) if leaf is not None]
    full = all(getattr(leaf, "shape", tf.TensorShape(None)).rank and leaf.shape[0] for leaf in leaves)
    known = {tf.data.UNKNOWN_CARDINALITY: None, tf.data.INFINITE_CARDINALITY: -1}.get(batches, batches)
    return GivenBatches(x, kind, known, not full, x.element_spec, sample, True)


def in_model_s_structure(dataset: Any, model: keras.Model, own: OwnRows | None) -> Any:
    """See `Framework.in_model_s_structure`."""
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
    """See `Framework.spec_of`: a tf.TensorSpec."""
    if value is None:
        return None
    value = value if hasattr(value, "shape") and hasattr(value, "dtype") else np.asarray(value)
    return tf.TensorSpec((None, *value.shape[1:]), tf.string if _is_text(value) else tf.as_dtype(value.dtype))


def _is_text(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind in "OUS"


def _spec_of(batch: Any) -> Any:
    return None if batch is None else keras.tree.map_structure(spec_of, batch)


def rows_in(batch: Any) -> int:
    """See `Framework.rows_in`."""
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


def symbolic_inputs(spec: Any) -> Any:
    """See `Framework.symbolic_inputs`."""
    inputs = None if spec is None else spec[0] if isinstance(spec, tuple) else spec
    if inputs is None or any(not isinstance(leaf, tf.TensorSpec) for leaf in keras.tree.flatten(inputs)):
        return None
    return keras.tree.map_structure(lambda leaf: keras.KerasTensor((None, *leaf.shape[1:]), dtype=leaf.dtype.name), inputs)
