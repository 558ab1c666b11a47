"""Dealing the rows out to the workers: the same rows each time."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from sparktrain.data.identity import ROW, VALIDATION, column, derived_hash

_PART = "_sparktrain_part"


def deal(frame: DataFrame, parts: int, seed: int, whole: bool = False) -> DataFrame:
    """The rows in `parts` partitions, each row's fixed by its content.

    Within a partition they come in any order; the order of their hashes is that of training, and given to them where
    they are stored. Equal rows go to the same part. Parts differ in size by chance, and may be empty.

    Args:
        frame: rows with their hash in the column ROW, and their mark in VALIDATION.
        parts: how many partitions, at least 1.
        seed: another seed deals the rows out in another way.
        whole: whether every part gets all training rows; validation rows are in one part only all the same.

    Returns:
        A frame of exactly `parts` partitions, with the same columns. Nothing is computed yet.
    """
    part = F.pmod(derived_hash("deal", F.lit(seed).cast("bigint"), column(ROW)), F.lit(parts)).cast("int")
    if not whole:
        return frame.repartitionById(parts, part)
    every = F.array([F.lit(number) for number in range(parts)])
    copies = frame.withColumn(_PART, F.explode(F.when(column(VALIDATION), F.array(part)).otherwise(every)))
    return copies.repartitionById(parts, column(_PART)).drop(_PART)
