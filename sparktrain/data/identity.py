"""Rows have an identity: the seeded hash of their content. Everything that picks or orders rows goes by it."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DataType, MapType, StructType, VariantType

ROW = "_sparktrain_row"
VALIDATION = "_sparktrain_validation"


def column(name: str) -> Column:
    """A column by its exact name, whatever characters are in it."""
    return F.col("`" + name.replace("`", "``") + "`")


def row_hash(frame: DataFrame, seed: int) -> Column:
    """The hash of a row's whole content: bigint, the same for equal rows and whatever the order of the columns.

    The chance that two different rows of n share it is about n²/2⁶⁵: 3 in 100 for a billion rows; such rows are
    then taken for equal where a sample is cut between them, and nowhere else.
    """
    parts = [F.lit(seed).cast("bigint")]
    for field in sorted(frame.schema.fields, key=lambda field: field.name):
        # xxhash64 passes over nulls: without a mark, (null, 1) and (1, null) would be the same row.
        parts += [column(field.name).isNull(), hashable(column(field.name), field.dataType)]
    return F.xxhash64(*parts)


def derived_hash(purpose: str, *values: Column) -> Column:
    """A hash for one purpose, independent of those for others. Of one bigint it is one-to-one."""
    return F.xxhash64(F.lit(purpose), *values)


def hashable(value: Column, kind: DataType) -> Column:
    """A column in a form that xxhash64 takes: maps, wherever they are nested, as arrays of entries in order."""
    if isinstance(kind, VariantType):
        return F.to_json(value)
    if not _holds_map(kind):
        return value
    if isinstance(kind, MapType):
        entries = F.transform(F.map_entries(value), lambda entry: F.struct(
            entry["key"], hashable(entry["value"], kind.valueType)))
        return F.array_sort(entries)
    if isinstance(kind, ArrayType):
        return F.transform(value, lambda item: hashable(item, kind.elementType))
    fields = F.struct(*(hashable(value.getField(field.name), field.dataType) for field in kind.fields))
    return F.when(value.isNotNull(), fields)


def _holds_map(kind: DataType) -> bool:
    if isinstance(kind, ArrayType):
        return _holds_map(kind.elementType)
    if isinstance(kind, StructType):
        return any(_holds_map(field.dataType) for field in kind.fields)
    return isinstance(kind, (MapType, VariantType))
