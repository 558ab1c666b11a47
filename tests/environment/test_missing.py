"""On a machine that lacks something, the commands say what, and how to get it, and leave nothing behind."""

from __future__ import annotations

import json
import os
import re

import pytest

from sparktrain.runs import Result

pytestmark = pytest.mark.real

WITH_PYTHON = 'case "$*" in *install.py*) echo "install $*" >&2 ;; esac'  # 3.11 to 3.13 by its answers; installs nothing


def test_a_missing_python_is_named_with_how_to_get_it(machine):
    ended = machine.run("./spark-submit.sh")
    assert ended.returncode == 1 and "Python 3.11, 3.12 or 3.13 was not found" in ended.stderr
    for way in ("uv python install 3.13", "apt-get install python3 python3-venv", "dnf install python3", "brew install python@3"):
        assert way in ended.stderr
    assert "Java" not in ended.stderr  # the environment would bring one
    assert not (machine.root / ".venv").exists()


def test_the_last_line_is_the_json_of_a_failed_run_even_when_spark_was_never_reached(machine):
    result = json.loads(machine.run("./spark-submit.sh", "jobs/train.py", "--config", "x.yaml").stdout.splitlines()[-1])
    assert result["status"] == "failed" and result["reason"] == "missing: Python 3.11, 3.12 or 3.13"
    assert result == Result(run=None, status="failed", reason=result["reason"]).to_dict()


@pytest.mark.parametrize("name", ["python3.11", "python3.12", "python3.13", "python3", "python"])
def test_each_python_that_tensorflow_has_wheels_for_makes_the_environment(machine, name):
    machine.give_java()
    machine.give(name, WITH_PYTHON)
    assert f"install {machine.root}/environment/install.py base\n" in machine.ensure().stderr


def test_another_python_is_not_taken_for_one_of_them(machine):
    machine.give("python3", "exit 1")
    ended = machine.ensure()
    assert ended.returncode == 1 and "Python 3.11, 3.12 or 3.13 was not found" in ended.stderr


def test_a_python_without_venv_is_passed_over_and_named_where_there_is_no_other(machine):
    machine.give("python3.11", 'case "$*" in *ensurepip*) exit 1 ;; esac')
    ended = machine.ensure()
    assert ended.returncode == 1
    assert (
        f"{machine.bin}/python3.11 can make no environments: its module venv" in ended.stderr and "python3-venv" in ended.stderr
    )
    machine.give("python3.12", WITH_PYTHON)
    assert "install.py base" in machine.ensure().stderr


@pytest.mark.parametrize("java", [None, "1.8.0_302", "11.0.2"])
def test_where_there_is_no_java_for_spark_the_environment_brings_one(machine, java):
    if java:
        machine.give_java(java)
    machine.give("python3.13", WITH_PYTHON)
    assert f"install {machine.root}/environment/install.py base java\n" in machine.ensure().stderr


def test_the_java_of_the_environment_is_used_only_while_the_machine_has_none(machine):
    python = machine.root / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to("/bin/true")
    machine.stamp("base", "java", "compiled")
    assert machine.ensure().stdout == f"{python}|||{machine.root}/.venv\n"
    machine.variables["JAVA_HOME"] = f"{machine.root}/.venv"  # what a command of ours gives to another one
    assert machine.ensure().stdout == f"{python}|||{machine.root}/.venv\n"
    del machine.variables["JAVA_HOME"]
    machine.give_java("25")
    assert machine.ensure().stdout == f"{python}|||\n"


@pytest.mark.parametrize("set_home", [False, True])
def test_a_java_that_fails_is_shown_with_what_it_says_and_not_passed_over(machine, set_home):
    machine.give("java", "echo 'Picked up JAVA_TOOL_OPTIONS: -Xmx9g' >&2; echo 'Could not reserve enough space' >&2; exit 1")
    machine.give("python3.13", WITH_PYTHON)
    if set_home:
        (machine.root / "bin").symlink_to(machine.bin)
        machine.variables["JAVA_HOME"] = str(machine.root)
    ended = machine.ensure()
    assert ended.returncode == 1 and ended.stdout.split("|")[2] == "missing: Java 17 or newer"
    assert re.search(r"java -version` failed with exit status 1: Picked up .*\nCould not reserve enough space", ended.stderr)
    assert "install" not in ended.stderr.replace("is installed into .venv", "")


def test_what_java_s_options_add_to_its_answer_is_not_its_version(machine):
    machine.give("java", "echo 'Picked up JAVA_TOOL_OPTIONS: -Dversion=11' >&2; echo 'openjdk version \"21.0.8\" 2025-07-15' >&2")
    machine.give("python3.12", WITH_PYTHON)
    assert "install.py base\n" in machine.ensure().stderr


def test_a_java_home_without_a_java_that_spark_runs_on_is_the_user_s_to_mend(machine):
    machine.give_java()
    machine.variables["JAVA_HOME"] = "/nowhere"
    assert "JAVA_HOME=/nowhere has no bin/java" in machine.ensure().stderr
    (machine.root / "bin").symlink_to(machine.bin)
    machine.variables["JAVA_HOME"] = str(machine.root)
    machine.give_java("11.0.2")
    ended = machine.ensure()
    assert "bin/java is version 11" in ended.stderr and "unset JAVA_HOME" in ended.stderr


def test_without_a_compiler_it_installs_all_the_same_and_says_how_to_get_one(machine):
    machine.give_java()
    machine.give("python3.11", WITH_PYTHON)
    ended = machine.ensure()
    assert "no C++ compiler was found" in ended.stderr and "train by TensorFlowOnSpark" in ended.stderr
    for package in ("apt-get install g++", "dnf install gcc-c++", "xcode-select --install"):
        assert package in ended.stderr
    assert f"install {machine.root}/environment/install.py base" in ended.stderr


@pytest.mark.parametrize("compiler", ["g++", "c++", "clang++"])
def test_with_a_compiler_nothing_is_said_of_one(machine, compiler):
    machine.give_java()
    machine.give("python3.11", WITH_PYTHON)
    machine.give(compiler)
    assert "C++" not in machine.ensure().stderr


@pytest.mark.parametrize("option, nothing", [("--quick", "no test was run"), ("--docs", "the site was not built")])
def test_run_tests_says_that_nothing_was_done(machine, option, nothing):
    ended = machine.run("./run-tests.sh", option)
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == f"sparktrain: {nothing}; missing: Python 3.11, 3.12 or 3.13"


@pytest.mark.parametrize("command", ["spark-submit.sh", "run-tests.sh"])
def test_the_commands_are_found_by_links_to_them(machine, command):
    elsewhere = machine.root.with_name("home") / "bin"
    elsewhere.mkdir(parents=True)
    (elsewhere / "absolute").symlink_to(machine.root / command)
    (elsewhere / "relative").symlink_to("absolute")
    os.symlink(os.path.relpath(elsewhere / "relative", elsewhere.parent), elsewhere.parent / command)
    ended = machine.run(str(elsewhere.parent / command), "--help", cwd=elsewhere)
    assert ended.returncode == 0 and f"./{command}" in ended.stdout, ended.stderr
