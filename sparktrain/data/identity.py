"""Rows have an identity: the seeded hash of their content. Everything that picks or orders rows goes by it."""

from __future__ import annotations

from typing import Iterable

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DataType, MapType, StructType, VariantType

from sparktrain.data.arrays import array_hashes, is_flat

ROW = "_sparktrain_row"
VALIDATION = "_sparktrain_validation"


def quoted(name: str) -> str:
    """A column's name as SQL has it, whatever characters are in it."""
    return "`" + name.replace("`", "``") + "`"


def column(name: str) -> Column:
    """A column by its exact name."""
    return F.col(quoted(name))


def only(frame: DataFrame, names: Iterable[str]) -> DataFrame:
    """The columns of these names, exact ones. One call for all: a Column each would take seconds for a thousand."""
    return frame.selectExpr(*map(quoted, names))


def row_hash(frame: DataFrame, seed: int) -> Column:
    """The hash of a row's whole content: bigint, the same for equal rows and whatever the order of the columns.

    The chance that two different rows of n share it is about n²/2⁶⁵: 3 in 100 for a billion rows; such rows are
    then taken for equal where a sample is cut between them, and nowhere else.
    """
    texts, arrays = [f"cast({seed} AS bigint)"], {}
    for field in sorted(frame.schema.fields, key=lambda field: field.name):
        # xxhash64 passes over nulls: without a mark, (null, 1) and (1, null) would be the same row.
        texts.append(f"{quoted(field.name)} IS NULL")
        if is_flat(field.dataType):
            arrays[quoted(field.name)] = field.dataType
        else:
            texts.append(_hashable(quoted(field.name), field.dataType))
    return F.xxhash64(_hash(texts), *array_hashes(arrays)) if arrays else _hash(texts)


def content_hash(frame: DataFrame) -> Column:
    """A hash of all columns: bigint, without a seed, of the columns' order, and the same for a null and no column."""
    return _hash(_hashable(quoted(field.name), field.dataType) for field in frame.schema.fields)


def derived_hash(purpose: str, *values: Column) -> Column:
    """A hash for one purpose, independent of those for others. Of one bigint it is one-to-one."""
    return F.xxhash64(F.lit(purpose), *values)


def _hash(parts: Iterable[str]) -> Column:
    return F.expr(f"xxhash64({', '.join(parts)})")


def _hashable(value: str, kind: DataType) -> str:
    """An SQL expression in a form that xxhash64 takes: maps, wherever they are nested, as arrays of entries in order."""
    if isinstance(kind, VariantType):
        return f"to_json({value})"
    if not _holds_map(kind):
        return value
    if isinstance(kind, MapType):
        entry = f"struct(entry.key, {_hashable('entry.value', kind.valueType)})"
        return f"array_sort(transform(map_entries({value}), entry -> {entry}))"
    if isinstance(kind, ArrayType):
        return f"transform({value}, item -> {_hashable('item', kind.elementType)})"
    fields = ", ".join(_hashable(f"{value}.{quoted(field.name)}", field.dataType) for field in kind.fields)
    return f"CASE WHEN {value} IS NOT NULL THEN struct({fields}) END"


def _holds_map(kind: DataType) -> bool:
    if isinstance(kind, ArrayType):
        return _holds_map(kind.elementType)
    if isinstance(kind, StructType):
        return any(_holds_map(field.dataType) for field in kind.fields)
    return isinstance(kind, (MapType, VariantType))
