"""Rows have an identity: the seeded hash of their content. Everything that picks or orders rows goes by it."""

from __future__ import annotations

from collections.abc import Iterable

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DataType, MapType, StringType, StructType, VariantType

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

    Lengths, and where nulls are, count at every depth. The chance that two different rows of n share it is about
    n²/2⁶⁵: 3 in 100 for a billion rows; such rows are then taken for equal where a sample is cut between them, and where
    equal rows are dealt out.
    """
    texts = [f"cast({seed} AS bigint)"]
    arrays: dict[str, ArrayType] = {}
    for field in sorted(frame.schema.fields, key=lambda field: field.name):
        texts += _member(quoted(field.name), field.dataType, arrays)
    return F.xxhash64(_hash(texts), *array_hashes(arrays)) if arrays else _hash(texts)


def content_hash(frame: DataFrame) -> Column:
    """A hash of all columns: bigint, without a seed, of the columns' order, and the same for a null and no column."""
    return _hash(part for field in frame.schema.fields for part in _parts(quoted(field.name), field.dataType, None))


def derived_hash(purpose: str, *values: Column) -> Column:
    """A hash for one purpose, independent of those for others. Of one bigint it is one-to-one."""
    return F.xxhash64(F.lit(purpose), *values)


def _hash(parts: Iterable[str]) -> Column:
    return F.expr(f"xxhash64({', '.join(parts)})")


def _member(value: str, kind: DataType, arrays: dict[str, ArrayType] | None) -> list[str]:
    """As `_parts`, with a mark before them: xxhash64 passes over nulls, so (null, 1) and (1, null) would be one."""
    return [f"{value} IS NULL", *_parts(value, kind, arrays)]


def _parts(value: str, kind: DataType, arrays: dict[str, ArrayType] | None) -> list[str]:
    """SQL expressions that xxhash64 takes, and which are alike for two values only where the values are.

    xxhash64 mixes an array's elements and a struct's fields one after the other, without lengths and nulls; maps, whose
    entries have no order, it doesn't take.

    Args:
        arrays: gets the arrays whose memory is to be hashed, by their expressions, instead of parts; None inside a
            lambda, where that can't be.
    """
    if isinstance(kind, VariantType):
        return [f"to_json({value})"]
    if isinstance(kind, StructType):
        return [part for field in kind.fields for part in _member(f"{value}.{quoted(field.name)}", field.dataType, arrays)]
    if isinstance(kind, MapType):
        entry = ", ".join(["entry.key", *_parts("entry.key", kind.keyType, None), *_member("entry.value", kind.valueType, None)])
        entries = f"array_sort(transform(map_entries({value}), entry -> struct({entry})))"
        return [f"array_size(map_keys({value}))", entries]
    if isinstance(kind, ArrayType):
        return _array_parts(value, kind, arrays)
    return [value]


def _array_parts(value: str, kind: ArrayType, arrays: dict[str, ArrayType] | None) -> list[str]:
    """As `_parts`. A lambda takes 100 ns and more for each element, so elements go through one only where they must."""
    if arrays is not None and is_flat(kind):
        arrays[value] = kind
        return []
    item = f"transform({value}, item -> struct({', '.join(_member('item', kind.elementType, None))}))"
    if isinstance(kind.elementType, (StructType, MapType, VariantType)):
        return [f"array_size({value})", item]
    # -1 keeps the ways apart
    if not isinstance(kind.elementType, ArrayType):
        # Spark compiles a look for a text that is never there, which is null where an element is
        nulls = (
            f"array_contains({value}, '\ufffe') IS DISTINCT FROM false"
            if isinstance(kind.elementType, StringType)
            else f"exists({value}, item -> item IS NULL)"
        )
        return [f"CASE WHEN {nulls} THEN xxhash64(-1, {item}) ELSE xxhash64(array_size({value}), {value}) END"]
    # Of arrays of arrays the lengths and all elements in a row; there is no such row where one of them is null
    flat = f"flatten({value})"
    return [
        f"transform({value}, item -> array_size(item))",
        *_parts(flat, kind.elementType, arrays),
        f"CASE WHEN {flat} IS NULL THEN xxhash64(-1, {item}) END",
    ]
