"""What a task gives to its training process: threads, huge pages, a temporary folder, and what was asked of it."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from sparktrain.cluster import task
from sparktrain.cluster.disks.short_path import forget, shorten
from sparktrain.cluster.task import _Attempt
from sparktrain.interfaces.training_spec import Output


@pytest.fixture
def attempt(tmp_path):
    """An attempt as it is when it starts its training process."""
    filling = object.__new__(_Attempt)  # its own start wants a barrier
    filling._assignment = SimpleNamespace()
    filling._folder, filling._client, filling._stop_reason = tmp_path, SimpleNamespace(send=lambda message: None), None
    filling._child, filling._end_reason = None, None
    return filling


@pytest.fixture
def started(attempt, monkeypatch, tmp_path):
    """Starts the training process of a task with one core, and returns its environment."""

    attempt._starting = threading.Lock()

    def start(omp_threads: str | None = None, folder=tmp_path) -> dict[str, str]:
        given = []

        def child(environment, *_):
            given.append(environment)
            return SimpleNamespace(wait=lambda: None, end_epoch=attempt.asked.append)

        monkeypatch.setattr(task, "Child", child)
        attempt._assignment.threads, attempt._assignment.omp_threads = 1, omp_threads
        attempt._assignment.spec = SimpleNamespace(output=Output(""))
        attempt._assignment.code, attempt._assignment.files, attempt._assignment.warm_minutes = None, (), None
        attempt._gpus, attempt._temporary, attempt.asked = [], shorten(folder), []
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


def test_a_training_process_hears_what_was_asked_before_it_started_and_what_is_asked_while_it_trains(started, attempt):
    attempt._end_epoch("asked early")
    started()
    assert attempt.asked == ["asked early"]
    attempt._end_epoch("asked late")
    for thread in threading.enumerate():
        if thread.name == "child-end-epoch":
            thread.join(10)
    assert attempt.asked == ["asked early", "asked late"]


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
