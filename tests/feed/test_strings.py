"""Strings and bytes: from Spark's columns to batches of Python's bytes, by way of the same segments as numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparktrain.feed import MORE_LABEL, BadInput, Column, Input, Layout, SegmentWriter, Shard, agree
from sparktrain.feed.segments import Segment


@pytest.mark.parametrize(
    "array",
    [
        pa.array(["grün", "", "a\0b"]),
        pa.array([b"\xff\x00", b"", b"PNG"]),
        pa.array(["a", "b"], pa.large_string()),
        pa.array(["not this", "a", "b", "nor this"]).slice(1, 2),
    ],
)
def test_a_column_of_strings_is_bytes_of_one_value_a_row(column, array):
    rows = column(array)
    assert rows.dtype == object and rows.shape == (len(array), 1)
    assert rows[:, 0].tolist() == [value.encode() if isinstance(value, str) else value for value in array.to_pylist()]


def test_arrays_of_strings_are_padded_with_empty_ones(column):
    rows = column(pa.array([["a"], [], ["b", "c", "d"]]), length=2, side="post")
    assert rows.tolist() == [[b"a", b""], [b"", b""], [b"b", b"c"]]
    assert column(pa.array([["a", "b"], ["c", "d"]])).tolist() == [[b"a", b"b"], [b"c", b"d"]]


@pytest.mark.parametrize(
    "array, words, told",
    [
        (pa.array(["a", None]), {}, "column 'x' (string): null can't be trained on; first at row 1"),
        (pa.array([["a"], [None]]), {}, "column 'x' (list<item: string>): null can't be trained on; first at row 1"),
        (pa.array([["a"], ["b", "c"]]), {}, "where the first has"),
        (pa.array([["a"]]), {"length": 2, "pad": 1}, "arrays of strings are padded with empty strings"),
        (pa.array(["a"]), {"length": 2}, "only arrays can be padded"),
    ],
)
def test_strings_that_cannot_be_fed_are_told_as_numbers_are(column, array, words, told):
    with pytest.raises(BadInput) as caught:
        column(array, **words)
    assert told in str(caught.value)


def written(folder, inputs, batch, **more):
    writer = SegmentWriter(folder, Layout(inputs, "y"), **more)
    writer.write(batch)
    return writer.close()


def test_strings_stand_beside_strings_in_an_input_and_not_beside_numbers(tmp_path):
    batch = pa.record_batch({"a": ["x", "y"], "b": [["p", "q"], ["r", "s"]], "n": [1, 2], "y": [0, 1]})
    filled = written(tmp_path / "both", (Input("x", (Column("a"), Column("b"))),), batch)
    shard = Shard(tmp_path / "both", filled, agree([filled.to_json()]), 0, 0, (2,))
    (rows,) = shard.epoch(0)
    assert rows.inputs["x"][np.argsort(rows.label)].tolist() == [[b"x", b"p", b"q"], [b"y", b"r", b"s"]]
    with pytest.raises(
        BadInput, match=r"input 'x' has columns of strings and of numbers: 'a' \(string\), 'n' \(int64\)\. Give each"
    ):
        written(tmp_path / "mixed", (Input("x", (Column("a"), Column("n"))),), batch)
    with pytest.raises(BadInput, match="label 'a' .*classes"):
        written(tmp_path / "label", (Input("n", (Column("n"),)), Input(MORE_LABEL + "a", (Column("a"),))), batch)


TEXTS = st.lists(st.text(max_size=40), min_size=1, max_size=120)


@settings(deadline=None, max_examples=40)
@given(TEXTS, st.integers(1, 50), st.integers(300, 5000), st.booleans())
def test_strings_of_any_length_are_put_in_order_and_none_is_lost(tmp_path_factory, texts, arriving, segment_bytes, reverse):
    """Through the memory of one segment, or through the spool; which rows share a segment doesn't depend on their arrival."""
    keys = np.random.default_rng(len(texts)).permutation(len(texts)) << 55
    segments = []
    for order in (slice(None), slice(None, None, -1)):
        folder = tmp_path_factory.mktemp("rows")
        inputs = (Input("text", (Column("text"),)), Input("pair", (Column("pair"),)), Input("key", (Column("key"),)))
        writer = SegmentWriter(folder, Layout(inputs, "y", order="key"), segment_bytes)
        for start in range(0, len(texts), arriving):
            some, own = texts[order][start : start + arriving], keys[order][start : start + arriving]
            writer.write(
                pa.record_batch(
                    {
                        "text": some,
                        "pair": [[each, str(key)] for each, key in zip(some, own)],
                        "key": own,
                        "y": own % 2,
                    }
                )
            )
        filled = writer.close()
        segments.append(filled.segments)
        got = [Segment(path) for path in sorted(Path(folder).iterdir())]
        assert all(path.suffix == ".arrow" for path in Path(folder).iterdir())
        rows = {
            name: np.concatenate([each.fields[f"input:{name}"].take(np.arange(each.rows)) for each in got])
            for name in ("text", "pair")
        }
        expected = [texts[number].encode() for number in np.argsort(keys)]
        assert rows["text"][:, 0].tolist() == expected and rows["pair"][:, 0].tolist() == expected
        assert rows["pair"][:, 1].tolist() == [str(key).encode() for key in np.sort(keys)]
    assert segments[0] == segments[1]


def test_segments_of_large_values_stay_within_their_size(tmp_path):
    """Images, say: a segment holds few, whatever its rows would be by numbers alone."""
    images = [bytes([number]) * 10_000 for number in range(100)]
    layout = Layout((Input("image", (Column("image"),)),), "y", order="key")
    writer = SegmentWriter(tmp_path, layout, segment_bytes=100_000)
    for number, image in enumerate(images):
        writer.write(pa.record_batch({"image": [image], "y": [number], "key": [number << 56 if number < 127 else 0]}))
    assert writer.row_bytes == pytest.approx(10_000, rel=0.1)
    filled = writer.close()
    assert len(filled.segments) >= 10 and max(path.stat().st_size for path in tmp_path.iterdir()) < 130_000
    shard = Shard(tmp_path, filled, agree([filled.to_json()]), 0, 0, (8,))
    for epoch in range(2):
        rows = {
            int(label): image for batch in shard.epoch(epoch) for label, image in zip(batch.label, batch.inputs["image"][:, 0])
        }
        assert rows == dict(enumerate(images))
