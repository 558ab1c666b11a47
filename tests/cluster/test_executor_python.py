"""Executors whose Python can't train: one line with the interpreter, what it lacks and what to set, before any row is read."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sparktrain.cluster.executors.executor_python import refusal

ROOT = Path(__file__).resolve().parent.parent.parent


def executor(host: str = "10.0.0.7", missing=(), **versions: str) -> dict:
    return {
        "host": host,
        "interpreter": "/usr/bin/python3",
        "python": "3.12.1",
        "missing": list(missing),
        "versions": {"sparktrain": "0.1.0", "tensorflow": "2.21.0", "keras": "3.15.1", **versions},
    }


def test_executors_that_have_all_are_taken():
    assert refusal([executor(), executor("10.0.0.8")], "0.1.0") is None
    assert refusal([], "0.1.0") is None, "all were busy"


def test_what_is_missing_is_named_with_host_interpreter_and_what_to_set():
    told = refusal([executor(), executor("10.0.0.8", ["sparktrain", "keras"])], "0.1.0")
    assert told.startswith("the Python of the executor on 10.0.0.8, /usr/bin/python3 (3.12.1), has no sparktrain, keras: ")
    assert "PYSPARK_PYTHON" in told and "\n" not in told


def test_another_sparktrain_than_the_drivers_is_refused():
    told = refusal([executor(sparktrain="0.0.9")], "0.1.0")
    assert "has sparktrain 0.0.9, and the driver 0.1.0" in told


@pytest.mark.parametrize("name", ["tensorflow", "keras"])
def test_executors_that_would_compute_with_different_code_are_refused(name):
    told = refusal([executor(), executor("10.0.0.8", **{name: "1.0"})], "0.1.0")
    assert f"differ in {name}" in told and "1.0 on 10.0.0.8" in told


PROGRAM = """
import sys
from pyspark.sql import SparkSession
import sparktrain

spark = SparkSession.builder.master(sys.argv[1]).config("spark.ui.enabled", "false").getOrCreate()
try:
    print("RETURNED", sparktrain.run(lambda worker: sys.executable, workers=1, engine="single"))
except Exception as error:
    print("REFUSED", type(error).__name__, error)
"""


def run(master: str, python: str | None) -> subprocess.CompletedProcess:
    environment = {name: value for name, value in os.environ.items() if name not in ("PYSPARK_PYTHON", "PYTHONPATH")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}" if python else os.environ["PATH"]
    environment.update(
        PATH=path, PYTHONPATH=str(ROOT), SPARK_LOCAL_IP="127.0.0.1", **({"PYSPARK_PYTHON": python} if python else {})
    )
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, master], env=environment, capture_output=True, text=True, timeout=240, cwd="/"
    )  # where no sparktrain lies


@pytest.fixture
def bare_python(tmp_path) -> str:
    """A Python of the driver's version that has nothing installed but what Spark brings."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True, timeout=180)
    # Without the project's folder, which the test's own environment names to it
    shim = tmp_path / "python"
    without = "; ".join(
        f"s#{there}#{instead}#"
        for there, instead in (
            (f"^{ROOT}:", "/nowhere:"),
            (f":{ROOT}:", ":/nowhere:"),
            (f":{ROOT}$", ":/nowhere"),
            (f"^{ROOT}$", "/nowhere"),
        )
    )
    shim.write_text(f"""#!/bin/sh
PYTHONPATH=$(echo "$PYTHONPATH" | sed '{without}') exec {tmp_path}/bare/bin/python "$@"
""")
    shim.chmod(0o755)
    return str(shim)


@pytest.mark.real
@pytest.mark.slow
def test_a_program_without_pyspark_python_trains_with_its_own_on_one_machine(tmp_path):
    (tmp_path / "python3").write_text("#!/bin/sh\necho 'the python3 of the PATH is none that can train' >&2; exit 1\n")
    (tmp_path / "python3").chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
        done = run("local[1]", None)
    assert f"RETURNED ['{sys.executable}']" in done.stdout, done.stdout + done.stderr


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.failures
def test_executors_of_a_bare_python_are_refused_in_one_line_before_any_stack_trace(bare_python, note_failure):
    done = run("local[1]", bare_python)
    told = next(line for line in done.stdout.splitlines() if line.startswith("REFUSED"))
    assert told.startswith("REFUSED ClusterRefused the Python of the executor on ") and "has no sparktrain, tensorflow" in told
    assert "Traceback" not in done.stderr and "\tat org.apache.spark" not in done.stderr, done.stderr
    note_failure(
        "Executors whose Python lacks the package, or has another version",
        "refused before any row is read, with host, interpreter and what to set",
    )
