"""Converts and checks labels and sample weights."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sparktrain.feed import strings
from sparktrain.feed.columns import dense, element_dtype, refuse_nulls
from sparktrain.feed.errors import BadInput, Fault
from sparktrain.feed.layout import Column

MOST_CLASSES = 1000  # that are counted: more distinct labels count as a measure, not as classes
_NUMBERS = (pa.types.is_boolean, pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal)
_STRINGS = (pa.types.is_string, pa.types.is_large_string)


def label_dtype(column: str, kind: pa.DataType, classes: Sequence[Any] | None) -> np.dtype:
    """Return the dtype of labels for the model: int32 class numbers with `classes`, else as for inputs, booleans as int32.

    Raises:
        BadInput: the type can't be a label.
    """
    if classes is not None:
        if not any(fits(kind) for fits in _NUMBERS + _STRINGS):
            raise BadInput(
                f"label {column!r} ({kind}): `classes` are given, so each row must have one string, number or "
                "boolean. Leave `classes` out, or pick the label's value in data.preprocess."
            )
        return np.dtype(np.int32)
    if any(fits(kind) for fits in _STRINGS):
        raise BadInput(
            f"label {column!r} ({kind}): strings need `label: {{column: {column}, classes: [...]}}` with all their "
            "values in the order of the class numbers, or a StringIndexer in data.pipeline."
        )
    dtype = element_dtype(column, kind)
    if dtype == strings.DTYPE:
        raise BadInput(
            f"label {column!r} ({kind}): labels are numbers, or strings of `classes`. Convert it to numbers in data.preprocess."
        )
    return np.dtype(np.int32) if dtype.kind == "b" else dtype


def labels(array: pa.Array, column: str, classes: Sequence[Any] | None, shape: tuple[int, ...]) -> np.ndarray:
    """Return labels [n, *shape] in the dtype from `label_dtype`.

    Raises:
        Fault: nulls, NaN, infinities, a label that is none of the classes.
    """
    if classes is None:
        rows = dense(array, Column(column), shape)
        return rows.astype(np.int32) if rows.dtype.kind == "b" else rows
    refuse_nulls(array)
    if pa.types.is_decimal(array.type):
        array = array.cast(pa.float64())
    numbers = [number for number, value in enumerate(classes) if _comparable(value, array.type)]
    python_type = {pa.types.is_boolean: bool, pa.types.is_integer: int, pa.types.is_floating: float}
    of_type = next((make for fits, make in python_type.items() if fits(array.type)), str)
    known = pa.array([of_type(classes[number]) for number in numbers], array.type)
    found = pc.index_in(array, value_set=known)
    if found.null_count:
        first = int(np.argmin(found.is_valid().to_numpy(zero_copy_only=False)))
        raise Fault(
            first,
            repr(array[first].as_py()),
            found.null_count,
            f"is none of the classes {list(classes)!r}",
            "Correct `classes` in data.label, drop such rows with data.where, or map them in data.preprocess.",
        )
    return np.array(numbers, np.int32)[found.to_numpy(zero_copy_only=False)] if len(array) else np.empty(0, np.int32)


def check_weight_type(column: str, kind: pa.DataType) -> None:
    """Raise `BadInput` unless each row of the type is one number."""
    if not any(fits(kind) for fits in _NUMBERS):
        raise BadInput(
            f"weight {column!r} ({kind}): each row must have one number, at least 0. "
            "Make it one in data.preprocess, or name another column."
        )


def weights(array: pa.Array, column: str) -> np.ndarray:
    """Return sample weights [n], float32, none below 0.

    Raises:
        Fault: nulls, NaN, infinities, weights below 0.
    """
    values = dense(array, Column(column), ()).astype(np.float32, copy=False)
    below = np.flatnonzero(values < 0)
    if len(below):
        raise Fault(
            int(below[0]),
            f"{values[below[0]]}",
            len(below),
            "is no weight: weights are at least 0",
            "Correct the column in data.preprocess.",
        )
    return values


class LabelCounts:
    """Counts rows by label, as long as the labels are at most 1,000 whole numbers, and so classes."""

    def __init__(self) -> None:
        self._counts: Counter[int] | None = Counter()

    def add(self, labels: np.ndarray) -> None:
        """Count labels [n]; labels of any other shape have no classes."""
        if self._counts is None or not len(labels):
            return
        if labels.ndim > 1 or (labels.dtype.kind == "f" and (labels % 1).any()):
            self._counts = None
            return
        low = labels.min()
        # As Python's integers: the labels' dtype may be too small for the difference.
        if int(labels.max()) - int(low) < MOST_CLASSES:  # much faster than sorting them
            counts = np.bincount((labels - low).astype(np.intp))
            found = np.flatnonzero(counts)
            self._counts.update({int(low) + int(step): int(counts[step]) for step in found})
        else:
            self._counts.update({int(label): int(rows) for label, rows in zip(*np.unique(labels, return_counts=True))})
        if len(self._counts) > MOST_CLASSES:
            self._counts = None

    def told(self) -> list[list[int]] | None:
        """Return [label, rows] of each label, in the labels' order; None if there are no classes."""
        return None if self._counts is None else [[label, rows] for label, rows in sorted(self._counts.items())]


def _comparable(value: Any, kind: pa.DataType) -> bool:
    if any(fits(kind) for fits in _STRINGS):
        return isinstance(value, str)
    if not isinstance(value, (bool, int, float)):
        return False
    if pa.types.is_boolean(kind):
        return value in (0, 1)
    if pa.types.is_integer(kind):
        limits = np.iinfo(kind.to_pandas_dtype())
        return value == int(value) and limits.min <= value <= limits.max
    return True
