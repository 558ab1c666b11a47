"""Computes the mean of the workers' tensors, weighted by rows, inside a TensorFlow graph.

Dense tensors are summed: small ones as one flat tensor, as each sum has a latency; large ones by themselves, which saves
copies. The gradient of an embedding (tf.IndexedSlices: some rows of a table) stays sparse: the workers' rows are concatenated,
as one process would have looked them up with all of the rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from sparktrain.interfaces.collective import Collective

_PIECE = 64 << 20  # elements that every transport can send at once
_LARGE = 1 << 20  # elements from which on a tensor is summed by itself
_FEW = 4 << 20  # elements of looked-up rows that are always sent as they are, however small their table


def average(values: Any, rows: Any, collective: Collective) -> Any:
    """See `Framework.average`."""
    tensors = [None if leaf is None else _floating(leaf) for leaf in keras.tree.flatten(values)]
    return keras.tree.pack_sequence_as(values, means(tensors, tf.cast(rows, tf.float32), collective))


def _floating(value: Any) -> tf.Tensor | tf.IndexedSlices:
    if isinstance(value, tf.IndexedSlices):
        return value
    whole = isinstance(value, (bool, int))
    # 2**31 and more would be too large for TensorFlow's own choice
    tensor = tf.constant(value, tf.float64) if whole else tf.convert_to_tensor(value)
    return tensor if tensor.dtype.is_floating or tensor.dtype.is_complex else tf.cast(tensor, tf.float64)


def means(values: Sequence[Any], rows: Any, collective: Collective | None) -> list[Any]:
    """Return the workers' values averaged by rows: sum of n_i v_i / sum of n_i. Collective.

    With several devices, called on each with its own values and rows, it returns the mean over the devices of all workers.

    Args:
        values: floating-point tensors of the same shapes on all workers, or tf.IndexedSlices of tables; None stays None.
        rows: n_i, a scalar tensor or variable; if it is 0, this worker's values are ignored.
        collective: the workers; None to average over the devices of this worker alone.

    Returns:
        Tensors of the same shapes and dtypes. Slices stay slices, unless the worker has several devices: all workers' rows
        by rank, with rows of the same index not yet summed; or, if those are many more than the table has, the whole table.
    """
    count = tf.cast(rows, tf.float32)
    slices = {index: value for index, value in enumerate(values) if isinstance(value, tf.IndexedSlices)}
    if _several_devices() or collective is None or collective.size == 1:
        slices = {}
    dense = {
        index: tf.convert_to_tensor(value) for index, value in enumerate(values) if value is not None and index not in slices
    }
    averaged: list[Any] = [None] * len(values)
    total, averaged_dense = _dense_means(list(dense.values()), count, collective)
    for index, value in zip(dense, averaged_dense):
        averaged[index] = value
    if slices and collective is not None:
        for index, value in zip(slices, _slices_means(list(slices.values()), count, total, collective)):
            averaged[index] = value
    return averaged


def _several_devices() -> bool:
    device = tf.distribute.get_replica_context()
    return device is not None and device.num_replicas_in_sync > 1


def _dense_means(values: list[tf.Tensor], count: tf.Tensor, collective: Collective | None) -> tuple[tf.Tensor, list[tf.Tensor]]:
    """Return the sum of the workers' row counts, and the mean of each tensor."""
    together: dict[tf.DType, list[int]] = {tf.float32: []}  # with the count
    alone = []
    for index, value in enumerate(values):
        size = value.shape.num_elements()
        if size is None or size > _LARGE:
            alone.append(index)
        else:
            together.setdefault(_wide(value.dtype), []).append(index)
    flat = [
        _weighted(tf.concat([tf.ones([1], dtype), *(_flat(values[index]) for index in group)], axis=0), count)
        for dtype, group in together.items()
    ]
    sums = _summed(flat + [_weighted(_flat(values[index]), count) for index in alone], collective)
    total = sums[0][0]
    averaged: list[Any] = [None] * len(values)
    for group, summed in zip(together.values(), sums):
        sizes = [values[index].shape.num_elements() for index in group]
        for index, part in zip(group, tf.split(summed / tf.cast(total, summed.dtype), [1, *sizes])[1:]):
            averaged[index] = _shaped(part, values[index])
    for index, summed in zip(alone, sums[len(flat) :]):
        averaged[index] = _shaped(summed / tf.cast(total, summed.dtype), values[index])
    return total, averaged


def _wide(dtype: tf.DType) -> tf.DType:
    return dtype if dtype == tf.float64 else tf.float32  # half precision is summed in single


