"""A task fills its disks as long as there is room: a disk that is nearly full ends it before Spark is hurt."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections import namedtuple

import pyarrow
import pytest

from sparktrain.cluster import task_rows
from sparktrain.cluster.assignment import Assignment
from sparktrain.cluster.disks.local_disks import Spare
from sparktrain.cluster.task_failure import ExecutorGone, RowsUnread, failure_of
from sparktrain.cluster.task_rows import TaskRows
from sparktrain.feed import BadInput, Column, Disk, Disks, Input, Layout
from sparktrain.interfaces.messages import Filling

Usage = namedtuple("Usage", "total used free")
LAYOUT = Layout((Input("x", (Column("x"),)),), "y", None, None, None)


class Client:
    """Stands where the channel's client does."""

    def __init__(self):
        self.sent = []

    def send(self, message):
        self.sent.append(message)


@pytest.fixture
def fill(tmp_path):
    """Fills as a task does, and returns what the driver was told."""

    def fill(batches, disks, rows=None) -> list:
        client = Client()
        assignment = Assignment(spec=None, launch=None, layout=LAYOUT.to_json(), threads=1, spare=Spare(0), rows=rows)
        try:
            TaskRows(assignment, [tmp_path], 0, None).fill(batches, disks, client, lambda: None)
        finally:
            fill.told = client.sent
        return client.sent

    return fill


def disks(folder, free, monkeypatch, workers=1):
    """One disk of the folder, of which so many bytes may still be written."""
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(1 << 40, 1, 1000 + free))
    return Disks([Disk(folder, 1000, workers)])


def batches(count):
    for number in range(count):
        batches.taken = number + 1
        yield pyarrow.RecordBatch.from_pydict({"x": [1.0, 2.0], "y": [0, 1]})


def test_filling_ends_while_there_is_still_the_disk_that_spark_needs(fill, tmp_path, monkeypatch):
    """Rows that were not counted: they are refused when they are written."""
    with pytest.raises(OSError) as caught:
        fill(batches(1000), disks(tmp_path, 1000 * 2 * 8 - 1, monkeypatch))
    assert caught.value.errno == errno.ENOSPC and not list(tmp_path.iterdir())


def test_filling_tells_how_far_it_came(fill, tmp_path, monkeypatch):
    monkeypatch.setattr(task_rows, "_TELL_EVERY", -1.0)
    with pytest.raises(OSError):
        fill(batches(3), disks(tmp_path, 10, monkeypatch))
    assert [message.rows for message in fill.told if isinstance(message, Filling)] == [2, 4, 6]


def test_a_full_disk_is_told_with_its_folders_host_and_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(1 << 40, 1, 250_000_000))
    failure = failure_of(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), [tmp_path / "a", tmp_path / "b"])
    assert (failure.cause, failure.error) == ("input", "NoSpace")  # another attempt would fill it again
    host = os.uname().nodename
    for word in (
        f"{tmp_path}/a (0.2 GB free), {tmp_path}/b (0.2 GB free)",
        host,
        "cluster.spare_disk",
        "spark.local.dir",
        "local-dirs",
        "more workers",
        "sample",
    ):
        assert word in failure.message


def test_other_errors_keep_their_words_and_only_those_of_code_their_traceback(tmp_path):
    told = failure_of(BadInput("column 'x'"), [tmp_path])
    assert (told.cause, told.error, told.message, told.traceback) == ("input", "BadInput", "column 'x'", "")
    try:
        raise PermissionError(errno.EACCES, "not yours")
    except OSError as error:
        told = failure_of(error, [tmp_path])
    assert (told.cause, told.error) == ("code", "PermissionError") and "not yours" in told.traceback


def test_rows_that_break_off_are_the_loss_of_an_executor_and_no_fault_of_the_users_code(fill, tmp_path):
    def broken():
        yield from batches(1)
        raise pyarrow.ArrowInvalid("Tried reading schema message, was null or length 0")  # as a killed JVM leaves it

    with pytest.raises(ExecutorGone) as caught:
        fill(broken(), Disks([Disk(tmp_path)]))
    told = failure_of(caught.value, [tmp_path])
    assert (told.cause, told.traceback) == ("lost", "") and "broke off" in told.message


@pytest.mark.parametrize("workers, fits", [(1, True), (2, False)])
def test_rows_that_the_disks_cannot_hold_end_the_run_before_they_are_written(fill, tmp_path, monkeypatch, workers, fits):
    """Of a million rows of 12 bytes each, which were counted before; workers on one host share its disks."""
    room = disks(tmp_path, 15_000_000, monkeypatch, workers)
    if fits:
        assert fill(batches(1000), room, rows=1_000_000)[-1].rows == 2000
        return
    with pytest.raises(OSError, match=r"1,000,000 rows need 0\.0 GB") as caught:
        fill(batches(1000), room, rows=1_000_000)
    assert caught.value.errno == errno.ENOSPC and batches.taken == 1
    assert not list(tmp_path.iterdir())
    assert "split: epochs each has all rows" in failure_of(caught.value, [tmp_path]).message


class Gathered:
    """The client's side of a gather in which other workers' values are known."""

    def __init__(self, *others):
        self._others = others

    def gather(self, value):
        return [*self._others, value]


def test_each_disk_is_shared_with_the_workers_of_this_host_that_have_it_too(tmp_path):
    device = str(tmp_path.stat().st_dev)
    client = Gathered(json.dumps(["here", [device]]), json.dumps(["here", ["another"]]), json.dumps(["there", [device]]))
    (tmp_path / "segments").mkdir()
    free = shutil.disk_usage(tmp_path).free
    assignment = Assignment(spec=None, launch=None, layout=LAYOUT.to_json(), threads=1, spare=Spare(0))
    assert TaskRows(assignment, [tmp_path], 0, None).disks(client, "here", 2).room == pytest.approx(free / 2, rel=0.05)


def test_rows_that_the_storage_has_are_read_by_the_task_and_what_spark_sends_is_none(tmp_path):
    def read(part, folder):
        assert (part, folder) == (3, tmp_path)
        yield from batches(3)

    client = Client()
    assignment = Assignment(spec=None, launch=None, layout=LAYOUT.to_json(), threads=1, spare=Spare(0), read=read)
    rows = TaskRows(assignment, [tmp_path], 3, None)
    rows.fill(iter([]), Disks([Disk(tmp_path)]), client, lambda: None)
    assert rows.filled.rows == 6 and client.sent[-1].rows == 6


def test_a_storage_that_fails_while_rows_are_read_is_a_loss_and_no_fault_of_the_users_code(tmp_path):
    def read(part, folder):
        yield from batches(1)
        raise pyarrow.ArrowInvalid("Parquet magic bytes not found in footer")

    assignment = Assignment(spec=None, launch=None, layout=LAYOUT.to_json(), threads=1, spare=Spare(0), read=read)
    with pytest.raises(RowsUnread) as caught:
        TaskRows(assignment, [tmp_path], 0, None).fill(iter([]), Disks([Disk(tmp_path)]), Client(), lambda: None)
    told = failure_of(caught.value, [tmp_path])
    assert (told.cause, told.traceback) == ("lost", "") and "stored rows can't be read (ArrowInvalid: Parquet" in told.message
