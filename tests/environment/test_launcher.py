"""One JSON line last, whatever becomes of spark-submit: the real launcher with stand-ins for spark-submit."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.real
PROJECT = Path(__file__).resolve().parents[2]
JOB = ("./spark-submit.sh", "jobs/train.py", "--config", "job.yaml")

# As much of a program as says how it ended, with a signal as its cause if one comes
PROGRAM = """
import os, sys, time
from sparktrain.display.launcher_link import announce
from sparktrain.display.result_line import say
from sparktrain.runs import Result
from sparktrain.launcher.signals import take_signals
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
if status == "killed":
    os.kill(os.getpid(), 9)
print("a word of its own", file=sys.stderr, flush=True)
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
    site = machine.root / ".venv" / "lib" / "python3.11" / "site-packages"
    spark = site / "pyspark" / "bin" / "spark-submit"
    for program in (python, spark):
        program.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/bash\necho "$*" >>"{machine.root}/pythons"\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    (site / "pyspark" / "__init__.py").touch()
    machine.stamp("base", "compiled")
    (machine.root / "program.py").write_text(PROGRAM)
    (machine.root / "gateway.py").write_text(GATEWAY)
    (machine.root / "job.yaml").write_text(
        "data: {path: /rows, features: [x], label: y}\nmodel: {build: mine:build}\noutput: {path: /models}\n"
    )
    (machine.root / "mine.py").write_text("def build(): pass\n")
    machine.variables |= {"PYTHONPATH": f"{site}:{PROJECT}", "PROGRAM": f"{sys.executable} program.py"}

    def spark_submit(script: str) -> None:
        spark.write_text(f"#!/bin/bash\n{script}\n")
        spark.chmod(0o755)

    def start(*words: str, command: tuple[str, ...] = JOB, **streams) -> subprocess.Popen:
        environment = {"PATH": str(machine.bin), "HOME": str(machine.root)} | machine.variables
        groups.append(
            subprocess.Popen(
                [*command, *words],
                cwd=machine.root,
                env=environment,
                stdout=subprocess.PIPE,
                text=True,
                start_new_session=True,
                **streams,
            )
        )
        return groups[-1]

    groups: list[subprocess.Popen] = []
    machine.spark_submit, machine.start = spark_submit, start
    yield machine
    for group in groups:
        with contextlib.suppress(ProcessLookupError):  # what a test that failed has left
            os.killpg(group.pid, signal.SIGKILL)


def test_a_spark_submit_that_fails_streams_what_it_says_and_the_line_comes_last(launcher):
    launcher.spark_submit('echo "$*"; read -r answer; echo "heard $answer"; exit 7')
    command = [*JOB, "--result=end.json", "--run-id", "mine"]
    with subprocess.Popen(
        command,
        cwd=launcher.root,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"PATH": str(launcher.bin), "HOME": str(launcher.root)} | launcher.variables,
    ) as process:
        assert process.stdout.readline() == " ".join(command[1:]) + "\n"  # while spark-submit waits
        shown, _ = process.communicate("this", timeout=180)
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
    _before, _after, line = ended.stdout.splitlines()
    assert json.loads(line)["status"] == status


def test_standard_output_has_the_line_and_what_user_code_prints_and_the_rest_is_where_it_is_looked_for(launcher):
    """Though spark-submit makes one stream of its program's two, and has much to say itself."""
    launcher.spark_submit("echo chatter >&2; $PROGRAM failed 2>&1 | cat")
    ended = launcher.run(*JOB)
    assert json.loads(ended.stdout)["status"] == "failed"  # it is one line
    assert "a word of its own" in ended.stderr and "chatter" not in ended.stderr
    [log] = (launcher.root / ".local" / "state" / "sparktrain").iterdir()
    assert log.read_text() == "chatter\n" and str(log) in ended.stderr
    verbose = launcher.run(JOB[0], "--verbose", *JOB[1:])
    assert "chatter" in verbose.stderr and json.loads(verbose.stdout)["status"] == "failed"


def test_a_spark_submit_that_ends_without_a_word_of_the_program_has_its_own_lines_shown(launcher):
    launcher.spark_submit("echo 'Error: Unrecognized option: --mastr' >&2; echo usage >&2; exit 1")
    ended = launcher.run(*JOB)
    end = json.loads(ended.stdout)
    assert end["reason"].endswith("its log says: Error: Unrecognized option: --mastr") and end["run"]
    assert "Unrecognized option" in ended.stderr and "usage" in ended.stderr


