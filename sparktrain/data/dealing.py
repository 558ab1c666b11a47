"""Distributes the rows over the workers, the same rows to each every time."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import NamedTuple

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from sparktrain.data.identity import ROW, VALIDATION, column, derived_hash, only

PLACE = "_sparktrain_place"
_BITS = 31  # of a place
_PART, _COPIES, _RANGE = "_sparktrain_part", "_sparktrain_copies", "_sparktrain_range"
_SHARE = 64  # a row that makes up more than 1/64 of a worker's rows is spread over all workers
_LEAST = 16  # fewer equal rows, a fraction of a step, aren't spread
MOST_PARTS = 64  # for which stored rows know their frequent ones
_TOGETHER = 1000  # copies of a row that are sent as one


class Key(NamedTuple):
    """The key of equal rows: their hash, and whether they are for validation."""

    row: int
    validation: bool


def deal(frame: DataFrame, parts: int, seed: int, whole: bool = False, repeated: Mapping[Key, int] | None = None) -> DataFrame:
    """Distribute the rows over `parts` partitions, each row by its content and the seed: by its place, of which each part has a range.

    Within a partition the rows are in any order; they are put into the order of their hashes, for training, when they are
    written to segments. Parts differ in size by chance, and may be empty.

    Args:
        frame: rows with their hash in the column ROW, and their mark in VALIDATION.
        parts: the number of partitions, at least 1.
        seed: the job's seed.
        whole: whether every part gets all training rows; each validation row is still in one part only.
        repeated: how often very frequent rows occur, from `find_repeated`; they are spread evenly. Other equal rows go to
            the same part.

    Returns:
        A lazy frame of exactly `parts` partitions, with the same columns.
    """
    home = part_of(place(seed), parts)
    if repeated:
        return _spread(frame, parts, home, whole, repeated)
    if not whole:
        return exchanged(frame, parts, home)
    return exchanged(_to_every_part(frame, parts, home), parts, column(_PART)).drop(_PART)


def place(seed: int) -> Column:
    """Return the places of rows by their hashes: bigints from 0 to below 2^31, evenly spread, and independent of their order."""
    return F.shiftrightunsigned(derived_hash("deal", F.lit(seed).cast("bigint"), column(ROW)), 64 - _BITS)


def part_of(places: Column, parts: int) -> Column:
    """Return the number of the part that rows belong to, of `parts` parts with equal ranges of places."""
    return F.shiftright(places * F.lit(parts).cast("bigint"), _BITS).cast("int")


def range_of(part: int, parts: int) -> tuple[int, int]:
    """Return the first of a part's places, and the one after its last."""
    return -(-(part << _BITS) // parts), -(-(part + 1 << _BITS) // parts)


def find_repeated(frame: DataFrame, parts: int, whole: bool = False) -> dict[Key, int]:
    """Find the rows that occur so often that one of `parts` workers would get much more than its share.

    The rows are counted by the first bits of their hashes, in one pass. Only rows with a very high count are counted
    individually, in a second pass.

    Args:
        frame: rows with ROW and VALIDATION.
        parts: the number of workers.
        whole: whether every worker gets all training rows anyway.

    Returns:
        How often each such row occurs.
    """
    if parts == 1:
        return {}
    bits = (4 * _SHARE * parts - 1).bit_length()
    rows = frame.where(column(VALIDATION)) if whole else frame
    ranged = rows.select(ROW, VALIDATION, F.shiftright(column(ROW), 64 - bits).alias(_RANGE))
    counted = ranged.groupBy(VALIDATION, _RANGE).count().toArrow().to_pylist()
    least = {side: _least(sum(row["count"] for row in counted if row[VALIDATION] == side), parts) for side in (False, True)}
    heavy = [(row[VALIDATION], row[_RANGE]) for row in counted if row["count"] >= least[row[VALIDATION]]]
    if not heavy:
        return {}
    some = ranged.join(
        F.broadcast(frame.sparkSession.createDataFrame(heavy, f"{VALIDATION} boolean, {_RANGE} bigint")),
        [VALIDATION, _RANGE],
        "left_semi",
    )
    limit = F.when(column(VALIDATION), least[True]).otherwise(least[False])
    found = some.groupBy(ROW, VALIDATION).count().where(column("count") >= limit).toArrow().to_pylist()
    return {Key(row[ROW], row[VALIDATION]): row["count"] for row in found}


def very_frequent(found: Mapping[Key, int], parts: int, whole: bool, rows: int, validation_rows: int) -> dict[Key, int]:
    """Return what `find_repeated` finds, from what it has found for MOST_PARTS parts.

    Args:
        parts: the number of workers, at most MOST_PARTS.
        whole: whether every worker gets all training rows anyway.
        rows: all training rows.
        validation_rows: all validation rows.
    """
    if parts == 1:
        return {}
    least = {False: _least(rows, parts), True: _least(validation_rows, parts)}
    return {key: count for key, count in found.items() if count >= least[key.validation] and (key.validation or not whole)}


def _least(rows: int, parts: int) -> float:
    """Return how many equal rows of so many are spread over all workers."""
    return max(_LEAST, rows / (_SHARE * parts))


def _spread(frame: DataFrame, parts: int, home: Column, whole: bool, repeated: Mapping[Key, int]) -> DataFrame:
    """Distribute one of each set of repeated rows with a count, and multiply it after the shuffle."""
    counts = F.broadcast(
        frame.sparkSession.createDataFrame(
            [(*key, count) for key, count in repeated.items()], f"{ROW} bigint, {VALIDATION} boolean, {_COPIES} bigint"
        )
    )
    keys = [ROW, VALIDATION]
    others = frame.join(counts.drop(_COPIES), keys, "left_anti")
    others = _to_every_part(others, parts, home) if whole else others.withColumn(_PART, home)
    one_of_each = frame.join(counts.drop(_COPIES), keys, "left_semi").dropDuplicates(keys).join(counts, keys)
    # Of 7 copies for 3 parts, the first gets 3 and the others 2; the row's hash determines which part is the first
    number = F.pmod(column(_PART) - home, F.lit(parts))
    share = F.expr(f"{_COPIES} div {parts}") + (number < column(_COPIES) % parts).cast("bigint")
    if whole:
        share = F.when(column(VALIDATION), share).otherwise(column(_COPIES))
    shares = one_of_each.withColumn(_PART, F.explode(F.sequence(F.lit(0), F.lit(parts - 1)))).withColumn(_COPIES, share)
    full = F.array_repeat(F.lit(_TOGETHER), F.expr(f"cast({_COPIES} div {_TOGETHER} AS int)"))
    pieces = F.concat(full, F.array((column(_COPIES) % _TOGETHER).cast("int")))
    shares = shares.withColumn(_COPIES, F.explode(pieces)).where(column(_COPIES) > 0)
    dealt = exchanged(others.withColumn(_COPIES, F.lit(1)).unionByName(shares), parts, column(_PART)).drop(_PART)
    every = F.explode(F.array_repeat(F.lit(True), column(_COPIES)))
    return only(dealt.withColumn(_COPIES, every), frame.columns)


def _to_every_part(frame: DataFrame, parts: int, home: Column) -> DataFrame:
    every = F.sequence(F.lit(0), F.lit(parts - 1))
    return frame.withColumn(_PART, F.explode(F.when(column(VALIDATION), F.array(home)).otherwise(every)))


def exchanged(frame: DataFrame, parts: int, part: Column) -> DataFrame:
    """Shuffle each row to the part in a column.

    Spark has `repartitionById` for it only since 4.1. `repartition(N, key)` puts a row into partition
    pmod(murmur3(key), N): so a key with that result is looked up for each part.
    """
    keys = F.expr(f"array({', '.join(map(str, keys_of_parts(parts)))})")
    return frame.repartition(parts, F.get(keys, part))


@functools.cache
def keys_of_parts(parts: int) -> tuple[int, ...]:
    """Return, for each of Spark's hash partitions, the smallest whole number that Spark puts there."""
    keys: dict[int, int] = {}
    number = 0
    while len(keys) < parts:
        keys.setdefault(_murmur3(number) % parts, number)
        number += 1
    return tuple(keys[part] for part in range(parts))


def _murmur3(number: int) -> int:
    """Return Spark's `hash(number)`: MurmurHash3 of 4 bytes with the seed 42, as a signed 32-bit number."""
    mask = 0xFFFFFFFF

    def rotated(value: int, bits: int) -> int:
        return (value << bits | value >> 32 - bits) & mask

    mixed = rotated(number * 0xCC9E2D51 & mask, 15) * 0x1B873593 & mask
    value = (rotated(42 ^ mixed, 13) * 5 + 0xE6546B64 & mask) ^ 4
    value = (value ^ value >> 16) * 0x85EBCA6B & mask
    value = (value ^ value >> 13) * 0xC2B2AE35 & mask
    value ^= value >> 16
    return value - (1 << 32) if value >> 31 else value
