"""Segments stay on an executor's disks for its next task, until the disk is needed."""

from __future__ import annotations

import os
import time

import numpy
import pyarrow
import pytest

from sparktrain import feed
from sparktrain.cluster.disks.kept_rows import keep, make_room, segment_folders, take
from sparktrain.cluster.disks.local_disks import remove_left

LAYOUT = feed.Layout([feed.Input("x", [feed.Column("x")])], "y")


@pytest.fixture
def disks(tmp_path):
    """Two local dirs of an executor."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    return [tmp_path / "a", tmp_path / "b"]


def task(disks, name):
    """A task's folders, one on each disk."""
    folders = [disk / name for disk in disks]
    for folder in folders:
        folder.mkdir()
    return folders


def filled(folders, number=0.0) -> feed.Filled:
    writer = feed.SegmentWriter(feed.Disks([feed.Disk(each) for each in segment_folders(folders)]), LAYOUT, segment_bytes=64)
    rows = {"x": pyarrow.array(numpy.arange(50, dtype=numpy.float32) + number), "y": pyarrow.array(numpy.arange(50) % 2)}
    writer.write(pyarrow.record_batch(rows))
    return writer.close()


def values(folders, described: feed.Filled) -> list[float]:
    shard = feed.Shard(segment_folders(folders), described, feed.agree([described.to_json()]), part=0, seed=1, batch_sizes=[7])
    return sorted(float(value) for batch in shard.epoch(0) for value in batch.inputs["x"].ravel())


def test_the_next_task_has_the_same_rows_to_itself_on_all_disks(disks):
    one = task(disks, "one")
    described = filled(one)
    assert len({*described.places}) == 2, "they must be on both disks"
    expected = values(one, described)
    keep("abc", 1, os.getpid(), one, described)
    two, three = task(disks, "two"), task(disks, "three")
    assert take("other", 1, os.getpid(), two) is None and take("abc", 1, os.getpid() + 1, two) is None
    part, again = take("abc", 0, os.getpid(), two)
    assert (part, again) == (1, described) and values(two, again) == expected
    assert take("abc", 1, os.getpid(), three) is None, "the other task has them"


def test_of_several_parts_on_one_executor_each_task_takes_its_own(disks):
    for part in range(3):
        folders = task(disks, f"one-{part}")
        keep("abc", part, os.getpid(), folders, filled(folders, number=100.0 * part))
    for part in (2, 0, 1):
        folders = task(disks, f"two-{part}")
        taken, described = take("abc", part, os.getpid(), folders)
        assert taken == part and min(values(folders, described)) == 100.0 * part


def test_rows_of_which_a_disk_has_lost_its_share_are_not_taken(disks):
    one, two = task(disks, "one"), task(disks, "two")
    keep("abc", 0, os.getpid(), one, filled(one))
    [lost] = disks[1].glob("sparktrain-rows-*")
    lost.rename(disks[1] / "elsewhere")
    assert take("abc", 0, os.getpid(), two) is None
    assert not any(each.exists() for each in segment_folders(two)), "a task fills into empty folders"


def test_the_oldest_go_first_when_the_disk_is_needed_and_no_more_than_needed(disks):
    for number, token in enumerate(("old", "newer", "newest")):
        folders = task(disks, token)
        keep(token, 0, os.getpid(), folders, filled(folders))
        for kept in (path for disk in disks for path in disk.glob(f"sparktrain-rows-{token}-*")):
            os.utime(kept, (time.time() + number,) * 2)
    left = lambda: sorted({path.name.split("-")[2] for disk in disks for path in disk.glob("sparktrain-rows-*")})  # noqa: E731
    assert make_room(disks, lambda: len(left()) <= 1) and left() == ["newest"]
    assert not make_room(disks, lambda: False) and left() == []


def test_rows_that_a_run_has_just_used_again_go_after_those_filled_since(disks):
    described, now = {}, time.time()
    for age, token in ((200, "nightly"), (100, "filled since")):
        folders = task(disks, token)
        described[token] = filled(folders)
        keep(token, 0, os.getpid(), folders, described[token])
        for kept in (path for disk in disks for path in disk.glob(f"sparktrain-rows-{token}-*")):
            os.utime(kept, (now - age,) * 2)
    again = task(disks, "again")
    taken = take("nightly", 0, os.getpid(), again)
    assert taken is not None
    keep("nightly", 0, os.getpid(), again, taken[1])
    left = lambda: {path.name.split("-")[2] for disk in disks for path in disk.glob("sparktrain-rows-*")}  # noqa: E731
    assert make_room(disks, lambda: len(left()) <= 1) and left() == {"nightly"}


def test_a_full_disk_makes_room_for_a_segment_before_it_fails(disks):
    one = task(disks, "one")
    keep("abc", 0, os.getpid(), one, filled(one))
    full = feed.Disk(disks[0], spare=1 << 62)

    def make(enough) -> bool:
        assert not enough()
        full.spare = 0
        return make_room(disks, enough)

    assert feed.Disks([full], 0, make).take(100) == 0
    full.spare = 1 << 62
    with pytest.raises(OSError, match="no disk has room for 100 bytes"):
        feed.Disks([full], 0, lambda enough: make_room(disks, enough)).take(100)
    assert not list(disks[0].glob("sparktrain-rows-*"))


def test_they_go_with_their_executor(disks):
    gone = 2**22 + 1  # more than Linux gives
    one, two = task(disks, "one"), task(disks, "two")
    keep("abc", 0, gone, one, filled(one))
    keep("def", 0, os.getpid(), two, filled(two))
    remove_left(disks)
    assert {path.name.split("-")[2] for disk in disks for path in disk.glob("sparktrain-rows-*")} == {"def"}
