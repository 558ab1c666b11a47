"""The training process: what it prints is relayed, how it ends is told, and it never outlives its task."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import psutil
import pytest

from sparktrain.cluster.processes.child import Child, describe_exit
from sparktrain.cluster.processes.output_lines import LONGEST
from sparktrain.cluster.processes.process import start_afresh
from sparktrain.interfaces.messages import Failure, Finished, Log, Phase, encode

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
        "import os, sys, time; from sparktrain.cluster.processes.child import Child;"
        "child = Child(dict(os.environ), lambda message: None, sys.argv[1]); print(child.pid, flush=True); time.sleep(60)"
    )
    task = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], env=environment(), stdout=subprocess.PIPE, text=True)
    pid = int(task.stdout.readline())
    assert psutil.pid_exists(pid)
    time.sleep(1)  # while it imports TensorFlow
    task.kill()
    task.wait()
    assert gone(pid, 5)


def test_an_exit_that_nobody_explained_says_where_to_look():
    assert "exit status 3" in describe_exit(3)
    assert "SIGSEGV" in describe_exit(-signal.SIGSEGV) and "native code" in describe_exit(-signal.SIGSEGV)


class Quick(Child):
    """A child that runs a few lines in place of the worker; `events` is the pipe's number there."""

    def __init__(self, code: str, on_message, folder) -> None:
        lines = "import os, sys, time\nevents = int(os.environ['SPARKTRAIN_EVENTS'])\n" + code
        super().__init__(dict(os.environ), on_message, str(folder), partial(start_afresh, words=("-S", "-c", lines)))


FINISHED = encode(Finished({}, 10, 10, {}))


def test_requests_come_whole_from_several_threads_and_none_is_written_after_the_end(tmp_path):
    code = (
        "import json\nseen = []\nwhile len(seen) < 40:\n    seen.append(json.loads(sys.stdin.readline()))\n"
        "print(sorted({(each['kind'], len(each['reason'])) for each in seen}), flush=True)\n"
        f"os.write(events, {FINISHED!r}.encode() + b'\\n')\nos._exit(0)"
    )
    told = []
    child = Quick(code, told.append, tmp_path)

    def ask(size: int) -> None:
        for _ in range(20):
            child.end_epoch("x" * size)

    threads = [threading.Thread(target=ask, args=[size]) for size in (150_000, 200_000)]
    for thread in threads:
        thread.start()
    assert child.wait() == Finished({}, 10, 10, {})
    for thread in threads:
        thread.join(10)
    assert told == [Log("[('EndEpoch', 150000), ('EndEpoch', 200000)]")]
    child.end_epoch("too late")


def test_a_worker_that_has_finished_is_not_lost_where_the_driver_takes_its_messages_slowly(tmp_path):
    code = f"os.write(events, {encode(Phase('save'))!r}.encode() + b'\\n' + {FINISHED!r}.encode() + b'\\n')\nos._exit(0)"
    told = []

    def slow(message):
        time.sleep(3)
        told.append(message)

    assert Quick(code, slow, tmp_path).wait() == Finished({}, 10, 10, {})
    assert told == [Phase("save")]


def test_what_horovod_says_of_a_peer_that_is_gone_is_not_shown_as_if_it_were_the_cause(tmp_path):
    echo = (
        "[2026-11-28 10:00:00.1: E /horovod/common/operations.cc:697] [1]: Horovod background loop uncaught exception: "
        "[/gloo/transport/tcp/pair.cc:589] Read error [127.0.0.1]:26234: Connection reset by peer"
    )
    code = f"print({echo!r}); print('mine', flush=True); os._exit(3)"
    told = []
    outcome = Quick(code, told.append, tmp_path).wait()
    assert told == [Log("mine")]
    assert "reset by peer" in outcome.traceback, "where nothing else says why, it is all there is"


def test_a_process_that_the_users_code_leaves_running_does_not_hold_up_the_end(tmp_path):
    """It has the pipes, and goes on to write."""
    code = (
        f"os.write(events, {FINISHED!r}.encode() + b'\\n')\n"
        "if os.fork() == 0:\n    os.setsid()\n    end = time.monotonic() + 30\n"
        "    while time.monotonic() < end:\n        os.write(1, b'still here\\n' * 1000)\n    os._exit(0)\n"
        "print(os.getpid(), flush=True)\ntime.sleep(0.5)\nos._exit(0)"
    )
    begun = time.monotonic()
    child = Quick(code, lambda message: None, tmp_path)
    assert child.wait() == Finished({}, 10, 10, {})
    assert time.monotonic() - begun < 20
    for process in psutil.process_iter(["environ"]):
        if (process.info["environ"] or {}).get("SPARKTRAIN_EVENTS") and process.cwd() == str(tmp_path):
            process.kill()


def test_a_progress_bar_is_shown_while_it_runs_and_a_huge_line_loses_no_executor(tmp_path):
    code = (
        "for i in range(100):\n    sys.stderr.write(f'\\r{i}/100 [####]'); sys.stderr.flush(); time.sleep(0.01)\n"
        "print(); os.write(1, b'x' * 70_000_000)\n"
        "print(); print('after')\n"
        f"os.write(events, {FINISHED!r}.encode() + b'\\n')\nsys.stdout.flush()\nos._exit(0)"
    )
    told = []
    begun = time.monotonic()
    child = Quick(code, lambda message: told.append((time.monotonic() - begun, message.text)), tmp_path)
    assert child.wait() == Finished({}, 10, 10, {})
    texts = [text for _, text in told]
    assert texts[0].endswith("/100 [####]") and texts[-1] == "after"
    assert max(map(len, texts)) <= LONGEST and sum(text.count("x") for text in texts) == 70_000_000
