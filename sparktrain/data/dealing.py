"""Dealing the rows out to the workers: the same rows each time."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import NamedTuple

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from sparktrain.data.identity import ROW, VALIDATION, column, derived_hash, only

_PART, _COPIES, _RANGE = "_sparktrain_part", "_sparktrain_copies", "_sparktrain_range"
_SHARE = 64  # a row that makes up more than this part of a worker's rows is spread over all of them
_LEAST = 16  # rows that are not worth spreading: a fraction of a step
_TOGETHER = 1000  # copies of a row that travel as one


class Key(NamedTuple):
    """What equal rows have in common: their hash, and whether they are for validation."""

    row: int
    validation: bool


def deal(frame: DataFrame, parts: int, seed: int, whole: bool = False, repeated: Mapping[Key, int] | None = None) -> DataFrame:
    """Deal the rows out to `parts` partitions, each row's fixed by its content.

    Within a partition they come in any order; the order of their hashes is that of training, and given to them where
    they are stored. Parts differ in size by chance, and may be empty.

    Args:
        frame: rows with their hash in the column ROW, and their mark in VALIDATION.
        parts: how many partitions, at least 1.
        seed: another seed deals the rows out in another way.
        whole: whether every part gets all training rows; validation rows are in one part only all the same.
        repeated: how often rows that come very often are there, as `find_repeated` says; they are spread evenly. Other
            equal rows go to the same part.

    Returns:
        A frame of exactly `parts` partitions, with the same columns. Nothing is computed yet.
    """
    home = F.pmod(derived_hash("deal", F.lit(seed).cast("bigint"), column(ROW)), F.lit(parts)).cast("int")
    if repeated:
        return _spread(frame, parts, home, whole, repeated)
    if not whole:
        return _exchanged(frame, parts, home)
    return _exchanged(_to_every_part(frame, parts, home), parts, column(_PART)).drop(_PART)


def find_repeated(frame: DataFrame, parts: int, whole: bool = False) -> dict[Key, int]:
    """Find the rows that are there so often that one of `parts` workers would be given much more than its share.

    The rows are counted by the first bits of their hashes, in one pass. Only where such a count is that high are the
    rows behind it counted one by one, in a second.

    Args:
        frame: rows with ROW and VALIDATION.
        parts: how many workers share them.
        whole: whether every worker gets all training rows anyway.

    Returns:
        How often each such row is there.
    """
    if parts == 1:
        return {}
    bits = (4 * _SHARE * parts - 1).bit_length()
    rows = frame.where(column(VALIDATION)) if whole else frame
    ranged = rows.select(ROW, VALIDATION, F.shiftright(column(ROW), 64 - bits).alias(_RANGE))
    counted = ranged.groupBy(VALIDATION, _RANGE).count().toArrow().to_pylist()
    least = {
        side: max(_LEAST, sum(each["count"] for each in counted if each[VALIDATION] == side) / (_SHARE * parts))
        for side in (False, True)
    }
    heavy = [(each[VALIDATION], each[_RANGE]) for each in counted if each["count"] >= least[each[VALIDATION]]]
    if not heavy:
        return {}
    some = ranged.join(
        F.broadcast(frame.sparkSession.createDataFrame(heavy, f"{VALIDATION} boolean, {_RANGE} bigint")),
        [VALIDATION, _RANGE],
        "left_semi",
    )
    limit = F.when(column(VALIDATION), least[True]).otherwise(least[False])
    found = some.groupBy(ROW, VALIDATION).count().where(column("count") >= limit).toArrow().to_pylist()
    return {Key(each[ROW], each[VALIDATION]): each["count"] for each in found}


def _spread(frame: DataFrame, parts: int, home: Column, whole: bool, repeated: Mapping[Key, int]) -> DataFrame:
    """Deal with one of each set of repeated rows, which is multiplied where it arrives."""
    counts = F.broadcast(
        frame.sparkSession.createDataFrame(
            [(*key, count) for key, count in repeated.items()], f"{ROW} bigint, {VALIDATION} boolean, {_COPIES} bigint"
        )
    )
    keys = [ROW, VALIDATION]
    others = frame.join(counts.drop(_COPIES), keys, "left_anti")
    others = _to_every_part(others, parts, home) if whole else others.withColumn(_PART, home)
    one_of_each = frame.join(counts.drop(_COPIES), keys, "left_semi").dropDuplicates(keys).join(counts, keys)
    # Of 7 copies for 3 parts, the first gets 3 and the others 2; which is the first, the row's hash says
    number = F.pmod(column(_PART) - home, F.lit(parts))
    share = F.expr(f"{_COPIES} div {parts}") + (number < column(_COPIES) % parts).cast("bigint")
    if whole:
        share = F.when(column(VALIDATION), share).otherwise(column(_COPIES))
    shares = one_of_each.withColumn(_PART, F.explode(F.sequence(F.lit(0), F.lit(parts - 1)))).withColumn(_COPIES, share)
    full = F.array_repeat(F.lit(_TOGETHER), F.expr(f"cast({_COPIES} div {_TOGETHER} AS int)"))
    pieces = F.concat(full, F.array((column(_COPIES) % _TOGETHER).cast("int")))
    shares = shares.withColumn(_COPIES, F.explode(pieces)).where(column(_COPIES) > 0)
    dealt = _exchanged(others.withColumn(_COPIES, F.lit(1)).unionByName(shares), parts, column(_PART)).drop(_PART)
    every = F.explode(F.array_repeat(F.lit(True), column(_COPIES)))
    return only(dealt.withColumn(_COPIES, every), frame.columns)


def _to_every_part(frame: DataFrame, parts: int, home: Column) -> DataFrame:
    every = F.sequence(F.lit(0), F.lit(parts - 1))
    return frame.withColumn(_PART, F.explode(F.when(column(VALIDATION), F.array(home)).otherwise(every)))


def _exchanged(frame: DataFrame, parts: int, part: Column) -> DataFrame:
    """Shuffle to the part that a column says.

    Spark has `repartitionById` for it since 4.1 only. `repartition(N, key)` puts a row into partition
    pmod(murmur3(key), N): so a key is looked up that leads to the part.
    """
    keys = F.expr(f"array({', '.join(map(str, keys_of_parts(parts)))})")
    return frame.repartition(parts, F.get(keys, part))


@functools.cache
def keys_of_parts(parts: int) -> tuple[int, ...]:
    """For each of Spark's hash partitions the least whole number that goes there."""
    keys: dict[int, int] = {}
    number = 0
    while len(keys) < parts:
        keys.setdefault(_murmur3(number) % parts, number)
        number += 1
    return tuple(keys[part] for part in range(parts))


def _murmur3(number: int) -> int:
    """Spark's `hash(number)`: MurmurHash3 of 4 bytes with the seed 42, as a signed number of 32 bits."""
    mask = 0xFFFFFFFF

    def rotated(value: int, bits: int) -> int:
        return (value << bits | value >> 32 - bits) & mask

    mixed = rotated(number * 0xCC9E2D51 & mask, 15) * 0x1B873593 & mask
    value = (rotated(42 ^ mixed, 13) * 5 + 0xE6546B64 & mask) ^ 4
    value = (value ^ value >> 16) * 0x85EBCA6B & mask
    value = (value ^ value >> 13) * 0xC2B2AE35 & mask
    value ^= value >> 16
    return value - (1 << 32) if value >> 31 else value
