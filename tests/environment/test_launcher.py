"""One JSON line last, whatever becomes of spark-submit: the real launcher with stand-ins for spark-submit."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.real
PROJECT = Path(__file__).resolve().parents[2]
JOB = ("./spark-submit.sh", "jobs/train.py", "--config", "job.yaml")

# As much of a program as says how it ended, with a signal as its cause if one comes
PROGRAM = """
import sys, time
from sparktrain.driver.handover import announce
from sparktrain.driver.result import Result, say
from sparktrain.driver.signals import take_signals
status = sys.argv[1]
take_signals()
announce()
try:
    if status == "waits":
        print("waiting", flush=True)
        time.sleep(60)
except KeyboardInterrupt:
    time.sleep(0.5)   # longer than spark-submit lives
    status = "stopped"
say(Result(run="a", status=status, reason="its own"))
"""

# As a JVM does: it starts the program, and a signal halts it at once
GATEWAY = """
import os, signal, subprocess, sys
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda *_: os._exit(print("gone", flush=True) or 130))
sys.exit(subprocess.call([sys.executable, "program.py", "waits"]))
"""


@pytest.fixture
def launcher(machine):
    """A machine with an environment as install.py leaves one, which notes how often its Python is started."""
    machine.give_java()
    python = machine.root / ".venv" / "bin" / "python"
    spark = machine.root / ".venv" / "lib" / "python3.11" / "site-packages" / "pyspark" / "bin" / "spark-submit"
    for program in (python, spark):
        program.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/bash\necho "$*" >>"{machine.root}/pythons"\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    machine.stamp("base", "compiled")
    (machine.root / "program.py").write_text(PROGRAM)
    (machine.root / "gateway.py").write_text(GATEWAY)
    (machine.root / "job.yaml").write_text(
        "data: {path: /rows, features: [x], label: y}\nmodel: {build: mine:build}\noutput: {path: /models}\n")
    (machine.root / "mine.py").write_text("def build(): pass\n")
    machine.variables |= {"PYTHONPATH": str(PROJECT), "PROGRAM": f"{sys.executable} program.py"}

    def spark_submit(script: str) -> None:
        spark.write_text(f"#!/bin/bash\n{script}\n")
        spark.chmod(0o755)

    def start(**streams) -> subprocess.Popen:
        environment = {"PATH": str(machine.bin), "HOME": str(machine.root)} | machine.variables
        groups.append(subprocess.Popen(JOB, cwd=machine.root, env=environment, stdout=subprocess.PIPE, text=True,
                                       start_new_session=True, **streams))
        return groups[-1]

    groups: list[subprocess.Popen] = []
    machine.spark_submit, machine.start = spark_submit, start
    yield machine
    for group in groups:
        with contextlib.suppress(ProcessLookupError):   # what a test that failed has left
            os.killpg(group.pid, signal.SIGKILL)


def test_a_spark_submit_that_fails_streams_what_it_says_and_the_line_comes_last(launcher):
    launcher.spark_submit('echo "$*"; read -r answer; echo "heard $answer"; exit 7')
    command = [*JOB, "--result=end.json", "--run-id", "mine"]
    with subprocess.Popen(command, cwd=launcher.root, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          env={"PATH": str(launcher.bin), "HOME": str(launcher.root)} | launcher.variables) as process:
        assert process.stdout.readline() == " ".join(command[1:]) + "\n"   # while spark-submit waits
        shown, _ = process.communicate("this", timeout=60)
    first, line = shown.splitlines()
    assert first == "heard this" and process.returncode == 1
    end = json.loads(line)
    assert end["status"] == "failed" and end["run"] == "mine" and "exit status 7" in end["reason"]
    assert json.loads((launcher.root / "end.json").read_text()) == end


def test_a_job_starts_one_python_before_spark(launcher):
    launcher.spark_submit(f'cp "{launcher.root}/pythons" "{launcher.root}/before"')
    launcher.bin.joinpath("cp").symlink_to(shutil.which("cp"))
    ended = launcher.run(*JOB)
    assert ended.returncode == 0 and ended.stdout == "", ended.stderr
    assert len((launcher.root / "before").read_text().splitlines()) == 1


def test_without_a_spark_submit_the_line_says_so(launcher):
    ended = launcher.run(*JOB)
    end = json.loads(ended.stdout)
    assert ended.returncode == 1 and end["status"] == "failed" and "bin/spark-submit can't be started" in end["reason"]


@pytest.mark.parametrize("status, code", [("finished", 0), ("refused", 2), ("failed", 1)])
def test_what_the_program_says_comes_last_and_decides_the_exit_status(launcher, status, code):
    """Also where spark-submit says more, or ends otherwise, or fails when all is done."""
    launcher.spark_submit(f"echo before; $PROGRAM {status}; echo after; exit {0 if code else 143}")
    ended = launcher.run(*JOB)
    assert ended.returncode == code, ended.stderr
    before, after, line = ended.stdout.splitlines()
    assert json.loads(line)["status"] == status


def test_a_program_of_the_user_s_own_keeps_its_exit_status_and_its_output(launcher):
    (launcher.root / "own.py").touch()
    launcher.spark_submit("echo mine; exit 7")
    ended = launcher.run("./spark-submit.sh", "own.py", "--config", "x", "--result", "end.json")
    assert ended.returncode == 7 and ended.stdout == "mine\n" and not (launcher.root / "end.json").exists()
    # It may be a copy of the project's own, which says its line; killed, the launcher says it instead
    launcher.spark_submit("$PROGRAM finished; exit 7")
    ended = launcher.run("./spark-submit.sh", "own.py")
    assert ended.returncode == 7 and json.loads(ended.stdout)["status"] == "finished"
    launcher.spark_submit('$PROGRAM waits | { read -r; kill -9 "$(<"$SPARKTRAIN_LAUNCHER/program")"; }; exit 137')
    ended = launcher.run("./spark-submit.sh", "own.py")
    assert ended.returncode == 1 and json.loads(ended.stdout)["status"] == "failed"


@pytest.mark.parametrize("number, everywhere", [(signal.SIGTERM, False), (signal.SIGTERM, True), (signal.SIGINT, False),
                                                (signal.SIGINT, True)])
def test_a_signal_stops_the_program_before_spark_and_its_line_comes_though_spark_is_gone(launcher, number, everywhere):
    """To the launcher, as a scheduler sends it, or to all of them, as a terminal does."""
    launcher.spark_submit(f"exec {sys.executable} gateway.py")
    with launcher.start(stderr=subprocess.PIPE) as process:
        assert process.stdout.readline() == "waiting\n"
        (os.killpg if everywhere else os.kill)(process.pid, number)
        shown, errors = process.communicate(timeout=60)
    *lines, line = shown.splitlines()
    end = json.loads(line)
    assert end["status"] == "stopped" and end["reason"] == "its own" and process.returncode == 1, errors
    assert lines == ["gone"] * everywhere


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_before_the_program_runs_reaches_spark_submit_and_is_waited_for(launcher, number):
    launcher.spark_submit("trap 'echo gone; exit 143' INT TERM; echo up; while :; do sleep 0.1; done")
    with launcher.start() as process:
        assert process.stdout.readline() == "up\n"
        os.kill(process.pid, number)
        shown, _ = process.communicate(timeout=60)
    gone, line = shown.splitlines()
    end = json.loads(line)
    assert gone == "gone" and end["status"] == "stopped" and number.name in end["reason"] and process.returncode == 1


def test_who_kills_the_launcher_alone_ends_its_spark(launcher):
    if not sys.platform.startswith("linux"):
        pytest.skip("only Linux tells a process of its parent's end")
    launcher.spark_submit("trap 'echo gone; exit 143' TERM; echo up; while :; do sleep 0.1; done")
    with launcher.start() as process:
        assert process.stdout.readline() == "up\n"
        process.kill()
        assert process.stdout.readline() == "gone\n"   # or the test's time is over


def test_a_start_that_fails_says_why_in_json_whatever_is_in_it(launcher):
    """There is no Python that could write it."""
    root = launcher.root.rename(launcher.root.with_name('a "quoted" \\ folder\n of\ttwo lines'))
    shutil.rmtree(root / ".venv")
    launcher.give("python3.11", "exit 0")   # installs nothing
    ended = launcher.run(*JOB, "--result", "end.json", cwd=root)
    assert ended.returncode == 1
    end = json.loads(ended.stdout)
    assert end["status"] == "failed" and 'a "quoted" \\ folder\n of two lines/.venv is not' in end["reason"]
    assert json.loads((root / "end.json").read_text()) == end
