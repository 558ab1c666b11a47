"""What a task does of itself while it fills: a disk that is nearly full ends it before Spark is hurt."""

from __future__ import annotations

import errno
import json
import os
import shutil
import socket
import threading
from collections import namedtuple
from pathlib import Path
from types import SimpleNamespace

import pyarrow
import pytest

from sparktrain.cluster import task
from sparktrain.cluster.local_disks import Spare
from sparktrain.cluster.short_path import forget, shorten
from sparktrain.cluster.task import ExecutorGone, _Attempt, _failure
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
def attempt(tmp_path):
    """An attempt as it is when it begins to fill."""
    filling = object.__new__(_Attempt)  # its own start wants a barrier
    filling._task = SimpleNamespace(layout=LAYOUT.to_json(), rows=None)
    filling._folder, filling._client, filling._stop_reason = tmp_path, Client(), None
    return filling


def disks(folder, free, monkeypatch, workers=1):
    """One disk of the folder, of which so many bytes may still be written."""
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(1 << 40, 1, 1000 + free))
    return Disks([Disk(folder, 1000, workers)])


def batches(count):
    for number in range(count):
        batches.taken = number + 1
        yield pyarrow.RecordBatch.from_pydict({"x": [1.0, 2.0], "y": [0, 1]})


def test_filling_ends_while_there_is_still_the_disk_that_spark_needs(attempt, tmp_path, monkeypatch):
    """Rows that were not counted: they are refused when they are written."""
    with pytest.raises(OSError) as caught:
        attempt._fill(batches(1000), disks(tmp_path, 1000 * 2 * 8 - 1, monkeypatch))
    assert caught.value.errno == errno.ENOSPC and not list(tmp_path.iterdir())


def test_filling_tells_how_far_it_came(attempt, tmp_path, monkeypatch):
    monkeypatch.setattr(task, "_TELL_EVERY", -1.0)
    with pytest.raises(OSError):
        attempt._fill(batches(3), disks(tmp_path, 10, monkeypatch))
    assert [message.rows for message in attempt._client.sent if isinstance(message, Filling)] == [2, 4, 6]


def test_a_full_disk_is_told_with_its_folders_host_and_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(1 << 40, 1, 250_000_000))
    failure = _failure(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), [tmp_path / "a", tmp_path / "b"])
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
    told = _failure(BadInput("column 'x'"), [tmp_path])
    assert (told.cause, told.error, told.message, told.traceback) == ("input", "BadInput", "column 'x'", "")
    try:
        raise PermissionError(errno.EACCES, "not yours")
    except OSError as error:
        told = _failure(error, [tmp_path])
    assert (told.cause, told.error) == ("code", "PermissionError") and "not yours" in told.traceback


def test_rows_that_break_off_are_the_loss_of_an_executor_and_no_fault_of_the_users_code(attempt, tmp_path):
    def broken():
        yield from batches(1)
        raise pyarrow.ArrowInvalid("Tried reading schema message, was null or length 0")  # as a killed JVM leaves it

    with pytest.raises(ExecutorGone) as caught:
        attempt._fill(broken(), Disks([Disk(tmp_path)]))
    told = _failure(caught.value, [tmp_path])
    assert (told.cause, told.traceback) == ("lost", "") and "broke off" in told.message


@pytest.mark.parametrize("workers, fits", [(1, True), (2, False)])
def test_rows_that_the_disks_cannot_hold_end_the_run_before_they_are_written(attempt, tmp_path, monkeypatch, workers, fits):
    """Of a million rows of 8 bytes each, which were counted before; workers on one host share its disks."""
    attempt._task.rows, room = 1_000_000, disks(tmp_path, 10_000_000, monkeypatch, workers)
    if fits:
        attempt._check_room(8_000_000, room)
        return
    with pytest.raises(OSError, match=r"1,000,000 rows need 0\.0 GB") as caught:
        attempt._fill(batches(1000), room)
    assert caught.value.errno == errno.ENOSPC and batches.taken == 1
    assert not list(tmp_path.iterdir())
    assert "split: epochs each has all rows" in _failure(caught.value, [tmp_path]).message


