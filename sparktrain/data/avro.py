"""Reads Avro files with fastavro: Spark's own reader is a JVM package that isn't part of pyspark."""

from __future__ import annotations

import io
import platform
import struct
import sys
import uuid
import zlib
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import IO, Any, cast

from pyspark.sql import types as T

from sparktrain.data.errors import InputError
from sparktrain.data.records import Damage, Readable

# The exceptions that fastavro raises for bytes that don't match the schema.
_DAMAGE = (
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    struct.error,
    zlib.error,
    UnicodeDecodeError,
    OverflowError,
    MemoryError,
    StopIteration,
    TypeError,
)
_TYPES = {
    "boolean": T.BooleanType(),
    "int": T.IntegerType(),
    "long": T.LongType(),
    "float": T.FloatType(),
    "double": T.DoubleType(),
    "bytes": T.BinaryType(),
    "string": T.StringType(),
    "enum": T.StringType(),
    "fixed": T.BinaryType(),
}
_LOGICAL = {
    "date": T.DateType(),
    "timestamp-millis": T.TimestampType(),
    "timestamp-micros": T.TimestampType(),
    "local-timestamp-millis": T.TimestampNTZType(),
    "local-timestamp-micros": T.TimestampNTZType(),
    "uuid": T.StringType(),
}
_UNREAD = ("time-millis", "time-micros", "duration", "timestamp-nanos", "local-timestamp-nanos")


def _fastavro() -> ModuleType:
    """Return the package fastavro, which is an extra of sparktrain's.

    Raises:
        InputError: it isn't installed here.
    """
    try:
        import fastavro
    except ModuleNotFoundError as error:
        raise InputError(
            f"Avro files are read by fastavro, which {sys.executable} on {platform.node()} doesn't have: "
            "pip install 'sparktrain[avro]' there."
        ) from error
    return fastavro


def decode(stream: Readable, path: str, schema: T.StructType) -> Iterator[dict[str, Any] | Damage]:
    """Yield each record's values by column; a field that a file lacks is null."""
    number = 1
    names = schema.fieldNames()
    fastavro = _fastavro()
    try:
        reader = fastavro.reader(cast(IO[bytes], stream))  # it only reads
        for record in cast(Iterator[dict[str, Any]], reader):  # other values than records have no columns: see `infer`
            yield {name: _plain(record[name]) for name in names if name in record}
            number += 1
    except _DAMAGE as error:  # fastavro can't skip a damaged record
        yield Damage(number, f"{type(error).__name__}: {error}", True)


def infer(start: bytes, path: str) -> T.StructType:
    """Return the columns that a file's header describes.

    Args:
        start: the file's first bytes, with the complete header.
        path: the file's path, for messages.

    Raises:
        InputError: the header is no Avro file's, or has a type that Spark doesn't have; or fastavro isn't installed.
    """
    fastavro = _fastavro()
    try:
        described = fastavro.reader(io.BytesIO(start)).writer_schema
    except (*_DAMAGE, fastavro.schema.SchemaParseException) as error:
        raise InputError(
            f"the columns can't be found from {path}: its header is no Avro file's ({type(error).__name__}: {error})."
        ) from error
    kind = spark_type(described, {}, path)
    if not isinstance(kind, T.StructType):
        raise InputError(f"{path} holds values of type {kind.simpleString()}; expected records with named fields.")
    return kind


def spark_type(described: Any, named: dict[str, T.DataType], path: str) -> T.DataType:
    """Return Spark's type for an Avro schema.

    Args:
        described: the schema, as in the file's header.
        named: the named types defined so far; new ones are added.
        path: the file's path, for messages.

    Raises:
        InputError: Spark has no type for it.
    """
    if isinstance(described, list):
        return _union([spark_type(one, named, path) for one in described if one != "null"], described, path)
    if isinstance(described, str):
        described = {"type": described}
    kind, logical = described["type"], described.get("logicalType")
    if isinstance(kind, (dict, list)):
        return spark_type(kind, named, path)
    if logical in _UNREAD:
        raise InputError(f"{path}: values of type {logical} can't be read. Write them as a long.")
    if logical == "decimal":
        result: T.DataType = T.DecimalType(described["precision"], described.get("scale", 0))
    elif logical in _LOGICAL:
        result = _LOGICAL[logical]
    elif kind in ("record", "error"):
        result = T.StructType(
            [T.StructField(field["name"], spark_type(field["type"], named, path)) for field in described["fields"]]
        )
    elif kind == "array":
        result = T.ArrayType(spark_type(described["items"], named, path))
    elif kind == "map":
        result = T.MapType(T.StringType(), spark_type(described["values"], named, path))
    elif kind in _TYPES:
        result = _TYPES[kind]
    elif kind in named:
        result = named[kind]
    else:
        raise InputError(f"{path}: type {kind!r} can't be read: it is unknown, or a record that contains itself.")
    if "name" in described:
        named[described["name"]] = result
        if described.get("namespace"):
            named[f"{described['namespace']}.{described['name']}"] = result
    return result


def _union(kinds: list[T.DataType], described: Any, path: str) -> T.DataType:
    distinct = list(dict.fromkeys(kinds))
    if len(distinct) == 1:
        return distinct[0]
    if distinct and all(isinstance(kind, (T.IntegerType, T.LongType)) for kind in distinct):
        return T.LongType()
    if distinct and all(isinstance(kind, (T.FloatType, T.DoubleType)) for kind in distinct):
        return T.DoubleType()
    raise InputError(f"{path}: a column that may be any of {described} can't be read. Expected one type, or null and one type.")


def _plain(value: Any) -> Any:
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list) else value
