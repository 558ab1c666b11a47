"""Spark ML's vectors, built by hand as Spark sends them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparktrain.feed import BadInput
from sparktrain.feed.vectors import dense_vectors

VECTOR = pa.struct(
    [
        pa.field("type", pa.int8(), nullable=False),
        pa.field("size", pa.int32()),
        pa.field("indices", pa.list_(pa.field("element", pa.int32(), nullable=False))),
        pa.field("values", pa.list_(pa.field("element", pa.float64(), nullable=False))),
    ]
)


def dense(*values: float) -> dict:
    return {"type": 1, "size": None, "indices": None, "values": list(values)}


def sparse(size: int, entries: dict[int, float]) -> dict:
    return {"type": 0, "size": size, "indices": list(entries), "values": list(entries.values())}


@pytest.mark.parametrize(
    "rows, expected",
    [
        ([dense(1, 2, 3), dense(4, 5, 6)], [[1, 2, 3], [4, 5, 6]]),
        ([sparse(3, {1: 2.5}), sparse(3, {})], [[0, 2.5, 0], [0, 0, 0]]),
        ([sparse(3, {0: 1, 2: 3}), dense(4, 5, 6), sparse(3, {})], [[1, 0, 3], [4, 5, 6], [0, 0, 0]]),
    ],
)
def test_vectors_become_rows_of_float32(column, rows, expected):
    got = column(pa.array(rows, VECTOR))
    assert got.dtype == np.float32 and got.tolist() == expected


@given(
    st.lists(st.lists(st.sampled_from([0.0, 1.5, -2.0]), min_size=3, max_size=3), max_size=12),
    st.lists(st.booleans(), min_size=12, max_size=12),
    st.integers(0, 12),
    st.integers(0, 12),
)
def test_any_mixture_and_any_stretch_of_it_is_the_same_dense_array(rows, as_sparse, start, length):
    made = [
        sparse(3, {index: value for index, value in enumerate(row) if value}) if thin else dense(*row)
        for row, thin in zip(rows, as_sparse)
    ]
    got = dense_vectors(pa.array(made, VECTOR).slice(start, length))
    assert got.tolist() == rows[start : start + length]


def test_sequences_of_vectors_are_padded(column):
    rows = pa.array([[dense(1, 2)], [sparse(2, {1: 4.0}), dense(5, 6)]], pa.list_(VECTOR))
    assert column(rows, length=2).tolist() == [[[0, 0], [1, 2]], [[0, 4], [5, 6]]]


def test_vectors_of_different_sizes_are_refused_with_both_sizes(column):
    with pytest.raises(BadInput, match=r"'x'.*a vector of size 3 where the first has size 2; .*at row 1 .*1 such in"):
        column(pa.array([dense(1, 2), sparse(3, {})], VECTOR))


@pytest.mark.parametrize("row, told", [(dense(1, float("nan")), "nan"), (sparse(2, {0: float("inf")}), "inf"), (None, "null")])
def test_what_is_no_number_in_a_vector_is_refused(column, row, told):
    with pytest.raises(BadInput, match=f"'x' .*: {told} can't be trained on; first at row 1 "):
        column(pa.array([dense(1, 2), row], VECTOR))
