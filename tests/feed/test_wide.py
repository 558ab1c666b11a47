"""Many columns to one input: they are converted together, and give what each of them gives alone."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparktrain.feed import BadInput, Column, Input, Layout, SegmentWriter, Shard, agree
from sparktrain.feed.columns import runs
from sparktrain.feed.fill import _chunk_rows

KINDS = [pa.float64(), pa.float64(), pa.float64(), pa.int32(), pa.int32(), pa.int64(), pa.float32(), pa.bool_(), pa.float64()]
ROWS = 500


def columns(rows=ROWS):
    generator = np.random.default_rng(7)
    return {f"c{number}": pa.array(generator.integers(0, 2, rows)).cast(kind) for number, kind in enumerate(KINDS)}


def write(folder, arrays, **more):
    """Every row twice, once marked for validation; the batch is a slice of a larger one."""
    layout = Layout((Input("x", tuple(Column(name) for name in arrays)),), "y", validation="v", **more)
    rows = len(next(iter(arrays.values())))
    batch = pa.record_batch({**arrays, "y": pa.array(range(rows)), "v": pa.array([number % 2 == 0 for number in range(rows)])})
    writer = SegmentWriter(folder, layout)
    for start in (0, 100):
        writer.write(batch.slice(start, 100 if start == 0 else rows))
    filled = writer.close()
    shard = Shard(folder, filled, agree([filled.to_json()]), 0, 0, (rows,))
    batches = [*shard.epoch(0), *shard.validation(rows)]
    label = np.concatenate([each.label for each in batches])
    return np.concatenate([each.inputs["x"] for each in batches])[np.argsort(label)]


def test_columns_of_many_types_stand_in_their_order(tmp_path):
    arrays = columns()
    expected = np.stack([array.cast(pa.float32()).to_numpy() for array in arrays.values()], axis=1)
    got = write(tmp_path, arrays)
    assert got.dtype == np.float32 and (got == expected).all()


@pytest.mark.parametrize("value, told", [(None, "null"), (float("nan"), "nan"), (1e300, "1e\\+300 is larger than float32")])
def test_a_value_that_cannot_be_trained_on_is_named_with_its_column_and_row(tmp_path, value, told):
    arrays = columns()
    arrays["c1"] = pa.array([*arrays["c1"].to_pylist()[:400], value, *arrays["c1"].to_pylist()[401:]], pa.float64())
    with pytest.raises(
        BadInput, match=f"column 'c1' \\(double\\): {told}.*first at row 400 of this part, 1 such in the 500 rows"
    ):
        write(tmp_path, arrays)


def test_only_neighbours_of_one_numeric_type_are_grouped():
    assert runs(KINDS, [()] * len(KINDS)) == ((0, 3), (3, 5), (5, 6), (6, 7), (7, 8), (8, 9))
    assert runs([pa.float32()] * 3, [(), (1,), ()]) == ((0, 1), (1, 2), (2, 3))
    assert runs([pa.decimal128(4, 2)] * 2, [(), ()]) == ((0, 1), (1, 2))
    assert runs([pa.bool_()], [()]) == ((0, 1),)


@given(st.integers(1, 1 << 26))
def test_wide_rows_are_converted_many_at_once_within_bounded_memory(row_bytes):
    rows = _chunk_rows(row_bytes, 64 << 20)
    assert rows >= 1 and (rows == 1 or rows * row_bytes <= 16 << 20)
    assert rows >= min(4096, (16 << 20) // row_bytes)
