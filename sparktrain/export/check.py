"""Compares what an export gives with what Spark gives for the same rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from pyspark.sql import Row

from sparktrain.export.columns import batches, usable
from sparktrain.export.errors import ExportError
from sparktrain.export.forms import Scorer
from sparktrain.runs.records.export import ExportedTensor

_RELATIVE, _ABSOLUTE = 1e-3, 1e-5  # of float32, over the sums of a model's layers
_SURE = 1e-3  # how far from a tie a class is told without doubt
_MOST_ROWS = 256  # of a batch


@dataclass(frozen=True)
class Tie:
    """What a class is decided by.

    Attributes:
        column: Spark's column of the model's numbers: the largest of several decides, or one number by its cut.
        cut: that cut.
    """

    column: str
    cut: float


def compare(
    rows: Sequence[Row],
    specs: Mapping[str, tf.TensorSpec],
    scorer: Scorer,
    spark: Mapping[str, str],
    ties: Mapping[str, Tie | None],
) -> tuple[int, float, list[ExportedTensor]]:
    """Compare the scores of rows.

    Args:
        rows: rows with the columns and Spark's scores.
        specs: the tensors of the columns.
        scorer: gives the export's scores.
        spark: the column of Spark's scores, by the name of the score.
        ties: of the scores that are classes, what they are decided by: near a tie, float32 may decide either way.

    Returns:
        How many rows were compared, the greatest difference of a number, and what came out.

    Raises:
        ExportError: there are no rows, or they differ.
    """
    whole = [row for row in rows if usable(row, specs)]
    if not whole:
        raise ExportError(
            f"none of {len(rows)} rows can be compared with Spark's scores: expected rows without nulls in {', '.join(specs)}. Give "
            "such rows as frame=, in Python"
        )
    greatest, scores = 0.0, []
    for some, columns in batches(whole, specs, _MOST_ROWS):
        try:
            made = scorer(columns)
        except tf.errors.InvalidArgumentError as error:
            raise ExportError(f"the export refuses rows that Spark scores: {error.message}") from error
        for name, column in spark.items():
            theirs = [row[column] for row in some]
            tie = ties.get(name)
            if tie is not None:
                _compare_classes(name, made[name], theirs, columns, [row[tie.column] for row in some], tie.cut)
                continue
            ours = np.asarray(made[name], np.float64).reshape(len(some), -1)
            wanted = np.array(theirs, np.float64).reshape(len(some), -1)
            differs = ~np.isclose(ours, wanted, rtol=_RELATIVE, atol=_ABSOLUTE, equal_nan=True).all(1)
            if differs.any():
                _refuse(name, int(np.argmax(differs)), ours, theirs, columns)
            greatest = max(greatest, float(np.nanmax(np.abs(ours - wanted), initial=0)))
        scores = [
            ExportedTensor(name=name, dtype=tf.as_dtype(made[name].dtype).name, shape=[None, *made[name].shape[1:]])
            for name in spark
        ]
    return len(whole), greatest, scores


def _compare_classes(
    name: str, made: np.ndarray, theirs: Sequence[Any], columns: Mapping[str, np.ndarray], raw: Sequence[Any], cut: float
) -> None:
    ours = [value.decode() if isinstance(value, bytes) else value for value in np.asarray(made).reshape(-1).tolist()]
    differs = np.array([one != other for one, other in zip(ours, _flat(theirs))])
    if not differs.any():
        return
    numbers = np.array(raw, np.float64).reshape(len(ours), -1)
    sure = np.diff(np.sort(numbers, 1)[:, -2:])[:, 0] if numbers.shape[1] > 1 else np.abs(numbers[:, 0] - cut)
    wrong = differs & (sure > _SURE)
    if wrong.any():
        _refuse(name, int(np.argmax(wrong)) * len(theirs) // len(ours), made, theirs, columns)


def _flat(values: Sequence[Any]) -> list[Any]:
    found = list(values)
    while found and isinstance(found[0], (list, tuple)):
        found = [each for value in found for each in value]
    return found


def _refuse(name: str, row: int, ours: np.ndarray, theirs: Sequence[Any], columns: Mapping[str, np.ndarray]) -> None:
    values = {column: _short(array[row]) for column, array in columns.items()}
    raise ExportError(
        f"the export's {name} differs from Spark's, so it was not written: {_short(ours[row])} came, expected {_short(theirs[row])} as Spark "
        f"gives, for the row {values}. A stage or a layer works otherwise outside of Spark: leave the pipeline's stages out with --leave-out "
        "(in Python, leave_out=True), and please report it"
    )


def _short(value: Any) -> str:
    text = repr(value.tolist() if isinstance(value, np.ndarray) else value)
    return text if len(text) < 200 else f"{text[:197]}..."
