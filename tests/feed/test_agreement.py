from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pytest

from sparktrain.feed import BadInput, Column, Input, Layout, SegmentWriter, Shard, agree, agree_through


@pytest.fixture
def fill(tmp_path):
    def through(name: str, rows: list, **words):
        writer = SegmentWriter(tmp_path / name, Layout((Input("x", (Column("x", **words),)),), "y", validation="v"))
        if rows:
            marks = np.arange(len(rows)) >= 2
            writer.write(pa.record_batch({"x": pa.array(rows), "y": np.arange(len(rows)), "v": marks}))
        return writer.close()

    return through


def test_a_part_without_rows_takes_over_the_shapes_of_the_others(fill, tmp_path):
    filled = [fill("a", []), fill("b", [[1.0, 2.0]] * 3), fill("c", [[1.0, 2.0]] * 7)]
    agreement = agree([part.to_json() for part in filled])
    assert agreement["counts"] == [0, 2, 2] and agreement["validation_counts"] == [0, 1, 5]
    assert agreement["label_range"] == [0, 6]
    empty = Shard(tmp_path / "a", filled[0], agreement, 0, 0, (2, 2, 2))
    batches = list(empty.epoch(0))
    assert [len(batch.label) for batch in batches] == [0]
    assert batches[0].inputs["x"].shape == (0, 2) and batches[0].inputs["x"].dtype == np.float32
    assert batches[0].label.dtype == np.int64
    assert list(empty.validation(2)) == []


def test_parts_with_rows_of_different_shapes_are_told_apart(fill):
    parts = [fill("a", [[1.0, 2.0]]), fill("b", [[1.0]]), fill("c", []), fill("d", [[3.0, 4.0]])]
    with pytest.raises(BadInput) as error:
        agree([part.to_json() for part in parts])
    assert "column 'x': rows have different shapes: [2] of float32 in parts 0, 3; [1] of float32 in part 1" in str(error.value)
    assert "`length`" in str(error.value)


def through_a_gather(filled: list) -> tuple[list, list[list[str]]]:
    """What each part comes to that knows its own rows only, and what they told each other in each turn."""
    turns: list[list[str]] = [[None] * len(filled) for _ in range(2)]
    barrier = threading.Barrier(len(filled))

    def one(part: int):
        turn = iter(turns)

        def gather(value: str) -> list[str]:
            values = next(turn)
            values[part] = value
            barrier.wait(10)
            return values

        return agree_through(gather, part, filled[part])

    with ThreadPoolExecutor(len(filled)) as pool:
        asked = [pool.submit(one, part) for part in range(len(filled))]
        return [each.exception() or each.result() for each in asked], turns


def test_parts_that_know_only_their_own_rows_come_to_what_one_finds_that_knows_all(fill):
    alike = [fill("a", [[1.0, 2.0]] * 3), fill("b", [[1.0, 2.0]] * 7)]
    agreed, (_, second) = through_a_gather(alike)
    assert agreed == [agree([part.to_json() for part in alike])] * 2
    assert second == [None, None], "what the columns are is known to all"
    some_empty = [fill("c", []), *alike]
    agreed, (_, second) = through_a_gather(some_empty)
    assert agreed == [agree([part.to_json() for part in some_empty])] * 3
    assert second[1] and second[0] == second[2] == "", "one tells what the columns are"


def test_parts_that_differ_all_refuse_with_the_same_words(fill):
    parts = [fill("a", [[1.0, 2.0]]), fill("b", [[1.0]]), fill("c", []), fill("d", [[3.0, 4.0]])]
    agreed, _ = through_a_gather(parts)
    with pytest.raises(BadInput) as error:
        agree([part.to_json() for part in parts])
    assert [str(each) for each in agreed] == [str(error.value)] * 4


def test_no_training_rows_in_any_part_say_where_to_look(fill):
    with pytest.raises(BadInput, match="no training rows: all 2 parts are empty.*data.where.*data.sample"):
        agree([fill("a", []).to_json(), fill("b", []).to_json()])


def test_validation_rows_alone_are_no_training_rows(tmp_path):
    writer = SegmentWriter(tmp_path, Layout((Input("x", (Column("x"),)),), "y", validation="v"))
    writer.write(pa.record_batch({"x": [1.0], "y": [1], "v": [True]}))
    with pytest.raises(BadInput, match="no training rows.*with 1 validation rows"):
        agree([writer.close().to_json()])


def test_marks_that_are_not_true_or_false_are_refused(tmp_path):
    writer = SegmentWriter(tmp_path, Layout((Input("x", (Column("x"),)),), "y", validation="v"))
    with pytest.raises(BadInput, match="'v' .*marks validation rows: expected true or false in every row, 1 of 2"):
        writer.write(pa.record_batch({"x": [1.0, 2.0], "y": [1, 2], "v": [True, None]}))
