"""The columns that an exported model takes: their tensors, and rows of Spark's as such tensors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np
import tensorflow as tf
from pyspark.ml.linalg import VectorUDT
from pyspark.sql import Row
from pyspark.sql import types as T

from sparktrain.export.errors import ExportError

_NUMBERS: dict[type[T.DataType], tf.DType] = {
    T.ByteType: tf.int64,
    T.ShortType: tf.int64,
    T.IntegerType: tf.int64,
    T.LongType: tf.int64,
    T.FloatType: tf.float32,
    T.DoubleType: tf.float64,
    T.DecimalType: tf.float64,
    T.BooleanType: tf.bool,
    T.StringType: tf.string,
    T.BinaryType: tf.string,
}


def tensor_spec(name: str, kind: T.DataType, missing: bool) -> tf.TensorSpec:
    """Return what a column is as a tensor: a number or a text a row, [n], or as many axes more as it has arrays.

    Args:
        name: the column's name.
        kind: its type in Spark.
        missing: whether a number may be missing, which NaN stands for.

    Raises:
        ExportError: a tensor can't be made of such a column.
    """
    axes: list[None] = [None]
    inner = kind
    while isinstance(inner, T.ArrayType):
        axes.append(None)
        inner = inner.elementType
    if isinstance(inner, VectorUDT):
        return tf.TensorSpec([*axes, None], tf.float64)
    dtype = next((dtype for each, dtype in _NUMBERS.items() if isinstance(inner, each)), None)
    if dtype is None:
        raise ExportError(
            f"column {name!r} ({kind.simpleString()}) can't be a tensor: expected numbers, texts, arrays of them, or vectors. Make such "
            "a column of it in data.preprocess"
        )
    return tf.TensorSpec(axes, tf.float64 if missing and dtype.is_integer else dtype)


def batches(
    rows: Sequence[Row], specs: Mapping[str, tf.TensorSpec], most: int
) -> Iterator[tuple[list[Row], dict[str, np.ndarray]]]:
    """Yield rows, those next to each other whose arrays are of one size, with their columns as arrays.

    Args:
        rows: rows without nulls, but for numbers that may be missing.
        specs: the columns' tensors.
        most: how many rows to yield at a time.
    """
    for _, group in groupby(rows, key=lambda row: [np.shape(_value(row[name])) for name in specs]):
        alike = list(group)
        for start in range(0, len(alike), most):
            some = alike[start : start + most]
            yield some, {name: _array([row[name] for row in some], spec.dtype) for name, spec in specs.items()}


def usable(row: Row, specs: Mapping[str, tf.TensorSpec]) -> bool:
    """Return whether a row has no null but where NaN stands for it."""
    return all(row[name] is not None or (spec.dtype.is_floating and spec.shape.rank == 1) for name, spec in specs.items())


def _value(value: Any) -> Any:
    return value.toArray() if hasattr(value, "toArray") else value


def _array(values: Sequence[Any], dtype: tf.DType) -> np.ndarray:
    if dtype == tf.string:
        return np.array([_bytes(value) for value in values], object)
    if dtype.is_floating and any(value is None for value in values):
        values = [np.nan if value is None else value for value in values]
    return np.array([_value(value) for value in values], dtype.as_numpy_dtype)


def _bytes(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_bytes(each) for each in value]
    return value.encode() if isinstance(value, str) else bytes(value)
