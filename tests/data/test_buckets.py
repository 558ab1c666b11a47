"""Rows in buckets on a storage: each worker reads the very rows that Spark would deal to it."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import replace

import numpy
import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyspark.ml.functions import array_to_vector
from pyspark.sql import functions as F

from sparktrain.data import ROW, VALIDATION, deal
from sparktrain.data.arrow_types import arrow_schema
from sparktrain.data.buckets import bucket_count
from sparktrain.data.dealing import MOST_PARTS, Key, find_repeated, range_of, very_frequent
from sparktrain.storage import StorageError

PARTS = st.integers(1, 5000)


@given(PARTS)
def test_the_ranges_of_all_parts_are_all_places_each_once(parts):
    ranges = [range_of(part, parts) for part in range(parts)]
    assert ranges[0][0] == 0 and ranges[-1][1] == 1 << 31
    assert all(one[1] == following[0] for one, following in itertools.pairwise(ranges))


@given(PARTS, st.integers(0, (1 << 31) - 1))
def test_a_place_belongs_to_the_part_that_the_formula_of_spark_says(parts, place):
    first, stop = range_of(place * parts >> 31, parts)
    assert first <= place < stop


@pytest.mark.parametrize("size, count", [(0, 16), (10 << 30, 160), (1 << 60, 2048)])
def test_buckets_are_as_many_as_the_input_s_files_are_large(size, count):
    assert bucket_count(size) == count


@pytest.fixture(scope="module")
def stored(spark, tmp_path_factory):
    """500 rows with a column of each kind that a model takes, of which some are for validation, in buckets."""
    from sparktrain.config.data import Data
    from sparktrain.data.prepare import prepare

    number = F.col("id")
    frame = spark.range(500).select(
        number.alias("whole.number"),
        F.transform(F.sequence(F.lit(0), number % 5), lambda each: (each * number).cast("float")).alias("ragged"),
        F.array(F.array(number.cast("double"))).alias("nested"),
        F.concat(F.lit("word "), number).alias("text"),
        F.to_binary(F.lit("616263"), F.lit("hex")).alias("bytes"),
        (number / 7).cast("decimal(12, 3)").alias("decimal"),
        (number % 2 == 0).alias("flag"),
        (number % 100).cast("tinyint").alias("small"),
        array_to_vector(F.array(number.cast("double"), F.lit(1.0))).alias("vector"),
        (number % 3).cast("int").alias("y"),
    )
    features = [{"column": name, "length": 3} if name == "ragged" else name for name in frame.columns if name != "y"]
    data = Data.model_validate({"features": features, "label": "y", "validation": {"fraction": 0.2}})
    made = prepare(spark, data, seed=7, frame=frame)
    made.store(f"file://{tmp_path_factory.mktemp('stored')}/rows", 7)
    return made


def arrow(frame) -> pyarrow.Table:
    """The rows of a frame as Spark sends them to Python, by their hash."""
    return frame.toArrow().cast(arrow_schema(frame.schema)).sort_by(ROW)


@pytest.mark.real
@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("parts", [1, 2, 3, 7, 40])
def test_each_part_s_rows_are_those_that_spark_deals_to_it(stored, tmp_path, parts, whole):
    read = stored.reader(parts, whole, {})
    dealt = deal(stored.frame, parts, 7, whole).withColumn("part", F.spark_partition_id()).toArrow()
    for part in range(parts):
        batches = list(read(part, tmp_path))
        expected = Counter(dealt.filter(pyarrow.compute.equal(dealt["part"], part))[ROW].to_pylist())
        assert Counter(value for batch in batches for value in batch[ROW].to_pylist()) == expected
    assert not list(tmp_path.iterdir())


@pytest.mark.real
def test_columns_have_the_types_and_values_that_spark_sends(stored, tmp_path):
    batches = list(stored.reader(1, False, {})(0, tmp_path))
    mine, sparks = pyarrow.Table.from_batches(batches).sort_by(ROW), arrow(stored.frame)
    assert mine.schema.names == stored.frame.columns
    assert [field.type for field in mine.schema] == [field.type for field in sparks.schema]
    assert mine.to_pylist() == sparks.to_pylist()


@pytest.mark.real
def test_the_rows_of_a_remote_storage_come_one_file_after_the_other(stored, hdfs, tmp_path, spark):
    url = f"{hdfs.uri}/buckets-{numpy.random.default_rng().integers(1 << 30)}"
    before = stored.frame
    copy = replace(stored, frame=before, _computed=None, _kept=[])
    copy.store(url, 7)
    rows = [row for part in range(3) for batch in copy.reader(3, False, {})(part, tmp_path) for row in batch[ROW].to_pylist()]
    assert sorted(rows) == sorted(row[0] for row in before.select(ROW).collect())
    assert not list(tmp_path.iterdir()), "files on their way are removed"
    assert replace(copy, buckets=replace(copy.buckets, url="of-spark://host/rows")).reader(3, False, {}) is None
    with pytest.raises(StorageError):
        lost = replace(copy.reader(1, False, {}), buckets=replace(copy.buckets, files=(("part-00000-none.parquet", 0),)))
        list(lost(0, tmp_path))


@pytest.mark.real
@pytest.mark.parametrize("whole", [False, True])
def test_what_is_known_of_frequent_rows_gives_what_looking_for_them_gives(spark, whole):
    row = F.when(F.col("id") < 5000, -1).when(F.col("id") < 7600, -2).when(F.col("id") < 7640, -3).otherwise(F.col("id"))
    frame = spark.range(17_600).select(row.alias(ROW), (F.col("id") % 9 == 0).alias(VALIDATION))
    rows = frame.where(~F.col(VALIDATION)).count()
    known = find_repeated(frame, MOST_PARTS)
    assert Key(-3, False) in known
    for parts in (1, 2, 8, MOST_PARTS):
        assert very_frequent(known, parts, whole, rows, 17_600 - rows) == find_repeated(frame, parts, whole), parts
