"""The identity of rows: a seeded hash of their content, by which rows are selected and ordered everywhere."""

from __future__ import annotations

from collections.abc import Iterable

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DataType, MapType, StringType, StructType, VariantType

from sparktrain.data.arrays import array_hashes, is_flat

ROW = "_sparktrain_row"
VALIDATION = "_sparktrain_validation"


def quoted(name: str) -> str:
    """Return a column's name quoted for SQL, whatever characters it has."""
    return "`" + name.replace("`", "``") + "`"


def column(name: str) -> Column:
    """Return a column by its exact name."""
    return F.col(quoted(name))


def only(frame: DataFrame, names: Iterable[str]) -> DataFrame:
    """Return a frame with the columns of these exact names; in one call, as a thousand Columns would take seconds."""
    return frame.selectExpr(*map(quoted, names))


def row_hash(frame: DataFrame, seed: int) -> Column:
    """Return the hash of a row's content: a bigint, the same for equal rows and for any order of the columns.

    Lengths and the places of nulls count at every depth. The probability that two different rows of n have the same hash is
    about n²/2⁶⁵: 3 in 100 for a billion rows. Such rows are treated as equal where a sample is cut between them, and where
    equal rows are distributed.
    """
    texts = [f"cast({seed} AS bigint)"]
    arrays: dict[str, ArrayType] = {}
    for field in sorted(frame.schema.fields, key=lambda field: field.name):
        texts += _member(quoted(field.name), field.dataType, arrays)
    return F.xxhash64(_hash(texts), *array_hashes(arrays)) if arrays else _hash(texts)


def content_hash(frame: DataFrame) -> Column:
    """Return a hash of all columns in their order: a bigint, without a seed, in which nulls don't count."""
    return _hash(part for field in frame.schema.fields for part in _parts(quoted(field.name), field.dataType, None))


def derived_hash(purpose: str, *values: Column) -> Column:
    """Return a hash of values for a purpose, independent of those for other purposes. For one bigint it is one-to-one."""
    return F.xxhash64(F.lit(purpose), *values)


def _hash(parts: Iterable[str]) -> Column:
    return F.expr(f"xxhash64({', '.join(parts)})")


def _member(value: str, kind: DataType, arrays: dict[str, ArrayType] | None) -> list[str]:
    """Return `_parts` after a null mark: xxhash64 skips nulls, so that (null, 1) and (1, null) would have the same hash."""
    return [f"{value} IS NULL", *_parts(value, kind, arrays)]


def _parts(value: str, kind: DataType, arrays: dict[str, ArrayType] | None) -> list[str]:
    """Return SQL expressions for xxhash64 that are equal for two values only if the values are.

    xxhash64 mixes an array's elements and a struct's fields one after the other, without lengths and nulls, and doesn't
    support maps, whose entries have no order.

    Args:
        arrays: collects the arrays whose memory is to be hashed, by their expressions, instead of parts; None inside a
            lambda, where that isn't possible.
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
    """Return `_parts` of an array. Lambdas, which take 100 ns and more for each element, are used only where necessary."""
    if arrays is not None and is_flat(kind):
        arrays[value] = kind
        return []
    item = f"transform({value}, item -> struct({', '.join(_member('item', kind.elementType, None))}))"
    if isinstance(kind.elementType, (StructType, MapType, VariantType)):
        return [f"array_size({value})", item]
    # -1 keeps the two ways apart
    if not isinstance(kind.elementType, ArrayType):
        # A compiled search for a text that never occurs, which is null if an element is
        nulls = (
            f"array_contains({value}, '\ufffe') IS DISTINCT FROM false"
            if isinstance(kind.elementType, StringType)
            else f"exists({value}, item -> item IS NULL)"
        )
        return [f"CASE WHEN {nulls} THEN xxhash64(-1, {item}) ELSE xxhash64(array_size({value}), {value}) END"]
    # For arrays of arrays the lengths and the flattened elements; flatten is null if one of the arrays is
    flat = f"flatten({value})"
    return [
        f"transform({value}, item -> array_size(item))",
        *_parts(flat, kind.elementType, arrays),
        f"CASE WHEN {flat} IS NULL THEN xxhash64(-1, {item}) END",
    ]
