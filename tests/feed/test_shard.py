from __future__ import annotations

import json
import math
import os

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sparktrain.feed import Shard, order
from sparktrain.feed.filled import segment_path
from sparktrain.feed.segments import Segment

several = st.lists(st.tuples(st.integers(0, 120), st.integers(0, 20), st.integers(1, 17)), min_size=1, max_size=3)


def whole(batch) -> np.ndarray:
    """The numbers of a batch's rows, after a look whether each row is still whole."""
    rows = batch.inputs["row"][:, 0]
    assert (batch.inputs["x"] == rows[:, None]).all()
    assert (batch.label == rows % 10).all() and (batch.weight == rows).all()
    return rows


@pytest.mark.parametrize("run", [1, 5])
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(several, st.integers(1, 4), st.integers(1, 40), st.sampled_from([2, 300]))
def test_every_row_is_in_an_epoch_once_for_any_counts_batches_segments_and_windows(
    parts, monkeypatch, run, given_parts, segment_rows, arriving, width
):
    monkeypatch.setattr(order, "run_length", lambda *_: run)
    counts, validation, sizes = zip(*given_parts)
    if not sum(counts):
        counts = (1, *counts[1:])
    shards = parts(
        counts, sizes, validation=validation, arriving=arriving, width=width, segment_bytes=segment_rows * 4 * (4 * width + 16)
    )
    seen = []
    for part, shard in enumerate(shards):
        assert (shard.rows, shard.validation_rows) == (counts[part], validation[part])
        for epoch in (0, 1):
            batches = [whole(batch) for batch in shard.epoch(epoch)]
            assert [len(rows) for rows in batches] == list(shard.schedule.sizes(part))
            rows = sorted(np.concatenate(batches).tolist())
            assert len(set(rows)) == len(rows) == counts[part]
        held_out = [whole(batch) for batch in shard.validation(sizes[part])]
        assert all(len(rows) == sizes[part] for rows in held_out[:-1])
        seen += rows + [row for batch in held_out for row in batch.tolist()]
        assert [row for batch in held_out for row in batch] == sorted(row for batch in held_out for row in batch)
    assert sorted(seen) == list(range(sum(counts) + sum(validation)))


def numbers(shard: Shard, epoch: int) -> list[int]:
    return [row for batch in shard.epoch(epoch) for row in whole(batch).tolist()]


def test_the_same_rows_give_the_same_batches_in_every_attempt_and_process(parts):
    (first,) = parts([5000], [64], segment_bytes=20_000)
    # Another attempt: other Spark batches, another folder, and a shard that travelled as JSON.
    (second,) = parts([5000], [64], segment_bytes=20_000, arriving=777)
    second = Shard.from_json(json.loads(json.dumps(second.to_json())))
    for one, other in zip(first.epoch(3), second.epoch(3)):
        assert one.inputs["x"].tobytes() == other.inputs["x"].tobytes() and (one.label == other.label).all()


def test_every_epoch_and_seed_mixes_the_rows_anew_over_all_segments_of_a_window(parts):
    (shard,) = parts([5000], [64], segment_bytes=80_000)
    (other,) = parts([5000], [64], segment_bytes=80_000, seed=8)
    assert len(shard.filled.segments) == 2
    # In which batch each row is; within a batch the order means nothing.
    batches = [np.argsort(numbers(*which)) // 64 for which in ((shard, 0), (shard, 1), (other, 0))]
    batches.append(np.arange(5000))
    for index, one in enumerate(batches):
        for two in batches[:index]:
            assert abs(np.corrcoef(one, two)[0, 1]) < 0.1


def test_more_segments_than_a_window_come_in_a_new_order_every_epoch(parts):
    (shard,) = parts([5000], [64], segment_bytes=20_000)
    assert len(shard.filled.segments) >= 8
    assert numbers(shard, 0) != numbers(shard, 1)
    assert set(numbers(shard, 0)[:1000]) != set(numbers(shard, 1)[:1000])


def test_memory_stays_with_the_window_and_nothing_stays_mapped(parts, monkeypatch):
    (shard,) = parts([5000], [64], segment_bytes=20_000, validation=[500])
    monkeypatch.setattr(order, "run_length", lambda *_: 3)

    def mapped() -> int:
        with open("/proc/self/maps") as maps:
            return sum(str(shard.folders[0]) in line for line in maps)

    most, kept = 0, []
    for batch in shard.epoch(0):
        kept.append(batch)  # batches outlive the segments
        most = max(most, mapped())
    assert 0 < most <= 4 and mapped() == 0
    list(shard.validation(64))
    assert mapped() == 0
    early = shard.epoch(1)
    next(early)
    assert mapped() > 0
    early.close()
    assert mapped() == 0
    assert sorted(row for batch in kept for row in whole(batch).tolist()) == sorted(numbers(shard, 0))
    assert not [name for name in os.listdir("/proc/self/fd") if _target(name).startswith(str(shard.folders[0]))]


def _target(name: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{name}")
    except OSError:
        return ""


def test_a_segment_whose_rows_are_still_looked_at_is_not_unmapped_silently(parts):
    (shard,) = parts([100], [10])
    segment = Segment(segment_path(shard.folders[0], 0))
    view = segment.fields["label"]
    with pytest.raises(BufferError):
        segment.close()
    del view
    segment.close()


def test_segments_are_plain_arrow_files_no_larger_than_asked(parts):
    (shard,) = parts([3000], [10], segment_bytes=30_000, validation=[300])
    files = sorted(shard.folders[0].iterdir())
    assert max(file.stat().st_size for file in files) < 30_000 + 3_000  # rows, and the file's own frame
    assert sum(file.stat().st_size for file in files) == shard.filled.bytes
    table = pa.ipc.open_file(segment_path(shard.folders[0], 0)).read_all()
    assert table["input:x"].to_pylist()[5] == [table["weight"].to_pylist()[5]] * 2
    assert table.schema.field("input:x").metadata == {b"shape": b"[2]", b"dtype": b"float32"}


def test_what_a_batch_holds_is_its_own(parts):
    (shard,) = parts([100], [10])
    for batch in shard.epoch(0):
        for array in (*batch.inputs.values(), batch.label, batch.weight):
            assert array.flags.writeable
            array[...] = 0
    assert sorted(numbers(shard, 0)) == list(range(100))


def test_small_batches_cost_little(parts):
    import time

    (shard,) = parts([64_000], [64], segment_bytes=1 << 20)
    list(shard.epoch(0))
    took = math.inf
    for _ in range(3):
        began = time.process_time()
        batches = sum(1 for _ in shard.epoch(1))
        took = min(took, (time.process_time() - began) / batches)
    assert took < 100e-6
