"""Arrays as they lie in Spark's memory, built by hand after its documentation."""

from __future__ import annotations

import struct

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparktrain.feed import BadInput, Column, Input, Layout, SegmentWriter
from sparktrain.feed.packing import unpacked

FORMATS = {"float32": "f", "float64": "d", "int32": "i", "int64": "q"}


def packed(array: list | None, dtype: str) -> bytes | None:
    """UnsafeArrayData: the number of elements, a bit for each that is null, the elements; all in words of 8 bytes."""
    if array is None:
        return None
    nulls = sum(1 << index for index, element in enumerate(array) if element is None)
    bits = nulls.to_bytes(8 * -(-len(array) // 64), "little")
    # What lies in a null's place means nothing.
    values = struct.pack(f"<{len(array)}{FORMATS[dtype]}", *[7 if element is None else element for element in array])
    return struct.pack("<q", len(array)) + bits + values + bytes(-len(values) % 8)


def rows(arrays: list, dtype: str, kind: pa.DataType = pa.binary()) -> pa.RecordBatch:
    return pa.record_batch({"x": pa.array([packed(array, dtype) for array in arrays], kind)})


@given(st.data(), st.sampled_from(sorted(FORMATS)), st.sampled_from([pa.binary(), pa.large_binary()]))
def test_any_arrays_and_any_stretch_of_them_come_out_as_they_were(data, dtype, kind):
    element = st.integers(-100, 100)
    if data.draw(st.booleans(), "of one length"):
        length = data.draw(st.integers(1, 130))
        array = st.lists(element, min_size=length, max_size=length)
    else:
        array = st.none() | st.lists(element | st.none(), max_size=130)
    arrays = data.draw(st.lists(array, max_size=6))
    start, count = data.draw(st.integers(0, 6)), data.draw(st.integers(0, 6))
    got = unpacked(rows(arrays, dtype, kind).slice(start, count), {"x": dtype}).column("x")
    assert got.type.value_type == pa.from_numpy_dtype(np.dtype(dtype))
    assert got.to_pylist() == arrays[start : start + count]


def test_the_columns_get_their_names_back():
    batch = rows([[1, 2]], "int32").append_column("y", pa.array([3]))
    assert unpacked(batch, {"a.b": "int32", "c": None}).to_pylist() == [{"a.b": [1, 2], "c": 3}]
    assert unpacked(batch, None) is batch


@pytest.mark.parametrize(
    "arrays, said",
    [
        ([[1, 2], None], r"column 'x' \(list<element: float>\): null"),
        ([[1, 2], [1, None]], r"column 'x' \(list<element: float>\): null"),
        ([[1, 2], [1, float("nan")]], "column 'x' .*: nan"),
        ([[1, 2], [1]], r"column 'x' .*an array of shape \[1\] where the first has \[2\]"),
    ],
)
def test_what_can_t_be_trained_on_is_refused_as_if_it_had_not_been_packed(tmp_path, arrays, said):
    layout = Layout((Input("x", (Column("x"),)),), "y", sent={"x": "float32", "y": None})
    writer = SegmentWriter(tmp_path, layout)
    with pytest.raises(BadInput, match=said):
        writer.write(rows(arrays, "float32").append_column("y", pa.array([0, 1], pa.int32())))
