"""The columns of a scoring: those that the model needs, those that are kept, and those that come out of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame
from pyspark.sql.types import ArrayType, BooleanType, DataType, DoubleType, FloatType, LongType, StringType

from sparktrain.config import ConfigError, Problem
from sparktrain.data import MissingColumn, UnfitColumn, arrow_type
from sparktrain.data.names import unknown
from sparktrain.feed import BadInput, dtype_name
from sparktrain.feed.columns import element_dtype
from sparktrain.ml.score_plan import Kind, ScoredOutput
from sparktrain.runs.records.signature import Signature

_OF_CLASSES: dict[type, type[DataType]] = {bool: BooleanType, int: LongType, float: DoubleType, str: StringType}


def made_columns(
    outputs: Sequence[ScoredOutput], kinds: Sequence[Kind], names: Mapping[str, str]
) -> tuple[tuple[str, int, Kind], ...]:
    """Return the columns that come out: of each its name, the number of the output, and the kind.

    Args:
        names: other names than the kinds' own, by kind.
    """
    several = len(outputs) > 1
    of_classes = [output for output in outputs if output.decides != "value"]
    return tuple(
        (f"{names.get(kind, kind)}_{output.name}" if several else names.get(kind, kind), number, kind)
        for number, output in enumerate(outputs)
        for kind in kinds
        if kind not in ("probability", "index") or output in of_classes or not of_classes  # a number beside classes has none
    )


def check_kept(frame: DataFrame, kept: Sequence[str], made: Sequence[str]) -> None:
    """Refuse columns to keep that the frame lacks, or that come out of the model as well.

    Raises:
        ConfigError: there are such columns.
    """
    absent = [name for name in kept if name not in frame.columns]
    twice = [name for name in made if name in kept]
    problems = []
    if absent:
        problems.append(Problem("keep", f"the frame has no column {', '.join(map(repr, absent))}", f"of {frame.columns}"))
    if twice:
        came = f"the frame's own column {', '.join(map(repr, twice))} would be there twice"
        problems.append(Problem("keep", came, "columns of other names", "leave it out of `keep`, or rename it"))
    if problems:
        raise ConfigError(problems)


def check_columns(frame: DataFrame, needed: Sequence[str], signature: Signature) -> None:
    """Refuse a frame that lacks columns which the model was trained with.

    Raises:
        MissingColumn: it does.
    """
    absent = unknown(needed, frame.schema)
    if not absent:
        return
    made_by = f" In training, {signature.preprocess} made the frame: apply it first." if signature.preprocess else ""
    raise MissingColumn(
        f"the model was trained with the column{'s' if len(absent) > 1 else ''} {', '.join(map(repr, absent))}, which the frame "
        f"lacks. Its columns are: {', '.join(frame.columns)}.{made_by}"
    )


def check_types(frame: DataFrame, signature: Signature) -> None:
    """Refuse columns of strings where training had numbers, and vice versa, before a row is read.

    Raises:
        UnfitColumn: there are such columns.
    """
    for each in signature.inputs:
        for column in each.columns:
            kind = frame.schema[column.column].dataType
            try:
                dtype = dtype_name(element_dtype(column.column, arrow_type(kind)))
            except (BadInput, PySparkException) as error:
                raise UnfitColumn(f"column {column.column!r} ({kind.simpleString()}): {error}") from error
            if (dtype == "string") != (each.dtype == "string"):
                raise UnfitColumn(
                    f"column {column.column!r} ({kind.simpleString()}) gives {dtype}, but the model's input {each.name!r} was trained "
                    f"with {each.dtype}: cast the column as it was in training"
                )


def column_type(output: ScoredOutput, kind: Kind) -> DataType:
    """Return the type of a column of an output, with an array for each axis of a row that a prediction doesn't take away."""
    if kind in ("prediction", "index") and output.decides != "value":
        found: DataType = DoubleType() if output.classes is None or kind == "index" else _OF_CLASSES[type(output.classes[0])]()
        sizes = output.shape[:-1]
    else:
        sizes = () if output.shape in ((), (1,)) else output.shape
        found = DoubleType() if kind in ("prediction", "index") and not sizes else FloatType()
    for _ in sizes:
        found = ArrayType(found)
    return found