def _flat(value: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.reshape(value, [-1]), _wide(value.dtype))


def _weighted(value: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """Return the value times the rows; zeros if there are none, even for NaN, which a mean over no rows is."""
    return tf.math.multiply_no_nan(value, tf.cast(count, value.dtype))


def _shaped(mean: tf.Tensor, value: tf.Tensor) -> tf.Tensor:
    known = value.shape.is_fully_defined()
    return tf.cast(tf.reshape(mean, value.shape if known else tf.shape(value)), value.dtype)


def _summed(tensors: list[tf.Tensor], collective: Collective | None) -> list[tf.Tensor]:
    """Sum tensors over this worker's devices, then, once for all of them, over the workers."""
    device = tf.distribute.get_replica_context()
    several = _several_devices()
    if several:
        tensors = device.all_reduce(tf.distribute.ReduceOp.SUM, tensors)
    if collective is None or collective.size == 1:
        return tensors
    if not several:
        return _in_pieces(tensors, collective)

    def between(strategy: tf.distribute.Strategy, sums: list[Any]) -> list[tf.Tensor]:
        return _in_pieces([strategy.experimental_local_results(tensor)[0] for tensor in sums], collective)

    return device.merge_call(between, args=(tensors,))


def _in_pieces(tensors: list[tf.Tensor], collective: Collective) -> list[tf.Tensor]:
    """Sum tensors [n] over the workers, in pieces if they are known to be large."""
    every = [tensor.shape.num_elements() or 0 for tensor in tensors]
    pieces = [[min(_PIECE, size - start) for start in range(0, size, _PIECE)] for size in every]
    sums = iter(
        collective.sum_tensors(
            [
                piece
                for tensor, sizes in zip(tensors, pieces)
                for piece in ([tensor] if len(sizes) <= 1 else tf.split(tensor, sizes))
            ]
        )
    )
    return [next(sums) if len(sizes) <= 1 else tf.concat([next(sums) for _ in sizes], axis=0) for sizes in pieces]


def _slices_means(
    slices: list[tf.IndexedSlices], count: tf.Tensor, total: tf.Tensor, collective: Collective
) -> list[tf.IndexedSlices]:
    """Return the mean of each table's slices over the workers."""
    used = [tf.where(count > 0, tf.shape(gradient.indices)[0], 0) for gradient in slices]
    own = tf.one_hot(collective.rank, collective.size)[:, None] * tf.cast(tf.stack(used), tf.float32)  # [workers, tables]
    [flat] = collective.sum_tensors([tf.reshape(own, [-1])])
    counts = tf.cast(tf.reshape(flat, [collective.size, len(slices)]), tf.int32)
    return [
        _slices_mean(gradient, used[place], counts[:, place], count, total, collective) for place, gradient in enumerate(slices)
    ]


def _slices_mean(
    gradient: tf.IndexedSlices,
    used: tf.Tensor,
    counts: tf.Tensor,
    count: tf.Tensor,
    total: tf.Tensor,
    collective: Collective,
) -> tf.IndexedSlices:
    """Return the mean of one table's slices. `counts`: each worker's number of them, int32 [workers]; `used`: this worker's."""
    indices = gradient.indices[:used]
    values = _weighted(tf.cast(gradient.values[:used], _wide(gradient.values.dtype)), count)  # [used, …]

    def gathered() -> tuple[tf.Tensor, tf.Tensor]:
        return collective.gather_tensors(indices, counts), collective.gather_tensors(values, counts)

    def whole() -> tuple[tf.Tensor, tf.Tensor]:
        length = tf.cast(gradient.dense_shape[0], tf.int32)
        table = tf.math.unsorted_segment_sum(values, indices, length)
        [summed] = collective.sum_tensors([tf.reshape(table, [-1])])
        return tf.cast(tf.range(length), indices.dtype), tf.reshape(summed, tf.shape(table))

    if gradient.dense_shape is None:
        every, sums = gathered()
    else:
        width = tf.reduce_prod(tf.shape(values, tf.int64)[1:])
        sent = tf.cast(tf.reduce_sum(counts), tf.int64) * width
        fewer = sent <= tf.maximum(tf.cast(gradient.dense_shape[0], tf.int64) * width, _FEW)
        every, sums = tf.cond(fewer, gathered, whole)
    sums.set_shape([None, *gradient.values.shape[1:]])
    return tf.IndexedSlices(tf.cast(sums / tf.cast(total, sums.dtype), gradient.values.dtype), every, gradient.dense_shape)
