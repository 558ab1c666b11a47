from __future__ import annotations

import datetime
import decimal
import re

import numpy as np
import pyarrow as pa
import pytest

from sparktrain.feed import BadInput, Column, Input, Layout, SegmentWriter, Shard, agree
from sparktrain.feed.row_condition import row_condition

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    "kind, dtype",
    [
        (pa.int8(), np.int32),
        (pa.int16(), np.int32),
        (pa.int32(), np.int32),
        (pa.int64(), np.int64),
        (pa.uint8(), np.int32),
        (pa.uint32(), np.int64),
        (pa.float32(), np.float32),
        (pa.float64(), np.float32),
        (pa.decimal128(10, 2), np.float32),
        (pa.bool_(), np.bool_),
    ],
)
def test_numbers_arrive_as_keras_users_expect_them(column, kind, dtype):
    values = [True, False, True] if pa.types.is_boolean(kind) else [1, 0, 3]
    if pa.types.is_decimal(kind):
        values = [decimal.Decimal("1.25"), decimal.Decimal(0), decimal.Decimal(3)]
    rows = column(pa.array(values, kind))
    assert rows.dtype == dtype
    assert rows.tolist() == [[float(value)] for value in values]
    nested = column(pa.array([[[value, value]] for value in values], pa.list_(pa.list_(kind))))
    assert nested.dtype == dtype and nested.shape == (3, 1, 2)
    assert nested[:, 0, 1].tolist() == [float(value) for value in values]


@pytest.mark.parametrize("make", [pa.list_, pa.large_list, lambda kind: pa.list_(kind, 2)])
def test_every_kind_of_arrow_list_and_any_stretch_of_it_is_read(column, make):
    array = pa.array([[0, 1], [2, 3], [4, 5], [6, 7]], make(pa.float32()))
    assert column(array.slice(1, 2)).tolist() == [[2, 3], [4, 5]]


def test_a_single_number_is_one_wide_unless_its_shape_is_given(column):
    assert column(pa.array([1.0, 2.0])).shape == (2, 1)
    assert column(pa.array([1.0, 2.0]), shape=()).shape == (2,)


def test_a_given_shape_reshapes_the_row(column):
    pixels = pa.array([list(range(6)), list(range(6, 12))], pa.list_(pa.int64()))
    assert column(pixels, shape=(2, 3))[1].tolist() == [[6, 7, 8], [9, 10, 11]]


def test_a_given_shape_of_another_size_is_refused(column):
    with pytest.raises(BadInput, match=r"'x' .*a row of shape \[2\] where shape \[2, 3\] is asked for.*data.features"):
        column(pa.array([[1.0, 2.0]]), shape=(2, 3))


@pytest.mark.parametrize(
    "array, told",
    [
        (pa.array([[1.0, 2.0], [1.0], [3.0]]), r"shape \[1\] where the first has \[2\]; first at row 1 .*2 such in the 3"),
        (pa.array([[[1.0], [2.0]], [[1.0], [2.0, 3.0]]]), r"shape \[2\] where the first has \[1\]; first at row 1 "),
        (pa.array([[], []], pa.list_(pa.float32())), "an array without elements can't be trained on"),
    ],
)
def test_arrays_of_different_lengths_are_refused_and_length_is_offered(column, array, told):
    with pytest.raises(BadInput, match=f"column 'x' .*{told}.*`length`"):
        column(array)


def test_a_later_batch_of_another_shape_is_refused_by_its_row(column):
    with pytest.raises(BadInput, match=r"shape \[3\] where the first has \[2\]; first at row 2 .*1 such in the 3 rows"):
        column(pa.array([[1.0, 2.0], [3.0, 4.0]]), pa.array([[1.0, 2.0, 3.0]]))


@pytest.mark.parametrize(
    "array, value, row, count",
    [
        (pa.array([1.0, NAN, 2.0, NAN]), "nan", 1, 2),
        (pa.array([1.0, -INF]), "-inf", 1, 1),
        (pa.array([1, None, None]), "null", 1, 2),
        (pa.array([[1.0], [2.0], None]), "null", 2, 1),
        (pa.array([[1.0, 2.0], [2.0, None]]), "null", 1, 1),
        (pa.array([[[1.0]], [[2.0]], [[INF]]]), "inf", 2, 1),
    ],
)
def test_what_is_no_number_is_refused_with_value_row_count_and_what_to_do(column, array, value, row, count):
    told = f"column 'x' ({array.type}): {value} can't be trained on; first at row {row} of this part, {count} such in"
    with pytest.raises(BadInput, match=re.escape(told)) as error:
        column(array)
    assert "data.where" in str(error.value) and "data.pipeline" in str(error.value)


def test_rows_are_counted_over_batches(column):
    with pytest.raises(BadInput, match="first at row 5 of this part, 1 such in the 6 rows"):
        column(pa.array([0.0] * 4), pa.array([1.0, NAN]))


def test_nan_in_a_padded_sequence_is_told_by_its_row(column):
    with pytest.raises(BadInput, match="nan can't be trained on; first at row 2 .*1 such"):
        column(pa.array([[1.0], [], [1.0, NAN, NAN]]), length=2)


def test_a_double_that_float32_cannot_hold_is_told_as_it_came(column):
    with pytest.raises(BadInput, match=r"1e\+300 is larger than float32 can hold.*Scale"):
        column(pa.array([1.0, 1e300]))


