"""Reads TFRecord files of tf.train.Example without TensorFlow.

The format: https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details. A record is its length
(uint64), the length's checksum (uint32), its bytes and their checksum, all little-endian; the checksum is CRC-32C,
masked as ((crc >> 15) | (crc << 17)) + 0xa282ead8.
"""

from __future__ import annotations

import functools
import io
import zlib
from collections.abc import Iterator
from typing import Any

import google_crc32c
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError
from pyspark.sql.types import (
    ArrayType,
    BinaryType,
    BooleanType,
    ByteType,
    DataType,
    DoubleType,
    FloatType,
    IntegerType,
    LongType,
    ShortType,
    StringType,
    StructField,
    StructType,
)

from sparktrain.data.errors import InputError
from sparktrain.data.records import Damage, Readable

_KINDS = {
    BinaryType: "bytes_list",
    StringType: "bytes_list",
    FloatType: "float_list",
    DoubleType: "float_list",
    ByteType: "int64_list",
    ShortType: "int64_list",
    IntegerType: "int64_list",
    LongType: "int64_list",
    BooleanType: "int64_list",
}


def payloads(stream: Readable) -> Iterator[bytes | Damage]:
    """Yield the bytes of each record after checking their checksum, or its damage."""
    number = 0
    while True:
        number += 1
        try:
            head = stream.read(12)
            if not head:
                return
            if len(head) < 12 or _masked(head[:8]) != int.from_bytes(head[8:], "little"):
                yield Damage(
                    number,
                    "its length is cut off"
                    if len(head) < 12
                    else "the checksum of its length is wrong, so this is no TFRecord file or it is damaged",
                    True,
                )
                return
            length = int.from_bytes(head[:8], "little")
            body = stream.read(length)
            tail = stream.read(4)
        except (EOFError, OSError, zlib.error) as error:  # a damaged .gz
            yield Damage(number, str(error), True)
            return
        if len(body) < length or len(tail) < 4:
            yield Damage(number, f"the file ends within it, after {len(body)} of {length} bytes", True)
            return
        if _masked(body) != int.from_bytes(tail, "little"):
            yield Damage(number, "the checksum of its bytes is wrong")
        else:
            yield body


def decode(stream: Readable, path: str, schema: StructType) -> Iterator[dict[str, Any] | Damage]:
    """Yield each record's values by column; a feature that a record lacks, or that has no value, is null.

    Raises:
        InputError: a feature doesn't have the type in the schema; the message names file, record and feature.
    """
    example = example_class()()
    for number, payload in enumerate(payloads(stream), start=1):
        if isinstance(payload, Damage):
            yield payload
            continue
        try:
            example.ParseFromString(payload)
        except DecodeError:
            yield Damage(number, "its bytes are no tf.train.Example")
            continue
        features = example.features.feature
        yield {field.name: _value(features[field.name], field, path, number) for field in schema.fields if field.name in features}


def first_size(head: bytes) -> int:
    """Return the size in bytes of the first record, from at least its first 12 bytes; 0 if they are no record's."""
    if len(head) < 12 or _masked(head[:8]) != int.from_bytes(head[8:12], "little"):
        return 0
    return int.from_bytes(head[:8], "little") + 16


def infer(start: bytes, path: str) -> StructType:
    """Return the columns of a file's first record: a feature with one value is a scalar, with more an array.

    Args:
        start: the file's first bytes, with the complete first record.
        path: the file's path, for messages.

    Raises:
        InputError: the record can't be read, or has an empty feature.
    """
    payload = next(payloads(io.BytesIO(start)), None)
    advice = "Give the columns and types with data.schema."
    if not isinstance(payload, bytes):
        reason = f"its first record can't be read: {payload.reason}" if payload else "it has no record"
        raise InputError(f"the columns can't be found from {path}: {reason}. {advice}")
    example = example_class()()
    try:
        example.ParseFromString(payload)
    except DecodeError as error:
        raise InputError(f"{path}, record 1, is no tf.train.Example. {advice}") from error
    fields = []
    for name in sorted(example.features.feature):
        feature = example.features.feature[name]
        kind = feature.WhichOneof("kind")
        values = getattr(feature, kind).value if kind else ()
        if not values:
            raise InputError(f"{path}, record 1: feature {name!r} is empty, so its type can't be found. {advice}")
        one = (
            LongType()
            if kind == "int64_list"
            else FloatType()
            if kind == "float_list"
            else StringType()
            if all(map(_is_text, values))
            else BinaryType()
        )
        fields.append(StructField(name, one if len(values) == 1 else ArrayType(one)))
    return StructType(fields)