@pytest.mark.failures
def test_one_line_comes_where_no_file_can_be_written(launcher, note_failure):
    launcher.spark_submit("ulimit -f 0; $PROGRAM refused; exit 2")  # as on a full disk
    ended = launcher.run(*JOB)
    [line] = ended.stdout.splitlines()
    assert json.loads(line)["status"] == "refused" and ended.returncode == 2, ended.stderr
    note_failure("A full disk where the launcher runs", "the JSON line, the reason and the exit status are as ever")


def test_a_submit_whose_files_can_t_be_written_says_so(launcher):
    (launcher.root / "hadoop").mkdir()
    launcher.variables |= {
        "HADOOP_CONF_DIR": str(launcher.root / "hadoop"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }  # or it is left cut off
    (launcher.root / "mine.py").write_text(f"def build(): pass\n# {secrets.token_hex(8000)}\n")  # it travels along, packed
    launcher.spark_submit("echo not reached >&2; exit 1")
    ended = launcher.run(
        "bash",
        "-c",
        'ulimit -f 1; exec "$@"',
        "-",
        JOB[0],
        "--master",
        "yarn",
        "--deploy-mode",
        "cluster",
        *JOB[1:],
        "--set",
        "output.path=hdfs://nowhere/models",
    )
    assert ended.stdout, ended.stderr
    end = json.loads(ended.stdout.splitlines()[-1])
    assert end["status"] == "failed" and "the submit can't be prepared: " in end["reason"] and "File too large" in end["reason"]
    assert ended.returncode == 1 and "Traceback" not in ended.stderr and "not reached" not in ended.stderr


def test_a_program_of_the_user_s_own_keeps_its_exit_status_and_its_output(launcher):
    (launcher.root / "own.py").touch()
    launcher.spark_submit("echo mine; exit 7")
    ended = launcher.run("./spark-submit.sh", "own.py", "--config", "x", "--result", "end.json")
    assert ended.returncode == 7 and ended.stdout == "mine\n" and not (launcher.root / "end.json").exists()
    # It may be a copy of the project's own, which says its line; killed, the launcher says it instead
    launcher.spark_submit("$PROGRAM finished; exit 7")
    ended = launcher.run("./spark-submit.sh", "own.py")
    assert ended.returncode == 7 and json.loads(ended.stdout)["status"] == "finished"
    launcher.spark_submit("$PROGRAM killed; exit 137")
    ended = launcher.run("./spark-submit.sh", "own.py")
    assert ended.returncode == 1 and json.loads(ended.stdout)["status"] == "failed"


@pytest.mark.parametrize(
    "number, everywhere", [(signal.SIGTERM, False), (signal.SIGTERM, True), (signal.SIGINT, False), (signal.SIGINT, True)]
)
def test_a_signal_stops_the_program_before_spark_and_its_line_comes_though_spark_is_gone(launcher, number, everywhere):
    """To the launcher, as a scheduler sends it, or to all of them, as a terminal does."""
    launcher.spark_submit(f"exec {sys.executable} gateway.py")
    with launcher.start(stderr=subprocess.PIPE) as process:
        assert process.stdout.readline() == "waiting\n"
        (os.killpg if everywhere else os.kill)(process.pid, number)
        shown, errors = process.communicate(timeout=180)
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
        shown, _ = process.communicate(timeout=180)
    gone, line = shown.splitlines()
    end = json.loads(line)
    assert gone == "gone" and end["status"] == "stopped" and number.name in end["reason"] and process.returncode == 1


def stopped_line(process: subprocess.Popen) -> dict:
    shown, errors = process.communicate(timeout=180)
    [line] = shown.splitlines()
    end = json.loads(line)
    assert (process.returncode, end["status"], end["run"]) == (1, "stopped", "night-7"), errors
    return end


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_stop_while_the_environment_is_made_ends_the_installer_with_all_its_tools_and_is_told(launcher, number):
    shutil.rmtree(launcher.root / ".venv")
    # An installer with a tool, which lock a file for as long as they live
    launcher.give(
        "python3.11",
        f"""case "$*" in *install.py*) exec {sys.executable} -c '
import fcntl, os, subprocess, time
held = open("held", "w")
fcntl.flock(held, fcntl.LOCK_EX)
subprocess.Popen(["sleep", "60"], pass_fds=[held.fileno()])
print("installing", file=open(2, "w"), flush=True)
time.sleep(60)' ;; esac""",
    )
    with launcher.start("--run-id", "night-7", stderr=subprocess.PIPE) as process:
        while "installing" not in process.stderr.readline():
            assert process.poll() is None
        os.kill(process.pid, number)
        assert f"stopped from outside by {number.name}" in stopped_line(process)["reason"]
    with open(launcher.root / "held") as held:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)  # an error where one of them is left


