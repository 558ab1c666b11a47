"""The rows of a source, with the conditions and the function that a job's section `data` applies to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pyspark.sql import DataFrame, SparkSession

from sparktrain.data import splitting
from sparktrain.data.errors import InputError, listed
from sparktrain.data.reading import Source, read_files, read_table

if TYPE_CHECKING:
    from sparktrain.config import RowSource


def source_of(spark: SparkSession, data: RowSource, frame: DataFrame | None, progress: Callable[[str], None]) -> Source:
    """Return the rows of a frame that was passed, or else those that the section names.

    Raises:
        InputError: they can't be read.
    """
    if data.corrupt == "skip" and (frame is not None or data.path is None):
        raise InputError(
            "data.corrupt: skip is for files that data.path names: which files a table, a query or a frame "
            "reads isn't known. Remove it, or name the files."
        )
    if frame is not None:
        if not isinstance(frame, DataFrame):
            raise InputError(f"the rows to train on are a {type(frame).__name__}; expected a Spark DataFrame.")
        if frame.isStreaming:
            raise InputError("the rows to train on are a stream, which has no end; expected a DataFrame that has.")
        return Source(frame, "the frame given")
    if data.path is None:
        return read_table(spark, data.table, data.sql)
    progress(f"reading {data.format} files")
    return read_files(
        spark, as_list(data.path), data.format, options=data.options, schema=data.schema, skip=data.corrupt == "skip"
    )


def shaped(
    source: Source, data: RowSource, preprocess: Callable[..., DataFrame] | None, steps: list[tuple[str, DataFrame]]
) -> DataFrame:
    """Return a source's rows after `where` and preprocessing.

    Args:
        steps: the list that a description of each step is appended to, with the frame after it.

    Raises:
        InputError: the condition or the function can't be used.
    """
    rows = source.frame
    steps.append((source.key, rows))
    if data.where is not None:
        rows = splitting.satisfying(rows, data.where, "data.where")
        steps.append((f"data.where: {data.where!r}", rows))
    if preprocess is not None:
        rows = preprocess(rows, **data.args)
        if not isinstance(rows, DataFrame):
            raise InputError(
                f"data.preprocess: {getattr(preprocess, '__name__', preprocess)} returned a "
                f"{type(rows).__name__}; expected a Spark DataFrame."
            )
        steps.append(("data.preprocess", rows))
    ours = [name for name in rows.columns if name.startswith("_sparktrain_")]
    if ours:
        raise InputError(
            f"the frame has columns {listed(map(repr, ours))}: names that begin with _sparktrain_ are "
            "reserved for sparktrain. Rename them in data.preprocess."
        )
    names = [name.casefold() for name in rows.columns]
    twice = sorted({name for name in rows.columns if names.count(name.casefold()) > 1})
    if twice:
        raise InputError(
            f"the frame has columns of the same name (Spark does not tell upper from lower case): "
            f"{listed(map(repr, twice))}. Drop or rename one in data.preprocess."
        )
    return rows


def as_list(paths: str | Sequence[str]) -> list[str]:
    """Return one path or several as a list."""
    return [paths] if isinstance(paths, str) else list(paths)
