"""Rows are spread over all disks that a worker has, in proportion to their room, and end before one is full."""

from __future__ import annotations

import errno
import shutil
from collections import Counter, namedtuple

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparktrain.feed import Column, Disk, Disks, Input, Layout, SegmentWriter, Shard, agree
from sparktrain.feed.disks import choose

Usage = namedtuple("Usage", "total used free")
SIZE = 64


def filled(rooms, workers, files):
    """What each worker has written to each disk once all have written as many files, in turns."""
    written = [[0] * len(rooms) for _ in range(workers)]
    for _ in range(files):
        for worker, own in enumerate(written):
            free = [room - sum(other[disk] for other in written) for disk, room in enumerate(rooms)]
            disk = choose(SIZE, free, own, [workers] * len(rooms), worker)
            if disk is None:
                return written, False
            own[disk] += SIZE
    return written, True


@pytest.mark.parametrize("workers", [1, 3, 4, 8])
def test_workers_that_start_together_start_on_different_disks_and_use_all_of_them(workers):
    first, _ = filled([100_000, 100_100, 99_900, 100_050], workers, 1)
    begun = Counter(own.index(SIZE) for own in first)
    assert len(begun) == min(workers, 4) and max(begun.values()) == -(-workers // 4)
    written, _ = filled([100_000, 100_100, 99_900, 100_050], workers, 40)
    assert all(set(own) == {10 * SIZE} for own in written)


def test_a_larger_disk_takes_more_in_proportion():
    (written,), _ = filled([100_000, 300_000], 1, 100)
    assert written[0] / SIZE == pytest.approx(25, abs=1)


@given(st.lists(st.integers(0, 2000), min_size=1, max_size=5), st.integers(1, 5))
def test_no_disk_is_overfilled_and_none_is_refused_while_a_disk_has_room(rooms, workers):
    written, _ = filled(rooms, workers, 200)
    free = [room - sum(own[disk] for own in written) for disk, room in enumerate(rooms)]
    assert min(free) >= 0 and max(free) < SIZE


def test_a_disk_that_fewer_workers_share_takes_more_of_each():
    assert choose(SIZE, [10_000, 10_000], [1000, 1000], [1, 2], 0) == 0


def write(disks, keys, segment_bytes=4000):
    layout = Layout((Input("x", (Column("x"),)),), "y", validation="v", order="key")
    writer = SegmentWriter(disks, layout, segment_bytes)
    for start in range(0, len(keys), 1000):
        some = keys[start : start + 1000]
        writer.write(pa.record_batch({"x": some, "y": (some % 7).astype(np.int32), "v": some % 5 == 0, "key": some}))
    return writer.close()


def test_segments_on_several_disks_give_the_batches_that_those_on_one_give(tmp_path):
    keys = np.random.default_rng(7).integers(-(1 << 63), (1 << 63) - 1, 20_000)
    folders = [tmp_path / name for name in "abc"]
    spread, alone = write(Disks([Disk(each) for each in folders], first=1), keys), write(tmp_path / "alone", keys)
    counts = [len(list(each.glob("*.arrow"))) for each in folders]
    assert sum(counts) == len(spread.segments) + len(spread.validation_segments) and max(counts) - min(counts) <= 10
    assert not [path for each in folders for path in each.iterdir() if path.suffix != ".arrow"]
    assert (spread.segments, spread.validation_segments) == (alone.segments, alone.validation_segments)
    agreement = agree([spread.to_json()])
    shards = [Shard(folders, spread, agreement, 0, 7, (64,)), Shard(tmp_path / "alone", alone, agreement, 0, 7, (64,))]
    for batches in zip(Shard.from_json(shards[0].to_json()).epoch(1), shards[1].epoch(1), strict=True):
        assert (batches[0].inputs["x"] == batches[1].inputs["x"]).all()
    for batches in zip(*(shard.validation(64) for shard in shards), strict=True):
        assert (batches[0].inputs["x"] == batches[1].inputs["x"]).all()


@pytest.fixture
def small(tmp_path, monkeypatch):
    """Two disks, folders of the test's, of 100 KB and 300 KB."""
    sizes = {tmp_path / "a": 100_000, tmp_path / "b": 300_000}

    def usage(folder):
        used = sum(path.stat().st_size for path in folder.iterdir())
        return Usage(sizes[folder], used, sizes[folder] - used)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    return list(sizes)


def test_rows_that_fit_on_all_disks_together_only_are_filled_and_each_keeps_what_is_spared(small):
    spare = 20_000
    keys = np.random.default_rng(7).integers(-(1 << 63), (1 << 63) - 1, 15_000)
    filled = write(Disks([Disk(each, spare) for each in small]), keys)
    free = [shutil.disk_usage(each).free for each in small]
    assert filled.bytes > 230_000 and min(free) >= spare - 4000, free  # a file is larger than its rows by its head


def test_filling_ends_before_the_disks_are_full(small):
    spare = 20_000
    keys = np.random.default_rng(7).integers(-(1 << 63), (1 << 63) - 1, 40_000)
    with pytest.raises(OSError) as caught:
        write(Disks([Disk(each, spare) for each in small]), keys)
    assert caught.value.errno == errno.ENOSPC
    assert all(shutil.disk_usage(each).free >= spare - 4000 for each in small)
