"""The training process: what it prints is relayed, how it ends is told, and it never outlives its task."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from sparktrain.cluster.child import Child, describe_exit
from sparktrain.interfaces.messages import Failure, Log

ROOT = Path(__file__).resolve().parent.parent.parent


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}


def gone(pid: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.real
def test_a_child_that_is_killed_from_outside_is_a_lost_worker(tmp_path):
    told = []
    child = Child(environment(), told.append, str(tmp_path))
    os.kill(child.pid, signal.SIGKILL)
    outcome = child.wait()
    assert isinstance(outcome, Failure) and outcome.cause == "lost"
    assert "SIGKILL" in outcome.message and "memory" in outcome.message


@pytest.mark.real
def test_a_child_that_we_kill_is_no_cause(tmp_path):
    child = Child(environment(), lambda message: None, str(tmp_path))
    child.kill("rank 1 failed")
    assert child.wait() == Failure("echo", "Stopped", "rank 1 failed")


@pytest.mark.real
def test_what_a_child_prints_is_relayed_and_told_again_when_it_ends_in_silence(tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import os\nprint('the last words', flush=True)\nos.abort()\n")
    told = []
    child = Child({**environment(), "PYTHONPATH": f"{tmp_path}:{ROOT}"}, told.append, str(tmp_path))
    outcome = child.wait()
    assert Log("the last words") in told
    assert "the last words" in outcome.traceback and "SIGABRT" in outcome.message


@pytest.mark.real
def test_no_child_outlives_a_task_that_is_killed(tmp_path):
    code = (
        "import os, sys, time; from sparktrain.cluster.child import Child;"
        "child = Child(dict(os.environ), lambda message: None, sys.argv[1]); print(child.pid, flush=True); time.sleep(60)"
    )
    task = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], env=environment(), stdout=subprocess.PIPE, text=True)
    pid = int(task.stdout.readline())
    assert psutil.pid_exists(pid)
    time.sleep(1)   # while it imports TensorFlow
    task.kill()
    task.wait()
    assert gone(pid, 5)


def test_an_exit_that_nobody_explained_says_where_to_look():
    assert "exit status 3" in describe_exit(3)
    assert "SIGSEGV" in describe_exit(-signal.SIGSEGV) and "native code" in describe_exit(-signal.SIGSEGV)
