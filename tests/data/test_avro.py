"""Avro files' types and damage."""

from __future__ import annotations

import io

import fastavro
import pytest
from pyspark.sql import types as T

from sparktrain.data import avro
from sparktrain.data.errors import InputError
from sparktrain.data.records import Damage

SCHEMA = {
    "type": "record",
    "name": "Row",
    "namespace": "shop",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "score", "type": ["null", "float", "double"]},
        {"name": "when", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}},
        {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["a", "b"]}},
        {"name": "other", "type": "Kind"},
        {"name": "tags", "type": {"type": "array", "items": ["null", "string"]}},
        {"name": "inner", "type": {"type": "record", "name": "Inner", "fields": [{"name": "x", "type": ["int", "long"]}]}},
        {"name": "again", "type": ["null", "shop.Kind"]},
        {"name": "counts", "type": {"type": "map", "values": "int"}},
    ],
}


def header(described: object) -> bytes:
    stream = io.BytesIO()
    fastavro.writer(stream, fastavro.parse_schema(described), [])
    return stream.getvalue()


def test_types_become_spark_s():
    text = T.StringType()
    expected = [
        ("id", T.LongType()),
        ("score", T.DoubleType()),
        ("when", T.TimestampType()),
        ("price", T.DecimalType(9, 2)),
        ("kind", text),
        ("other", text),
        ("tags", T.ArrayType(text)),
        ("inner", T.StructType([T.StructField("x", T.LongType())])),
        ("again", text),
        ("counts", T.MapType(text, T.IntegerType())),
    ]
    assert avro.infer(header(SCHEMA), "a.avro") == T.StructType([T.StructField(*field) for field in expected])


@pytest.mark.parametrize(
    "kind, message",
    [
        (["int", "string"], "may be any of"),
        ({"type": "int", "logicalType": "time-millis"}, "time-millis"),
        (["null", "Row"], "contains itself"),
    ],
)
def test_a_type_that_spark_has_none_for_is_refused_by_name(kind, message):
    described = {"type": "record", "name": "Row", "fields": [{"name": "x", "type": kind}]}
    with pytest.raises(InputError, match="a.avro") as refused:
        avro.infer(header(described), "a.avro")
    assert message in str(refused.value)


def test_what_is_no_avro_file_is_refused():
    with pytest.raises(InputError, match="a.avro: its header is no Avro file's"):
        avro.infer(b"PAR1 and more", "a.avro")


def test_a_damaged_file_gives_the_records_before_the_damage():
    stream = io.BytesIO()
    described = {"type": "record", "name": "Row", "fields": [{"name": "x", "type": "string"}]}
    fastavro.writer(stream, described, ({"x": "v" * 50} for _ in range(3000)), sync_interval=1000)
    data = stream.getvalue()
    columns = T.StructType([T.StructField("x", T.StringType())])
    records = list(avro.decode(io.BytesIO(data[: len(data) // 2]), "a.avro", columns))
    assert 1000 < len(records) < 2000 and isinstance(records[-1], Damage)
    assert records[-1].rest and records[-1].number == len(records) and records[0] == {"x": "v" * 50}
