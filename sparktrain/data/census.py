"""Counts the rows by class and by the first bits of a hash, for reports and for sampling."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import BooleanType, DataType, DateType, FractionalType, IntegralType, StringType

from sparktrain.data.errors import InputError
from sparktrain.data.identity import ROW, VALIDATION, column, derived_hash

MAX_CLASSES = 10_000
_LOOK = 20_000  # rows whose labels are checked before all rows are grouped by them
_FEW = 1_000  # distinct labels among those; with more, the label may be a measure
BITS = 10  # the first bits of the hash that rows are counted by
CLASS, HASH, BUCKET = "_sparktrain_class", "_sparktrain_hash", "_sparktrain_bucket"


@dataclass(frozen=True)
class Census:
    """The numbers of training rows, by class and hash, and of validation rows.

    Attributes:
        counts: training rows of each class, in the classes' order; None if the label has no classes.
        rows: training rows.
        validation_rows: rows marked for validation.
        frame: the rows counted, with their class in CLASS and the hash for sampling in HASH.
        buckets: training rows by CLASS and BUCKET, the first BITS bits of the hash, in `count`; persisted.
    """

    counts: dict[Any, int] | None
    rows: int
    validation_rows: int
    frame: DataFrame
    buckets: DataFrame

    @property
    def keys(self) -> dict[Any, int]:
        """`counts`, or a single class 0 with all rows if the label has no classes."""
        return {0: self.rows} if self.counts is None else self.counts

    def release(self) -> None:
        """Free the persisted counts."""
        self.buckets.unpersist()


def is_discrete(kind: DataType) -> bool:
    """Return whether values of a type can be classes."""
    return isinstance(kind, (StringType, BooleanType, IntegralType, FractionalType, DateType))


def count(frame: DataFrame, label: str, seed: int, needs_classes: str | None) -> Census:
    """Count the rows, in one pass over them.

    Args:
        frame: rows with ROW and VALIDATION.
        label: the column of the classes.
        seed: the seed of the hash for sampling.
        needs_classes: the configuration's key that needs classes; None if none does.

    Raises:
        InputError: the label is null or NaN in training rows, or has no classes though they are needed.
    """
    kind = frame.schema[label].dataType
    rows = frame.withColumn(HASH, derived_hash("sample", F.lit(seed).cast("bigint"), column(ROW)))
    if is_discrete(kind):
        reason = _measure(rows, label)
        found = _by_class(rows.withColumn(CLASS, column(label)), label) if reason is None else reason
        if isinstance(found, Census):
            return found
        reason = found
    else:
        reason = f"is {kind.simpleString()}"
    if needs_classes:
        raise InputError(f"{needs_classes} needs a label of classes, but column {label!r} {reason}. Use data.sample.fraction.")
    rows = rows.withColumn(CLASS, F.lit(0))
    buckets = _counted(rows)
    training, validation = _totals(buckets)
    return Census(None, sum(training.values()), validation, rows, buckets)


_MANY, _FRACTION = f"has more than {MAX_CLASSES} different values", "has values with a fraction"


def _measure(rows: DataFrame, label: str) -> str | None:
    """Return why a column has a measure instead of classes, if its first rows show that; None if all must be counted.

    Grouping a billion rows by a measure would shuffle a billion groups, only to find that there are too many.
    """
    labels = rows.where(~column(VALIDATION)).select(column(label).alias(CLASS))
    fraction = F.lit(False)
    if isinstance(rows.schema[label].dataType, FractionalType):
        number = column(CLASS).cast("double")
        fraction = F.coalesce(~F.isnan(number) & (number % 1 != 0), F.lit(False))
    different, fractions = labels.limit(_LOOK).agg(F.count_distinct(CLASS), F.max(fraction)).collect()[0]
    if fractions:
        return _FRACTION
    if different > _FEW:  # the following estimate is off by a twentieth
        different = max(different, labels.agg(F.approx_count_distinct(CLASS)).collect()[0][0] / 2)
    return _MANY if different > MAX_CLASSES else None


def _by_class(rows: DataFrame, label: str) -> Census | str:
    """Return the census by class, or the reason why the labels are no classes."""
    buckets = _counted(rows)
    training, validation = _totals(buckets)
    reason = _MANY if len(training) > MAX_CLASSES else _FRACTION if any(map(_has_fraction, training)) else None
    if reason is not None:
        buckets.unpersist()
        return reason
    missing = sum(count for key, count in training.items() if key is None or key != key)
    if missing:
        buckets.unpersist()
        raise InputError(
            f"the label column {label!r} is null or NaN in {missing} training rows. Leave them out with "
            f'data.where: "{label} IS NOT NULL", or fill them in data.preprocess.'
        )
    counts = {key: training[key] for key in sorted(training)}
    return Census(counts, sum(counts.values()), validation, rows, buckets)


def _has_fraction(label: Any) -> bool:
    return isinstance(label, (float, Decimal)) and math.isfinite(label) and label % 1 != 0


def _counted(rows: DataFrame) -> DataFrame:
    # Validation rows need no class, and their one bucket is null.
    training = ~column(VALIDATION)
    counted = rows.groupBy(
        F.when(training, column(CLASS)).alias(CLASS), F.when(training, F.shiftright(column(HASH), 64 - BITS)).alias(BUCKET)
    ).count()
    # Else there would be as many partitions as Spark shuffles to, 200, with a task each in every pass over the counts
    return counted.coalesce(rows.sparkSession.sparkContext.defaultParallelism).persist()


def _totals(buckets: DataFrame) -> tuple[dict[Any, int], int]:
    """Return the training rows of each class, of at most MAX_CLASSES + 2, and the number of validation rows."""
    training = column(BUCKET).isNotNull()
    totals = buckets.groupBy(CLASS, training.alias("training")).agg(F.sum("count").alias("rows"))
    rows = totals.limit(MAX_CLASSES + 2).collect()
    return ({row[CLASS]: row["rows"] for row in rows if row["training"]}, sum(row["rows"] for row in rows if not row["training"]))
