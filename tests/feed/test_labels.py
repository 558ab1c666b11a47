from __future__ import annotations

import decimal

import numpy as np
import pyarrow as pa
import pytest

from sparktrain.feed import BadInput, Column, Input, Layout, SegmentWriter, Shard, agree, label_counts


@pytest.fixture
def fill(tmp_path):
    """Write labels, and weights; read them back in their order."""

    def through(labels: pa.Array, classes=None, weights: pa.Array | None = None):
        layout = Layout((Input("x", (Column("x"),)),), "y", classes, None if weights is None else "w", "v")
        writer = SegmentWriter(tmp_path, layout)
        columns = {"x": np.zeros(len(labels)), "y": labels, "v": np.ones(len(labels), bool)}
        if weights is not None:
            columns["w"] = weights
        writer.write(pa.record_batch(columns))
        filled = writer.close()
        shard = Shard(tmp_path, filled, agree([{**filled.to_json(), "segments": [1]}]), 0, 0, (4,))
        return next(shard.validation(100)), shard

    return through


@pytest.mark.parametrize(
    "array, classes, expected",
    [
        (pa.array(["refund", "other", "refund"]), ("other", "refund"), [1, 0, 1]),
        (pa.array([30, 10, 20], pa.int64()), (10, 20, 30), [2, 0, 1]),
        (pa.array([3, -1], pa.int8()), (1000, 3, -1), [1, 2]),
        (pa.array([True, False]), (True, False), [0, 1]),
        (pa.array([True, False]), (0, 1), [1, 0]),
        (pa.array([1.0, 0.0]), (0, 1), [1, 0]),
        (pa.array([decimal.Decimal("1.00"), decimal.Decimal("0.00")]), (0, 1), [1, 0]),
    ],
)
def test_classes_become_their_numbers(fill, array, classes, expected):
    batch, shard = fill(array, classes)
    assert batch.label.dtype == np.int32 and batch.label.tolist() == expected
    assert shard.label == ((), np.int32)
    assert shard.label_range == (min(expected), max(expected))


@pytest.mark.parametrize(
    "parts, counts",
    [
        ([pa.array([3, 1, 3]), pa.array([1, -1, 3], pa.int64())], [[-1, 1], [1, 2], [3, 3]]),
        ([pa.array([1.0, 0.0, 1.0]), pa.array([], pa.float64())], [[0, 1], [1, 2]]),
        ([pa.array([True, False, False]), pa.array([True])], [[0, 2], [1, 2]]),
        ([pa.array([0.5, 1.0]), pa.array([1.0])], None),
        ([pa.array([0, 10**9]), pa.array([0])], [[0, 2], [10**9, 1]]),
        ([pa.array([-(2**31), 5, 5], pa.int32()), pa.array([2**31 - 1], pa.int32())], [[-(2**31), 1], [5, 2], [2**31 - 1, 1]]),
        ([pa.array([-(2**63), 2**63 - 1, 7])], [[-(2**63), 1], [7, 1], [2**63 - 1, 1]]),
        ([pa.array(range(600)), pa.array(range(600, 1200))], None),
        ([pa.array([[0, 1], [1, 0]]), pa.array([[0, 1]])], None),
    ],
)
def test_training_rows_are_counted_by_label_where_labels_are_classes(tmp_path, parts, counts):
    filled = []
    for part, labels in enumerate(parts):
        writer = SegmentWriter(tmp_path / str(part), Layout((Input("x", (Column("x"),)),), "y", None, None, "v"))
        for some in np.array_split(np.arange(len(labels)), 2):  # a row held out beside each
            row = {"x": [0.0, 0.0] * len(some), "y": labels.take(pa.array(np.repeat(some, 2))), "v": [False, True] * len(some)}
            writer.write(pa.record_batch(row))
        filled.append(writer.close())
    assert label_counts([part.label_counts for part in filled]) == counts


@pytest.mark.parametrize(
    "array, classes, value",
    [
        (pa.array(["refund", "Other", "x"]), ("other", "refund"), "'Other'"),
        (pa.array([1, 7, 8]), (0, 1), "7"),
        (pa.array([1, 0, 0]), ("1", "0"), "1"),
        (pa.array([0.0, 0.5, float("nan")]), (0, 1), "0.5"),
        (pa.array([1, 300, 2], pa.int16()), (1, 44), "300"),
    ],
)
def test_a_label_outside_the_classes_is_named_with_them(fill, array, classes, value):
    with pytest.raises(BadInput) as error:
        fill(array, classes)
    assert f"{value} is none of the classes {list(classes)!r}" in str(error.value)
    assert "column 'y'" in str(error.value) and " such in the 3 rows" in str(error.value)


@pytest.mark.parametrize(
    "array, dtype, shape",
    [
        (pa.array([0.5, 1.5]), np.float32, ()),
        (pa.array([1, 2]), np.int64, ()),
        (pa.array([1, 2], pa.int8()), np.int32, ()),
        (pa.array([True, False]), np.int32, ()),
        (pa.array([[0.0, 1.0], [1.0, 0.0]]), np.float32, (2,)),
    ],
)
def test_labels_without_classes_are_numbers_as_they_are(fill, array, dtype, shape):
    batch, shard = fill(array)
    assert shard.label == (shape, dtype) and batch.label.dtype == dtype
    assert batch.label.tolist() == array.to_pylist()


def test_strings_without_classes_say_how_to_name_them(fill):
    with pytest.raises(BadInput, match=r"label 'y' \(string\).*classes: \[\.\.\.\].*StringIndexer"):
        fill(pa.array(["a"]))


def test_classes_for_an_array_are_refused(fill):
    with pytest.raises(BadInput, match="label 'y' .*`classes` are given"):
        fill(pa.array([[1]]), (0, 1))


@pytest.mark.parametrize(
    "array, classes", [(pa.array(["a", None]), ("a",)), (pa.array([1.0, None]), None), (pa.array([1.0, None]), (1,))]
)
def test_a_row_without_a_label_is_refused(fill, array, classes):
    with pytest.raises(BadInput, match="column 'y' .*null can't be trained on; first at row 1"):
        fill(array, classes)


def test_weights_are_float32(fill):
    batch, shard = fill(pa.array([0, 1]), None, pa.array([0.0, 2.5]))
    assert shard.weighted and batch.weight.dtype == np.float32 and batch.weight.tolist() == [0, 2.5]
    batch, shard = fill(pa.array([0, 1]))
    assert not shard.weighted and batch.weight is None


@pytest.mark.parametrize(
    "array, told",
    [
        (pa.array([1.0, -0.5]), "-0.5 is no weight: weights are at least 0; first at row 1"),
        (pa.array([1.0, float("nan")]), "nan can't be trained on"),
        (pa.array([1, None]), "null can't be trained on"),
        (pa.array([[1.0], [2.0]]), "each row must have one number"),
        (pa.array(["1", "2"]), "each row must have one number"),
    ],
)
def test_what_is_no_weight_is_refused(fill, array, told):
    with pytest.raises(BadInput, match=f"'w' .*{told}"):
        fill(pa.array([0, 1]), None, array)