# A Java that has nothing but its version, and fetches, with a file locked, for as long as it lives
FETCHING = f"""case "$*" in -version) echo 'openjdk version "17.0.9"' >&2 ;; *) exec {sys.executable} -c '
import fcntl, time
held = open("held", "w")
fcntl.flock(held, fcntl.LOCK_EX)
print("fetching", file=held, flush=True)
time.sleep(60)' ;; esac"""


@pytest.fixture
def quickstart(launcher):
    """A machine that has all of the quickstart but a Hadoop."""
    [site] = launcher.root.glob(".venv/lib/*/site-packages")
    (site / "pyspark" / "jars").mkdir()
    (site / "pyspark" / "jars" / "hadoop-client-api-3.4.1.jar").touch()
    folder = launcher.root.with_name("own")
    launcher.variables |= {"XDG_DATA_HOME": f"{folder}/data", "XDG_CACHE_HOME": f"{folder}/cache"}
    return launcher


def test_a_stop_while_the_quickstart_s_hadoop_starts_ends_what_starts_it_and_is_told(quickstart):
    quickstart.give("java", FETCHING)
    held = quickstart.root / "held"
    with quickstart.start(command=JOB[:1], stderr=subprocess.PIPE) as process:
        while not (held.exists() and held.read_text()):
            assert process.poll() is None
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGTERM)
        shown, errors = process.communicate(timeout=180)
    end = json.loads(shown)
    assert (process.returncode, end["status"]) == (1, "stopped") and "by SIGTERM before Spark" in end["reason"], errors
    assert "starting a Hadoop on this machine" in errors
    with open(held) as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # an error where it is left


def test_a_quickstart_whose_hadoop_does_not_start_says_why_in_the_line(quickstart):
    quickstart.give("java", "case $* in -version) echo 'openjdk version \"17.0.9\"' >&2 ;; *) echo 'no net' >&2; exit 1 ;; esac")
    ended = quickstart.run(JOB[0])
    end = json.loads(ended.stdout)
    assert (ended.returncode, end["status"]) == (1, "failed"), ended.stderr
    assert end["reason"].startswith("the sandbox Hadoop did not start: ") and "no net" in end["reason"]


def test_a_stop_while_the_launcher_itself_starts_is_told(launcher):
    python = launcher.root / ".venv" / "bin" / "python"
    python.write_text(python.read_text().replace("exec ", "echo begun >&2; sleep 1\nexec "))
    with launcher.start("--run-id=night-7", stderr=subprocess.PIPE) as process:
        while "begun" not in process.stderr.readline():
            assert process.poll() is None
        os.kill(process.pid, signal.SIGTERM)
        assert "by SIGTERM before Spark was started" in stopped_line(process)["reason"]


def test_who_kills_the_launcher_alone_ends_its_spark(launcher):
    if not sys.platform.startswith("linux"):
        pytest.skip("only Linux tells a process of its parent's end")
    launcher.spark_submit("trap 'echo gone; exit 143' TERM; echo up; while :; do sleep 0.1; done")
    with launcher.start() as process:
        assert process.stdout.readline() == "up\n"
        process.kill()
        assert process.stdout.readline() == "gone\n"  # or the test's time is over


def test_a_start_that_fails_says_why_in_json_whatever_is_in_it(launcher):
    """There is no Python that could write it."""
    root = launcher.root.rename(launcher.root.with_name('a "quoted" \\ folder\n of\ttwo lines'))
    shutil.rmtree(root / ".venv")
    launcher.give("python3.11", "exit 0")  # installs nothing
    ended = launcher.run(*JOB, "--result", "end.json", cwd=root)
    assert ended.returncode == 1
    end = json.loads(ended.stdout)
    assert end["status"] == "failed" and 'a "quoted" \\ folder\n of two lines/.venv is not' in end["reason"]
    assert json.loads((root / "end.json").read_text()) == end
