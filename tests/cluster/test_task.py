"""What a task does of itself while it fills: a disk that is nearly full ends it before Spark is hurt."""

from __future__ import annotations

import errno
import os
import shutil
import threading
from collections import namedtuple
from types import SimpleNamespace

import pyarrow
import pytest

from sparktrain.cluster import task
from sparktrain.cluster.task import SPARE_DISK, ExecutorGone, _Attempt, _failure
from sparktrain.feed import BadInput, Column, Input, Layout
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
def attempt(tmp_path, monkeypatch):
    """An attempt as it is when it begins to fill, on a disk that has 100 bytes less free each time it's asked."""
    filling = object.__new__(_Attempt)   # its own start wants a barrier
    filling._task = SimpleNamespace(layout=LAYOUT.to_json(), rows=None)
    filling._folder, filling._client, filling._stop_reason = tmp_path, Client(), None
    free = iter(range(SPARE_DISK + 150, 0, -100))
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(1 << 40, 1, next(free)))
    return filling


def batches(count):
    for number in range(count):
        batches.taken = number + 1
        yield pyarrow.RecordBatch.from_pydict({"x": [1.0, 2.0], "y": [0, 1]})


def test_filling_ends_while_there_is_still_the_disk_that_spark_needs(attempt):
    """However quickly the rows come."""
    with pytest.raises(OSError) as caught:
        attempt._fill(batches(1000))
    assert caught.value.errno == errno.ENOSPC and batches.taken == 3


def test_filling_tells_how_far_it_came(attempt, monkeypatch):
    monkeypatch.setattr(task, "_TELL_EVERY", -1.0)
    with pytest.raises(OSError):
        attempt._fill(batches(1000))
    assert [message.rows for message in attempt._client.sent if isinstance(message, Filling)] == [2, 4, 6]


def test_a_full_disk_is_told_with_its_folder_host_and_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(1 << 40, 1, 250_000_000))
    failure = _failure(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), tmp_path)
    assert (failure.cause, failure.error) == ("input", "NoSpace")   # another attempt would fill it again
    host = os.uname().nodename
    for word in (str(tmp_path), "0.2 GB free", host, "spark.local.dir", "local-dirs", "more workers", "sample"):
        assert word in failure.message


def test_other_errors_keep_their_words_and_only_those_of_code_their_traceback(tmp_path):
    told = _failure(BadInput("column 'x'"), tmp_path)
    assert (told.cause, told.error, told.message, told.traceback) == ("input", "BadInput", "column 'x'", "")
    try:
        raise PermissionError(errno.EACCES, "not yours")
    except OSError as error:
        told = _failure(error, tmp_path)
    assert (told.cause, told.error) == ("code", "PermissionError") and "not yours" in told.traceback


def test_rows_that_break_off_are_the_loss_of_an_executor_and_no_fault_of_the_users_code(attempt, tmp_path):
    def broken():
        yield from batches(1)
        raise pyarrow.ArrowInvalid("Tried reading schema message, was null or length 0")   # as a killed JVM leaves it

    with pytest.raises(ExecutorGone) as caught:
        attempt._fill(broken())
    told = _failure(caught.value, tmp_path)
    assert (told.cause, told.traceback) == ("lost", "") and "broke off" in told.message


@pytest.mark.parametrize("neighbours, fits", [(1, True), (2, False)])
def test_rows_that_a_disk_cannot_hold_end_the_run_before_they_are_written(attempt, monkeypatch, neighbours, fits):
    """Of a million rows of 12 bytes each, which were counted before; workers on one host share its disk."""
    attempt._task.rows, attempt._neighbours = 1_000_000, neighbours
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(1 << 40, 1, SPARE_DISK + 20_000_000))
    if fits:
        attempt._check_disk(12_000_000)
        return
    with pytest.raises(OSError, match=r"2 worker\(s\) of 1,000,000 rows each need 0\.0 GB") as caught:
        attempt._fill(batches(1000))
    assert caught.value.errno == errno.ENOSPC and batches.taken == 1
    assert not list(attempt._folder.glob("segments/*"))
    assert "split: epochs each has all rows" in _failure(caught.value, attempt._folder).message


@pytest.mark.parametrize("own, expected", [
    (None, "glibc.malloc.hugetlb=1"),
    ("glibc.malloc.arena_max=2", "glibc.malloc.arena_max=2:glibc.malloc.hugetlb=1"),
    ("glibc.malloc.hugetlb=0", "glibc.malloc.hugetlb=0"),
])
def test_a_training_process_asks_for_huge_pages_unless_the_user_has_said_how(attempt, monkeypatch, own, expected):
    given = []

    def child(environment, *_):
        given.append(environment)
        return SimpleNamespace(wait=lambda: None)

    monkeypatch.setattr(task, "Child", child)
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    if own is not None:
        monkeypatch.setenv("GLIBC_TUNABLES", own)
    attempt._task.threads, attempt._gpus, attempt._starting = 1, [], threading.Lock()
    attempt._start_child()
    attempt._watcher.join()
    assert given[0]["GLIBC_TUNABLES"] == expected
