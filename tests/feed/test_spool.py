"""Rows in the order of their keys, whatever order they came in."""

from __future__ import annotations

import errno
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparktrain.feed import Column, Input, Layout, SegmentWriter
from sparktrain.feed.segments import Segment

KEYS = st.lists(
    st.one_of(
        st.integers(-(1 << 63), (1 << 63) - 1),
        st.sampled_from([-(1 << 63), (1 << 63) - 1, -1, 0, 1, 2, 1 << 60, (1 << 60) - 1]),  # and a few that many rows share
    ),
    min_size=1,
    max_size=300,
)


def write(folder, keys, *, arriving, segment_bytes, held_out=lambda keys: np.zeros(len(keys), bool), between=lambda: None):
    """Write rows that tell their key in three forms: of 8, of 1 and of 12 bytes."""
    inputs = tuple(Input(name, (Column(name),)) for name in ("whole", "odd", "three"))
    writer = SegmentWriter(folder, Layout(inputs, "y", validation="v", order="key"), segment_bytes)
    for start in range(0, len(keys), arriving):
        some = keys[start : start + arriving]
        writer.write(
            pa.record_batch(
                {
                    "whole": some,
                    "odd": some % 2 == 1,
                    "y": (some % 7).astype(np.int32),
                    "v": held_out(some),
                    "key": some,
                    "three": pa.FixedSizeListArray.from_arrays(np.repeat(some % 1000, 3).astype(np.float32), 3),
                }
            )
        )
    return writer.close(between)


def rows(folder, name):
    """The fields of all segments, one after another."""
    segments = [Segment(path) for path in sorted(Path(folder).glob(f"{name}-*.arrow"))]
    return {field: np.concatenate([segment.fields[field] for segment in segments]) for field in segments[0].fields}


@given(KEYS, st.integers(1, 50), st.integers(50, 3000))
def test_rows_come_in_the_order_of_their_keys_and_none_is_lost(keys, arriving, segment_bytes):
    with tempfile.TemporaryDirectory() as folder:
        keys = np.array(keys, np.int64)
        filled = write(folder, keys, arriving=arriving, segment_bytes=segment_bytes)
        assert all(path.suffix == ".arrow" for path in Path(folder).iterdir())
        got, expected = rows(folder, "training"), np.sort(keys)
        assert got["input:whole"].ravel().tolist() == expected.tolist()
        assert got["input:odd"].ravel().tolist() == (expected % 2 == 1).tolist()
        assert got["label"].tolist() == (expected % 7).tolist()
        assert (got["input:three"] == (expected % 1000).astype(np.float32)[:, None]).all()
        assert "order" not in got
        assert sum(filled.segments) == len(keys)
        with tempfile.TemporaryDirectory() as other:  # where a segment ends doesn't depend on the order of arrival
            again = write(other, keys[::-1], arriving=len(keys), segment_bytes=segment_bytes)
        assert again.segments == filled.segments


@pytest.mark.parametrize("segment_bytes", [500, 5000, 1 << 20])
def test_many_rows_may_share_few_keys(tmp_path, segment_bytes):
    keys = np.random.default_rng(7).integers(-100, 100, 5000)
    write(tmp_path, keys, arriving=300, segment_bytes=segment_bytes)
    assert rows(tmp_path, "training")["input:whole"].ravel().tolist() == np.sort(keys).tolist()


def test_rows_that_fit_into_memory_are_one_segment_and_touch_the_disk_once(tmp_path):
    keys, held = np.random.default_rng(7).integers(-(1 << 63), (1 << 63) - 1, 1000), []
    filled = write(
        tmp_path,
        keys,
        arriving=100,
        segment_bytes=1 << 20,
        held_out=lambda keys: keys % 5 == 0,
        between=lambda: held.append(sorted(path.name for path in tmp_path.iterdir())),
    )
    assert len(filled.segments) == len(filled.validation_segments) == 1
    assert held == [["training-00000.arrow"], ["training-00000.arrow", "validation-00000.arrow"]]
    assert rows(tmp_path, "training")["input:whole"].ravel().tolist() == np.sort(keys[keys % 5 != 0]).tolist()


def test_validation_rows_are_put_in_order_apart(tmp_path):
    keys = np.random.default_rng(7).integers(-(1 << 63), (1 << 63) - 1, 5000)
    filled = write(tmp_path, keys, arriving=700, segment_bytes=10_000, held_out=lambda keys: keys % 5 == 0)
    for name, own, counts in (
        ("training", keys[keys % 5 != 0], filled.segments),
        ("validation", keys[keys % 5 == 0], filled.validation_segments),
    ):
        assert rows(tmp_path, name)["input:whole"].ravel().tolist() == np.sort(own).tolist() and len(counts) >= 10


def test_the_disk_never_holds_the_rows_twice(tmp_path):
    """More rows than one file of the spool may hold at once; the files are deleted one after another."""
    keys = np.random.default_rng(7).integers(-(1 << 63), (1 << 63) - 1, 40_000)
    held = []
    filled = write(
        tmp_path,
        keys,
        arriving=5000,
        segment_bytes=20_000,
        between=lambda: held.append(sum(path.stat().st_size for path in tmp_path.iterdir())),
    )
    assert len(held) > 50 and max(held) < 1.4 * filled.bytes  # keys, and the heads of many small segments, included


@pytest.mark.parametrize("reserves", [True, False], ids=["when-room-is-reserved", "when-rows-are-written"])
def test_a_full_disk_is_told_with_what_must_fit_on_it(tmp_path, monkeypatch, reserves):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    def unable(*_):
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    class Full:
        def __init__(self, path, mode):
            self.tell = self.fileno = lambda: 0
            self.seek, self.write = id, full

        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

    monkeypatch.setattr("os.posix_fallocate", full if reserves else unable)
    monkeypatch.setattr("sparktrain.feed.spool.open", Full, raising=False)
    with pytest.raises(OSError, match="No space left") as caught:
        write(tmp_path, np.arange(100), arriving=10, segment_bytes=1000)
    free = shutil.disk_usage(tmp_path).free
    assert free and "All rows of a worker must fit into Spark's local directories" in caught.value.__notes__[0]
