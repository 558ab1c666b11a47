"""Which rows are kept for validation: marked before anything is fitted or sampled."""

from __future__ import annotations

from pyspark.errors import AnalysisException, ParseException
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from sparktrain.data.errors import MissingColumn, first_line, require_columns
from sparktrain.data.identity import ROW, column, derived_hash


def threshold(fraction: float) -> int:
    """The bigint below which a share `fraction` of all bigints lies."""
    return min(-(1 << 63) + round(fraction * (1 << 64)), (1 << 63) - 1)


def by_fraction(fraction: float, by: str | None, frame: DataFrame, seed: int) -> Column:
    """True for about a share `fraction` of the rows, or of the values of the column `by` with all their rows.

    By the hash, so that it neither depends on other rows nor on their order: a row, or a value of `by`, that was for
    validation yesterday is today.
    """
    if by is not None:
        require_columns([by], frame.columns, "data.validation.by: the frame after data.preprocess")
    identity = column(ROW) if by is None else F.xxhash64(column(by))
    return derived_hash("validation", F.lit(seed).cast("bigint"), identity) < F.lit(threshold(fraction))


def by_condition(condition: str, frame: DataFrame) -> Column:
    """True where a SQL condition holds; where it is null it does not."""
    satisfying(frame, condition, "data.validation.where")
    return F.coalesce(F.expr(condition), F.lit(False))


def satisfying(frame: DataFrame, condition: str, key: str) -> DataFrame:
    """The rows that fulfil a SQL condition.

    Raises:
        MissingColumn: the condition can't be understood, or names a column that isn't there.
    """
    try:
        return frame.where(condition)
    except (AnalysisException, ParseException) as error:
        raise MissingColumn(f"{key}: {condition!r} can't be evaluated: {first_line(error)} "
                            f"The columns there are: {', '.join(frame.columns)}.") from error
