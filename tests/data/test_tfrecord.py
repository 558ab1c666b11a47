"""TFRecord files as TensorFlow writes them, whole and damaged."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest
from pyspark.sql.types import ArrayType, BinaryType, FloatType, IntegerType, LongType, StringType, StructType, TimestampType

from sparktrain.data import tfrecord
from sparktrain.data.errors import InputError
from sparktrain.data.records import Damage

# Three records {id: i - 1, text: "späť<i>", floats: [i + .5, i - .25], raw: ff fe <i>} by tf.io.TFRecordWriter 2.21.
WRITTEN = Path(__file__).with_name("three.tfrecord").read_bytes()
FIRST = 12 + 85 + 4  # bytes of the first record


def schema(**columns) -> StructType:
    found = StructType()
    for name, kind in columns.items():
        found.add(name, kind)
    return found


SCHEMA = schema(id=LongType(), text=StringType(), floats=ArrayType(FloatType()), raw=BinaryType())


def decoded(data: bytes, schema: StructType = SCHEMA) -> list:
    return list(tfrecord.decode(io.BytesIO(data), "a.tfrecord", schema))


def changed(at: int) -> bytes:
    return WRITTEN[:at] + bytes([WRITTEN[at] ^ 1]) + WRITTEN[at + 1 :]


def test_what_tensorflow_wrote_is_read():
    assert decoded(WRITTEN) == [
        {"id": i - 1, "text": f"späť{i}", "floats": [i + 0.5, i - 0.25], "raw": b"\xff\xfe" + bytes([i])} for i in range(3)
    ]


def test_columns_are_found_from_the_first_record():
    assert tfrecord.infer(WRITTEN[:FIRST], "a.tfrecord") == schema(
        floats=ArrayType(FloatType()), id=LongType(), raw=BinaryType(), text=StringType()
    )


def test_a_record_with_a_wrong_checksum_is_damaged_alone():
    first, second, third = decoded(changed(FIRST + 40))
    assert second == Damage(2, "the checksum of its bytes is wrong") and first["id"] == -1 and third["id"] == 1


@pytest.mark.parametrize(
    "data, number",
    [(changed(FIRST + 3), 2), (changed(FIRST + 9), 2), (WRITTEN[:-3], 3), (WRITTEN[: FIRST + 5], 2), (b"no TFRecord file", 1)],
)
def test_after_a_damaged_length_or_a_cut_nothing_is_read(data, number):
    records = decoded(data)
    assert len(records) == number and records[-1].number == number and records[-1].rest
    assert not any(isinstance(record, Damage) for record in records[:-1])


@pytest.mark.parametrize(
    "columns, message",
    [
        (schema(id=StringType()), "record 1: feature 'id' is a int64_list, but its column is string"),
        (schema(floats=FloatType()), "feature 'floats' has 2 values, but its column is a single float"),
        (schema(raw=StringType()), "bytes that are no UTF-8 text"),
    ],
)
def test_a_feature_of_another_type_is_refused_with_its_record(columns, message):
    with pytest.raises(InputError, match="a.tfrecord, record 1") as refused:
        decoded(WRITTEN, columns)
    assert message in str(refused.value) and "data.schema" in str(refused.value)


def test_a_feature_that_is_not_there_is_left_to_be_null():
    assert decoded(WRITTEN, schema(id=IntegerType(), other=FloatType()))[0] == {"id": -1}


def test_a_column_that_no_feature_can_fill_is_refused():
    with pytest.raises(InputError, match="column 'when' is timestamp"):
        tfrecord.check_schema(schema(when=TimestampType()))


def test_reading_needs_no_tensorflow():
    code = "import sys, sparktrain.data.tfrecord as t; t.example_class(); print('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"
