"""Makes tf.data pipelines of batches that NumPy brings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from sparktrain.training.tensorflow.devices import replicas

Kinds = Sequence[tuple[tuple[int, ...], Any]]


def dataset(
    fetch: Callable[[Any], list[np.ndarray]], structure: Any, kinds: Kinds, rows: int | None, first: int, end: int | None
) -> tf.data.Dataset:
    """See `Framework.dataset`."""

    @tf.autograph.experimental.do_not_convert  # there is no Python control flow in it, and reading its source takes a while
    def batch(number: tf.Tensor) -> Any:
        # This takes half the time of Dataset.from_generator. `fetch` as it is: AutoGraph would run a function of here by itself.
        arrays = tf.numpy_function(fetch, [number], [tf.as_dtype(dtype) for _, dtype in kinds])
        for array, (shape, _) in zip(arrays, kinds):
            array.set_shape((rows, *shape))
        return keras.tree.pack_sequence_as(structure, arrays)

    numbers = tf.data.Dataset.counter(first) if end is None else tf.data.Dataset.range(first, end)
    options = tf.data.Options()
    options.autotune.enabled = False  # else every pass would end by waiting for its sleeping thread
    return numbers.map(batch).prefetch(2 * replicas()).with_options(options)


def for_devices(batches: tf.data.Dataset) -> Any:
    """See `Framework.for_devices`. TensorFlow itself would re-batch, and give a device without rows of a small batch those of
    the next batch."""
    if replicas() == 1:
        return batches
    return tf.distribute.get_strategy().distribute_datasets_from_function(lambda context: batches)


def batch_spec(structure: Any, kinds: Kinds, rows: int | None) -> Any:
    """See `Framework.batch_spec`: tf.TensorSpec at the leaves."""
    return keras.tree.pack_sequence_as(structure, [tf.TensorSpec((rows, *shape), tf.as_dtype(dtype)) for shape, dtype in kinds])