@pytest.mark.parametrize(
    "array, hint",
    [
        (pa.array([datetime.date(2024, 1, 1)]), "dayofyear"),
        (pa.array([datetime.datetime(2024, 1, 1)]), "unix_timestamp"),
        (pa.array([{"a": 1}]), "VectorAssembler"),
        (pa.array([None]), "data.preprocess"),
    ],
)
def test_types_that_are_no_numbers_say_what_to_do(column, array, hint):
    with pytest.raises(BadInput, match=f"column 'x' .*can't be fed with this type; expected numbers.*{hint}"):
        column(array)


@pytest.mark.parametrize(
    "kinds, dtype",
    [
        ((pa.int32(), pa.int32()), np.int32),
        ((pa.int8(), pa.int64()), np.int64),
        ((pa.int64(), pa.float64()), np.float32),
        ((pa.bool_(), pa.bool_()), np.float32),
        ((pa.int32(), pa.bool_()), np.float32),
    ],
)
def test_several_columns_to_one_input_are_put_side_by_side_in_their_common_type(tmp_path, kinds, dtype):
    columns = (Column("a"), Column("b"), Column("c"))
    writer = SegmentWriter(tmp_path, Layout((Input("x", columns),), "y"))
    nested = pa.array([[[1, 0], [1, 1]], [[0, 0], [0, 1]]], pa.list_(pa.list_(pa.int32()))).cast(pa.list_(pa.list_(kinds[0])))
    writer.write(
        pa.record_batch(
            {"a": pa.array([0, 1]).cast(kinds[0]), "b": nested, "c": pa.array([1, 0]).cast(kinds[1]), "y": pa.array([0, 1])}
        )
    )
    filled = writer.close()
    shard = Shard(tmp_path, filled, agree([filled.to_json()]), 0, 0, (2,))
    assert shard.inputs["x"] == ((6,), dtype)
    batch = next(shard.epoch(0))
    assert batch.inputs["x"].dtype == dtype
    assert batch.inputs["x"][np.argsort(batch.label)].tolist() == [[0, 1, 0, 1, 1, 1], [1, 0, 0, 0, 1, 0]]


def test_a_column_that_did_not_come_is_named_with_those_that_did(tmp_path):
    writer = SegmentWriter(tmp_path, Layout((Input("x", (Column("size"),)),), "y"))
    with pytest.raises(BadInput, match=r"'size' is not.*\['sise', 'y'\]"):
        writer.write(pa.record_batch({"sise": pa.array([1]), "y": pa.array([1])}))


def test_a_column_that_makes_no_sense_is_refused_as_it_is_named():
    for words, told in (({"shape": (0,)}, "shape"), ({"length": 0}, "length"), ({"side": "left"}, "side"), ({"pad": NAN}, "pad")):
        with pytest.raises(ValueError, match=f"'x': {told} is"):
            Column("x", **words)


def test_a_layout_survives_json():
    layout = Layout((Input("x", (Column("a", (2, 3)), Column("b", None, 4, -1, "post"))),), "y", ("no", 1), "w", "v")
    assert Layout.from_json(layout.to_json()) == layout


def written(tmp_path, columns, batch):
    layout = Layout((Input("x", tuple(Column(name) for name in columns)),), "y", validation="v", order="o")
    rows = batch.num_rows
    for name, values in (("y", pa.array(range(rows), pa.int32())), ("v", pa.array([False] * rows)), ("o", pa.array(range(rows)))):
        batch = batch.append_column(name, values)
    writer = SegmentWriter(tmp_path / "rows", layout)
    writer.write(batch)
    return writer.close()


@pytest.mark.parametrize("columns", [("f", "id"), ("id", "f"), ("f", "other", "id"), ("other", "id", "f")])
def test_whole_numbers_that_lose_digits_beside_floats_are_refused(tmp_path, columns):
    batch = pa.record_batch(
        {"f": pa.array([0.5, 1.5, 2.5]), "id": pa.array([1 << 24, -(1 << 24), 16_777_841]), "other": pa.array([1, 2, 3])}
    )
    with pytest.raises(
        BadInput, match=r"'id' \(int64\): 16777841 loses digits as float32.*'x'.*at row 2 .*1 such.*input of its own"
    ):
        written(tmp_path, columns, batch)
    assert written(tmp_path / "less", columns, batch.slice(0, 2)).segments == [2]
    assert written(tmp_path / "alone", [name for name in columns if name != "f"], batch).segments == [3]


def test_a_row_that_can_t_be_trained_on_is_found_again_by_its_other_columns(tmp_path):
    batch = pa.record_batch(
        {"f": pa.array([0.5, 1.5, 2.5]), "bad": pa.array([1.0, NAN, NAN]), "v x": pa.array([[1.0], [2.0], [7.0]])}
    )
    with pytest.raises(BadInput) as refused:
        written(tmp_path, ("f", "bad", "v x"), batch)
    assert str(refused.value).endswith("To find it: WHERE `f` = 1.5 AND `bad` = double('nan') AND `y` = 1 AND `v x`[0] = 2.0")
    texts = pa.record_batch(
        {
            "s": pa.array(["it's", None]),
            "d": pa.array([decimal.Decimal("1.50"), None]),
            "b": pa.array([True, None]),
            "e": pa.array([[], None], pa.list_(pa.int64())),
            "w": pa.array(["x" * 99, None]),
            "hidden": pa.array([1, 2]),
        }
    )
    assert row_condition(texts, 0, ["hidden"]) == r"`s` = 'it\'s' AND `d` = 1.50 AND `b` = true"
    assert row_condition(texts, 1, ["hidden"]) == "`s` IS NULL AND `d` IS NULL AND `b` IS NULL AND `e` IS NULL AND `w` IS NULL"
