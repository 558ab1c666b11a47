"""Files are divided into portions of about the same size, each file in exactly one, and are told by Spark's own names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparktrain.data.files import InputFile
from sparktrain.data.portions import portions, spelled


@given(st.lists(st.integers(0, 10**9), max_size=60), st.integers(1, 25))
def test_every_file_is_in_one_portion_in_order_and_none_is_much_too_large(lengths, count):
    files = [InputFile(f"file:/x/{number:03}", length, 0) for number, length in enumerate(lengths)]
    found = portions(files, count)
    assert [file for part in found for file in part] == files
    assert len(found) <= count and all(found)
    most = sum(lengths) / count + max(lengths, default=0)
    assert all(sum(file.length for file in part) <= most + 1 for part in found)
    assert portions(files, count) == found


def test_files_of_one_size_are_divided_evenly():
    files = [InputFile(f"file:/x/{number}", 10, 0) for number in range(8)]
    assert [len(part) for part in portions(files, 4)] == [2, 2, 2, 2]
    assert [len(part) for part in portions([InputFile(file.path, 0, 0) for file in files], 4)] == [2, 2, 2, 2]


@pytest.mark.parametrize(
    ("path", "spelt"),
    [
        ("hdfs://host:9000/data/part-0.parquet", "hdfs://host:9000/data/part-0.parquet"),
        (
            "file:/a b%20c=d'ü+#;&,@!$(x)/k e%3Dy=v ü%25%2F%3A0",
            "file:/a%20b%2520c=d'ü+%23;&,@!$(x)/k%20e%253Dy=v%20ü%2525%252F%253A0",
        ),
        ('s3a://bucket/día/[x]?{y}^|"<>\\`', "s3a://bucket/día/%5Bx%5D%3F%7By%7D%5E%7C%22%3C%3E%5C%60"),
    ],
)
def test_a_path_is_spelt_as_spark_s_metadata_have_it(path, spelt):
    assert spelled(path) == spelt
