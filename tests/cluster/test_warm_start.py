"""Training processes that are forked from their executor's template: as clean as fresh ones, and as easily killed."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from sparktrain.cluster.processes import warm_start
from sparktrain.cluster.processes.child import Child
from sparktrain.cluster.processes.process import Ends
from sparktrain.cluster.processes.warm_start import WarmStart
from sparktrain.interfaces.messages import Failure, Message, OutputCheck, Phase
from sparktrain.interfaces.training_spec import Output
from sparktrain.storage import claims, open_folder

pytestmark = pytest.mark.real
ROOT = Path(__file__).resolve().parents[2]
_PATIENCE = 120  # seconds


@pytest.fixture(scope="module")
def executor() -> Iterator[psutil.Process]:
    """What stands for an executor's JVM."""
    with subprocess.Popen(["sleep", "3600"]) as process:
        yield psutil.Process(process.pid)
        process.kill()


@pytest.fixture
def start(executor, tmp_path) -> Iterator[Callable[..., Child]]:
    children = []
    pool = ThreadPoolExecutor(20)  # each is waited for from its start, as a task does

    def started(told: list[Message] | None = None, executor=executor, minutes=10.0, folder=tmp_path, **variables) -> Child:
        environment = {**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}", **variables}
        del environment["PYTEST_CURRENT_TEST"]  # a template is for one environment
        heard = (told if told is not None else []).append
        child = Child(environment, heard, str(folder), WarmStart(executor, minutes).start)
        children.append(child)
        child.outcome = pool.submit(child.wait)
        return child

    yield started
    for child in children:
        child.kill("the test is over")
    pool.shutdown()


def pid(child: Child) -> int:
    until(lambda: child.pid is not None)
    return child.pid


def until(done: Callable[[], bool]) -> None:
    end = time.monotonic() + _PATIENCE
    while not done():
        assert time.monotonic() < end
        time.sleep(0.05)


def gone(process: int) -> bool:
    return not psutil.pid_exists(process) or psutil.Process(process).status() == psutil.STATUS_ZOMBIE


def ended(child: Child) -> Failure:
    """A child that has got an order which it can't read."""
    child._write("no order")
    outcome = child.outcome.result(_PATIENCE)
    assert isinstance(outcome, Failure)
    return outcome


def test_one_template_forks_all_of_an_executor_s_processes(start):
    told = []
    one, other = start(told), start()
    parents = {psutil.Process(pid(child)).ppid() for child in (one, other)}
    assert len(parents) == 1 and "sparktrain.template" in psutil.Process(parents.pop()).cmdline()
    assert ended(one).error == ended(other).error == "JSONDecodeError"
    assert Phase("start") in told


def test_runs_that_ship_other_code_share_a_template_as_it_has_none_of_it(start, tmp_path):
    shipped = [os.pathsep.join([str(tmp_path), f"/work/sparktrain_code_{code}.zip", str(ROOT)]) for code in ("1a", "2b")]
    children = [start(), *(start(PYTHONPATH=path) for path in shipped)]
    parents = {psutil.Process(pid(child)).ppid() for child in children}
    assert len(parents) == 1 and "sparktrain_code" not in psutil.Process(parents.pop()).environ()["PYTHONPATH"]


def test_a_forked_process_has_its_run_s_environment_folder_and_path_and_nothing_of_the_template_s(tmp_path):
    code = (
        "import json, os, sys, tempfile; import numpy; from sparktrain.template import _become\n"
        "tempfile.gettempdir(); numpy.random.seed(1)\n"
        "_become(json.loads(sys.argv[1]), [os.open(os.devnull, os.O_RDONLY), os.dup(1), os.dup(1)])\n"
        "mine = {name: os.environ.get(name) for name in ('MINE', 'THEIRS')}\n"
        "print(json.dumps([mine, os.getcwd(), tempfile.gettempdir(), sys.path, os.getpgrp() == os.getpid(), numpy.random.rand()]))"
    )
    work = tmp_path / "work"
    work.mkdir()
    mine = {"MINE": "a value", "TMPDIR": str(work), "PYTHONPATH": f"{work}{os.pathsep}{tmp_path}"}
    theirs = {**os.environ, "THEIRS": "a value", "PYTHONPATH": f"/nowhere{os.pathsep}{ROOT}"}
    request = json.dumps({"environment": mine, "folder": str(work)})
    words = [sys.executable, "-P", "-c", code, request]
    shown = [json.loads(subprocess.check_output(words, env=theirs, text=True)) for _ in range(2)]
    variables, folder, temporary, path, leads, drawn = shown[0]
    assert variables == {"MINE": "a value", "THEIRS": None} and folder == temporary == str(work) and leads
    assert path[:3] == [str(work), str(work), str(tmp_path)] and "/nowhere" not in path and str(ROOT) not in path
    assert drawn != shown[1][-1], "all would draw the same random numbers"


