"""Marks the validation rows, before anything is fitted or sampled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.errors import AnalysisException, ParseException
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from sparktrain.data.errors import InputError, MissingColumn, first_line, require_columns
from sparktrain.data.identity import ROW, VALIDATION, column, derived_hash, row_hash
from sparktrain.data.names import meant, unknown

if TYPE_CHECKING:
    from sparktrain.config import Validation


def threshold(fraction: float) -> int:
    """Return the bigint below which a share `fraction` of all bigints lies."""
    return min(-(1 << 63) + round(fraction * (1 << 64)), (1 << 63) - 1)


def by_share(start: float, end: float, by: str | None, frame: DataFrame, seed: int) -> Column:
    """Return a column that is true for about a share `end - start` of the rows, or of the values of `by` with all their rows.

    Shares that don't overlap have no row in common, and that of 0 to 1 has all rows. It depends on the hash alone, not on other rows
    or their order: a row, or a value of `by`, that was for validation yesterday still is today.
    """
    identity = column(ROW)
    if by is not None:
        require_columns(unknown([by], frame.schema), frame.columns, "data.validation.by: the frame after data.preprocess")
        meaning = meant(by, frame.schema)
        assert meaning is not None
        identity = F.xxhash64(F.expr(meaning))
    hashed = derived_hash("validation", F.lit(seed).cast("bigint"), identity)
    below = hashed < F.lit(threshold(end)) if end < 1 else F.lit(True)
    return below & (hashed >= F.lit(threshold(start))) if start > 0 else below


def mark_validation(frame: DataFrame, validation: Validation | None, seed: int) -> DataFrame:
    """Return a frame with a column VALIDATION that is true for the rows which a run of a job keeps for validation.

    Args:
        frame: the rows as training has them after `data.preprocess`, with all their columns: without `by`, a row is marked by the hash
            of its content.
        validation: the job's `data.validation`, with `fraction`, one `fold` of `folds`, or `where`.
        seed: the job's seed.

    Raises:
        InputError: the validation rows are files of their own, all folds are asked for, or a column is missing.
    """
    if validation is None:
        return frame.withColumn(VALIDATION, F.lit(False))
    if validation.path is not None:
        raise InputError("data.validation.path: the validation rows are files of their own, none of these rows")
    if validation.crosses:
        raise InputError("data.validation.folds: each of several models has other validation rows; expected `fold` beside it")
    if validation.where is not None:
        return frame.withColumn(VALIDATION, by_condition(validation.where, frame.drop(ROW)))
    rows = frame if ROW in frame.columns or validation.by is not None else frame.withColumn(ROW, row_hash(frame, seed))
    mark = by_share(*validation.bounds, validation.by, rows, seed)
    rows = rows.withColumn(VALIDATION, mark)
    return rows if ROW in frame.columns else rows.drop(ROW)


def share_notes(asked: float | None, rows: int, validation_rows: int) -> list[str]:
    """Return a note if the share of validation rows differs from the configured one.

    Args:
        asked: the configured share; None if a condition or files determine the rows.
        rows: training rows, before sampling.
        validation_rows: validation rows.

    Returns:
        One note if the share is off by more than a fifth, or there are no validation rows; else none.
    """
    if not validation_rows:
        return ["data.validation keeps no row aside, so there is nothing to measure the model on"]
    share = validation_rows / (rows + validation_rows)
    if asked is None or abs(share - asked) <= asked / 5:
        return []
    return [
        f"data.validation asks for {asked:.3g} of the rows, and {validation_rows:,} of {rows + validation_rows:,} rows ({share:.1%}) are "
        "kept aside: equal rows, and rows with the same value of `by`, stay together, and few rows differ by chance"
    ]


def by_condition(condition: str, frame: DataFrame) -> Column:
    """Return a column that is true where a SQL condition is, and false where it is false or null."""
    satisfying(frame, condition, "data.validation.where")
    return F.coalesce(F.expr(condition), F.lit(False))


def satisfying(frame: DataFrame, condition: str, key: str) -> DataFrame:
    """Return the rows that fulfil a SQL condition.

    Raises:
        MissingColumn: the condition is invalid, or names a column that isn't there.
    """
    try:
        return frame.where(condition)
    except (AnalysisException, ParseException) as error:
        raise MissingColumn(
            f"{key}: {condition!r} can't be evaluated: {first_line(error)} The columns there are: {', '.join(frame.columns)}."
        ) from error
