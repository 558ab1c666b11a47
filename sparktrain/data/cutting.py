"""Takes exact samples: the rows with the lowest hashes of each class, found by counting instead of sorting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from sparktrain.data.census import BITS, BUCKET, CLASS, HASH, Census
from sparktrain.data.identity import VALIDATION, column
from sparktrain.data.sampling import Boundary, locate

_BUCKETS = 1_000_000  # counts that are collected to the driver at most
_EXACT = 1_000_000  # hashes that are collected at most; buckets at the cut with more rows are divided first
_CUT, _TIES, _NUMBER = "_sparktrain_cut", "_sparktrain_ties", "_sparktrain_number"


def cut(census: Census, targets: Mapping[Any, int]) -> DataFrame:
    """Return exactly the given number of training rows of each class, and all validation rows.

    The rows of each class with the lowest hashes are taken, so that the sample depends only on the rows' content and the
    seed. Of equal rows at the cut, which are interchangeable, any are taken.

    Args:
        census: the census of the rows.
        targets: how many rows to take of each of the census's keys, from 1 to as many as it has; of others, all.

    Returns:
        Rows with the columns that were counted.
    """
    last = _boundaries(census, {key: need for key, need in targets.items() if need < census.keys[key]})
    # Rows below the cut are taken, and those at it if the flag is true.
    cuts = {key: (at.bucket, at.need == at.count) for key, at in last.items()}
    helpers = (CLASS, HASH, _CUT, _TIES, _NUMBER)
    if not cuts:
        return census.frame.drop(*helpers)
    rows = _beside(census.frame, cuts, f"{_CUT} bigint, {_TIES} boolean", "left")
    kept = rows.where(
        column(VALIDATION)
        | column(_CUT).isNull()
        | (column(HASH) < column(_CUT))
        | ((column(HASH) == column(_CUT)) & column(_TIES))
    ).drop(*helpers)
    split = {key: (at.bucket, at.need) for key, at in last.items() if at.need < at.count}
    if not split:
        return kept
    equal = _beside(_training(census), split, f"{_CUT} bigint, {_TIES} bigint", "inner")
    number = F.row_number().over(Window.partitionBy(CLASS).orderBy(HASH))
    some = equal.where(column(HASH) == column(_CUT)).withColumn(_NUMBER, number)
    return kept.unionByName(some.where(column(_NUMBER) <= column(_TIES)).drop(*helpers))


def _boundaries(census: Census, needs: Mapping[Any, int]) -> dict[Any, Boundary]:
    """Return the hash at which each class is cut, as a boundary among buckets of one hash each."""
    if not needs:
        return {}
    bits = BITS
    while len(needs) << bits > _BUCKETS and bits > 1:
        bits -= 1
    counted = census.buckets.where(column(BUCKET).isNotNull())
    found = _locate(
        counted.groupBy(CLASS, F.shiftright(column(BUCKET), BITS - bits).alias(BUCKET)).agg(F.sum("count").alias("count")), needs
    )
    while bits < 64:
        few = sum(at.count for at in found.values()) <= _EXACT
        finer = 64 if few else min(64, bits + BITS)
        inside = _beside(_training(census), {key: (at.bucket,) for key, at in found.items()}, f"{_CUT} bigint", "inner")
        inside = inside.where(F.shiftright(column(HASH), 64 - bits) == column(_CUT))
        found = _locate(
            inside.groupBy(CLASS, F.shiftright(column(HASH), 64 - finer).alias(BUCKET)).count(),
            {key: at.need for key, at in found.items()},
        )
        bits = finer
    return found


def _locate(counted: DataFrame, needs: Mapping[Any, int]) -> dict[Any, Boundary]:
    buckets: dict[Any, list[tuple[int, int]]] = {key: [] for key in needs}
    table = counted.select(CLASS, BUCKET, "count").toArrow()
    for key, bucket, rows in zip(*(values.to_pylist() for values in table.columns)):
        if key in buckets:
            buckets[key].append((bucket, rows))
    return {key: locate(buckets[key], need) for key, need in needs.items()}


def _training(census: Census) -> DataFrame:
    return census.frame.where(~column(VALIDATION))


def _beside(rows: DataFrame, values: Mapping[Any, tuple], columns: str, how: str) -> DataFrame:
    """Join values of their class to rows."""
    schema = StructType([rows.schema[CLASS], *cast(StructType, StructType.fromDDL(columns)).fields])
    few = rows.sparkSession.createDataFrame([(key, *value) for key, value in values.items()], schema)
    return rows.join(F.broadcast(few), CLASS, how)
