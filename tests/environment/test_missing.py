"""On a machine that lacks something, the commands say what, and how to get it, and leave nothing behind."""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.real

WITH_PYTHON = 'case "$*" in *install.py*) echo "install $*" ;; esac'   # 3.11 by its answers; installs nothing


def test_a_missing_java_and_a_missing_python_are_named_together_with_how_to_get_them(machine):
    ended = machine.run("./spark-submit.sh")
    assert ended.returncode == 1
    assert "Spark needs Java 17 or newer; no java was found" in ended.stderr
    assert "Python 3.11 was not found" in ended.stderr
    for package in ("apt-get install openjdk-17", "dnf install java-17", "brew install openjdk@17",
                    "apt-get install python3.11", "dnf install python3.11", "brew install python@3.11"):
        assert package in ended.stderr
    assert not (machine.root / ".venv").exists()


def test_the_last_line_is_the_json_of_a_failed_run_even_when_spark_was_never_reached(machine):
    result = json.loads(machine.run("./spark-submit.sh", "jobs/train.py", "--config", "x.yaml").stdout.splitlines()[-1])
    assert result["status"] == "failed" and result["reason"] == "missing: Java 17 or newer, Python 3.11"
    assert set(result) >= {"run", "output", "rows", "epochs", "workers", "engine", "attempts", "seconds", "metrics"}


def test_an_older_java_is_told_by_its_version(machine):
    machine.give_java("1.8.0_302")
    assert "java is version 1" in machine.ensure().stderr
    machine.give_java("11.0.2")
    assert "java is version 11" in machine.ensure().stderr


def test_a_java_home_without_java_is_named(machine):
    machine.give_java()
    machine.variables["JAVA_HOME"] = "/nowhere"
    assert "JAVA_HOME=/nowhere has none that runs" in machine.ensure().stderr


def test_another_python_is_not_taken_for_3_11(machine):
    machine.give_java()
    machine.give("python3", "exit 1")
    ended = machine.ensure()
    assert ended.returncode == 1 and "Python 3.11 was not found" in ended.stderr and "Java" not in ended.stderr


def test_a_python_without_venv_is_told_with_the_package_that_has_it(machine):
    machine.give_java()
    machine.give("python3.11", 'case "$*" in *ensurepip*) exit 1 ;; esac')
    ended = machine.ensure()
    assert ended.returncode == 1
    assert "module venv or ensurepip is missing" in ended.stderr and "python3.11-venv" in ended.stderr


def test_without_a_compiler_it_installs_all_the_same_and_says_how_to_get_one(machine):
    machine.give_java()
    machine.give("python3.11", WITH_PYTHON)
    ended = machine.ensure()
    assert "no C++ compiler was found" in ended.stderr and "train with one worker" in ended.stderr
    for package in ("apt-get install g++", "dnf install gcc-c++", "xcode-select --install"):
        assert package in ended.stderr
    assert f"install {machine.root}/environment/install.py base" in ended.stderr


@pytest.mark.parametrize("compiler", ["g++", "c++", "clang++"])
def test_with_a_compiler_nothing_is_said_of_one(machine, compiler):
    machine.give_java()
    machine.give("python3.11", WITH_PYTHON)
    machine.give(compiler)
    assert "C++" not in machine.ensure().stderr


def test_run_tests_says_that_no_test_was_run(machine):
    ended = machine.run("./run-tests.sh", "--quick")
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == "sparktrain: no test was run; missing: Java 17 or newer, Python 3.11"