class Gathered:
    """The client's side of a gather in which other workers' values are known."""

    def __init__(self, *others):
        self._others = others

    def gather(self, value):
        return [*self._others, value]


def test_each_disk_is_shared_with_the_workers_of_this_host_that_have_it_too(attempt, tmp_path):
    device = str(tmp_path.stat().st_dev)
    attempt._client = Gathered(json.dumps(["here", [device]]), json.dumps(["here", ["another"]]), json.dumps(["there", [device]]))
    attempt._host, attempt._folders, attempt._before = "here", [tmp_path], 2
    attempt._task.spare = Spare(0)
    (tmp_path / "segments").mkdir()
    free = shutil.disk_usage(tmp_path).free
    assert attempt._disks().room == pytest.approx(free / 2, rel=0.05)


@pytest.fixture
def started(attempt, monkeypatch, tmp_path):
    """Starts the training process of a task with one core, and returns its environment."""

    def start(omp_threads: str | None = None, folder=tmp_path) -> dict[str, str]:
        given = []

        def child(environment, *_):
            given.append(environment)
            return SimpleNamespace(wait=lambda: None)

        monkeypatch.setattr(task, "Child", child)
        attempt._task.threads, attempt._task.omp_threads, attempt._task.token = 1, omp_threads, ""
        attempt._task.code, attempt._task.files = None, ()
        attempt._gpus, attempt._starting, attempt._temporary = [], threading.Lock(), shorten(folder)
        attempt._start_child()
        attempt._watcher.join()
        return given[0]

    return start


@pytest.mark.parametrize(
    "own, expected",
    [
        (None, "glibc.malloc.hugetlb=1"),
        ("glibc.malloc.arena_max=2", "glibc.malloc.arena_max=2:glibc.malloc.hugetlb=1"),
        ("glibc.malloc.hugetlb=0", "glibc.malloc.hugetlb=0"),
    ],
)
def test_a_training_process_asks_for_huge_pages_unless_the_user_has_said_how(started, monkeypatch, own, expected):
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    if own is not None:
        monkeypatch.setenv("GLIBC_TUNABLES", own)
    assert started()["GLIBC_TUNABLES"] == expected


def test_a_training_process_has_its_cores_threads_unless_the_user_has_said_how_many(started, monkeypatch):
    """Spark sets OMP_NUM_THREADS by itself, so what is in a task's environment says nothing."""
    for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    threads = started()
    assert [threads[name] for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")] == ["1"] * 3
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "3")
    own = started(omp_threads="4")
    assert (own["OMP_NUM_THREADS"], own["TF_NUM_INTRAOP_THREADS"], own["TF_NUM_INTEROP_THREADS"]) == ("4", "3", "1")


def test_unix_sockets_fit_into_the_temporary_folder_however_long_the_clusters_folders_are(started, tmp_path):
    """As multiprocessing.Manager's, which names it pymp-xxxxxxxx/listener-xxxxxxxx."""
    folder = tmp_path / ("a" * 90) / ("b" * 90)
    folder.mkdir(parents=True)
    temporary = started(folder=folder)["TMPDIR"]
    at = os.path.join(temporary, "pymp-12345678")
    os.mkdir(at)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{at}/listener-12345678")
    assert (folder / "pymp-12345678" / "listener-12345678").exists(), "what is in it lies on the cluster's own disk"
    assert os.stat(os.path.dirname(temporary)).st_mode & 0o77 == 0
    forget(Path(temporary), folder)
    assert not os.path.lexists(os.path.dirname(temporary)) and folder.is_dir()


def test_a_short_folder_keeps_its_own_name(tmp_path):
    short = Path("/tmp/x")
    assert shorten(short) == short
    forget(short, short)