def test_a_template_that_is_killed_is_a_lost_worker_and_another_takes_its_place(start):
    child = start()
    template = psutil.Process(pid(child)).parent()
    template.kill()
    outcome = child.outcome.result(_PATIENCE)
    assert isinstance(outcome, Failure) and outcome.cause == "lost" and "SIGKILL" in outcome.message
    assert gone(child.pid)
    other = start()
    assert psutil.Process(pid(other)).ppid() != template.pid
    assert ended(other).error == "JSONDecodeError"


def test_a_process_that_is_killed_from_outside_is_a_lost_worker(start):
    child = start()
    os.kill(pid(child), signal.SIGKILL)
    outcome = child.outcome.result(_PATIENCE)
    assert isinstance(outcome, Failure) and outcome.cause == "lost" and "SIGKILL" in outcome.message


@pytest.mark.parametrize("forked", [False, True])
def test_a_process_that_we_kill_is_no_cause(start, executor, forked):
    child = start(MINE=str(time.time()))  # with a template of its own, which has yet to import Keras
    if forked:
        pid(child)
    child.kill("rank 1 failed")
    began = time.monotonic()
    assert child.outcome.result(_PATIENCE) == Failure("echo", "Stopped", "rank 1 failed")
    assert time.monotonic() - began < 5
    assert child.pid is None or gone(child.pid)


def test_no_process_outlives_a_task_that_is_killed(executor, tmp_path):
    code = (
        "import os, psutil, sys, threading, time; from sparktrain.cluster.processes.child import Child\n"
        "from sparktrain.cluster.processes.warm_start import WarmStart\n"
        "start = WarmStart(psutil.Process(int(sys.argv[2])), 10).start\n"
        "child = Child(dict(os.environ), lambda message: None, sys.argv[1], start)\n"
        "threading.Thread(target=child.wait, daemon=True).start()\n"
        "while child.pid is None: time.sleep(0.05)\n"
        "print(child.pid, flush=True); time.sleep(600)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-c", code, str(tmp_path), str(executor.pid)]
    with subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, text=True) as task:
        child = int(task.stdout.readline())
        assert psutil.pid_exists(child)
        task.kill()
    until(lambda: gone(child))


def test_a_template_ends_with_its_executor_and_leaves_no_socket(start):
    with subprocess.Popen(["sleep", "600"]) as process:
        child = start(executor=psutil.Process(process.pid))
        template = psutil.Process(pid(child)).parent()
        assert list(warm_start._private_folder().glob(f"{process.pid}-*"))
        process.kill()
    until(lambda: gone(template.pid) and gone(child.pid))
    assert not [path for path in warm_start._private_folder().glob(f"{process.pid}-*") if path.is_socket()]


def test_an_idle_template_ends(start, executor):
    child = start(minutes=0.01, MINE="idle")
    template = psutil.Process(pid(child)).parent()
    time.sleep(2)
    assert template.is_running(), "it isn't idle as long as a process of its runs"
    ended(child)
    until(lambda: gone(template.pid))


def test_where_there_can_be_no_template_a_process_is_started_afresh(start, tmp_path, monkeypatch):
    monkeypatch.setattr(warm_start, "_ROOT", tmp_path)
    (tmp_path / f"sparktrain-templates-{os.getuid()}").mkdir(mode=0o755)  # others could put a socket of theirs there
    child = start()
    assert "sparktrain.worker" in psutil.Process(pid(child)).cmdline()
    assert ended(child).error == "JSONDecodeError"


def test_where_a_template_can_t_import_keras_the_process_says_why(start, tmp_path):
    (tmp_path / "shipped").mkdir()
    (tmp_path / "shipped" / "keras.py").write_text("raise ImportError('this is not Keras')")
    child = start(PYTHONPATH=os.pathsep.join(map(str, (tmp_path, tmp_path / "shipped", ROOT))))
    url = f"file://{tmp_path}/run"
    child.check(OutputCheck(Output(url, {}, claims.take(open_folder(url), {"host": "this"}))))
    outcome = child.outcome.result(_PATIENCE)
    assert isinstance(outcome, Failure) and outcome.message == "this is not Keras"


def test_a_process_that_has_ended_well_is_not_lost_where_its_template_is_slow_to_say_so(monkeypatch, tmp_path):
    monkeypatch.setattr(warm_start, "_LOOK", 1.0)
    with subprocess.Popen(["true"]) as ended:
        ended.wait()
    mine, template = socket.socketpair()
    forked = warm_start._Forked(mine, {}, Ends(*(os.open(os.devnull, os.O_RDWR) for _ in range(3))), str(tmp_path))
    answers = [(0.0, {"pid": ended.pid}), (1.5, {"status": 0})]

    def answer() -> None:
        for later, fields in answers:
            time.sleep(later)
            template.sendall(json.dumps(fields).encode() + b"\n")

    thread = threading.Thread(target=answer)
    thread.start()
    assert forked.wait() == 0
    thread.join()
    template.close()