def check_schema(schema: StructType) -> None:
    """Refuse columns whose type no feature of an Example can have.

    Raises:
        InputError: a column has such a type.
    """
    for field in schema.fields:
        if type(_element(field.dataType)) not in _KINDS:
            raise InputError(
                f"data.schema: column {field.name!r} is {field.dataType.simpleString()}, which no feature "
                "of a tf.train.Example holds. There are integers, float, double, boolean, string and "
                "binary, and arrays of them."
            )


@functools.cache
def example_class() -> type:
    """Return the protobuf class for tf.train.Example, defined here so as not to need, or conflict with, TensorFlow's."""
    file = descriptor_pb2.FileDescriptorProto(name="sparktrain/example.proto", package="sparktrain", syntax="proto3")
    field = descriptor_pb2.FieldDescriptorProto
    for name, kind in (("BytesList", field.TYPE_BYTES), ("FloatList", field.TYPE_FLOAT), ("Int64List", field.TYPE_INT64)):
        file.message_type.add(name=name).field.add(name="value", number=1, type=kind, label=field.LABEL_REPEATED)
    feature = file.message_type.add(name="Feature")
    feature.oneof_decl.add(name="kind")
    for number, name in enumerate(("bytes", "float", "int64"), start=1):
        feature.field.add(
            name=f"{name}_list",
            number=number,
            type=field.TYPE_MESSAGE,
            label=field.LABEL_OPTIONAL,
            type_name=f".sparktrain.{name.capitalize()}List",
            oneof_index=0,
        )
    features = file.message_type.add(name="Features")
    entry = features.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=field.TYPE_STRING, label=field.LABEL_OPTIONAL)
    entry.field.add(name="value", number=2, type=field.TYPE_MESSAGE, label=field.LABEL_OPTIONAL, type_name=".sparktrain.Feature")
    features.field.add(
        name="feature",
        number=1,
        type=field.TYPE_MESSAGE,
        label=field.LABEL_REPEATED,
        type_name=".sparktrain.Features.FeatureEntry",
    )
    file.message_type.add(name="Example").field.add(
        name="features", number=1, type=field.TYPE_MESSAGE, label=field.LABEL_OPTIONAL, type_name=".sparktrain.Features"
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("sparktrain.Example"))


def _masked(data: bytes) -> int:
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _value(feature: Any, field: StructField, path: str, number: int) -> Any:
    kind = feature.WhichOneof("kind")
    element = _element(field.dataType)
    wanted = _KINDS[type(element)]
    if kind is None:
        return None
    if kind != wanted and not (kind == "int64_list" and wanted == "float_list"):
        raise InputError(
            f"{path}, record {number}: feature {field.name!r} is a {kind}, but its column is "
            f"{field.dataType.simpleString()}. Give its type with data.schema."
        )
    values = list(getattr(feature, kind).value)
    if isinstance(element, StringType):
        if not all(map(_is_text, values)):
            raise InputError(
                f"{path}, record {number}: feature {field.name!r} holds bytes that are no UTF-8 text. "
                "Give it the type binary with data.schema."
            )
        values = [value.decode() for value in values]
    elif isinstance(element, BooleanType):
        values = [bool(value) for value in values]
    elif kind == "int64_list" and wanted == "float_list":
        values = [float(value) for value in values]
    if isinstance(field.dataType, ArrayType):
        return values
    if len(values) > 1:
        raise InputError(
            f"{path}, record {number}: feature {field.name!r} has {len(values)} values, but its column is "
            f"a single {field.dataType.simpleString()}. Give it the type array<"
            f"{field.dataType.simpleString()}> with data.schema."
        )
    return values[0] if values else None


def _element(kind: DataType) -> DataType:
    return kind.elementType if isinstance(kind, ArrayType) else kind


def _is_text(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True
