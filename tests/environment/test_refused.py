"""Where the environment can't be made: who owns what, and how much room there is, before anything is written."""

from __future__ import annotations

import ast
import getpass
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.real
PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture
def install(machine):
    """Runs install.py as a user who is not root."""
    return lambda layer: machine.as_a_user(sys.executable, str(machine.root / "environment" / "install.py"), layer)


@pytest.mark.parametrize("made", [False, True])
def test_a_checkout_that_may_not_be_written_to_is_named_with_its_owner_and_what_to_do(machine, install, made):
    if made:  # but by another version of the project
        (machine.root / ".venv").mkdir()
        (machine.root / ".venv").chmod(0o555)
    machine.root.chmod(0o555)
    before = sorted(machine.root.rglob("*"))
    try:
        ended = install("base")
    finally:
        machine.root.chmod(0o755)
    assert ended.returncode == 1 and "Traceback" not in ended.stderr
    assert ended.stdout == f"{machine.root} belongs to {getpass.getuser()}, and {getpass.getuser()} can't write to it\n"
    assert "Clone the project into a folder of your own" in ended.stderr and "ask" in ended.stderr
    assert [path for path in sorted(machine.root.rglob("*")) if "__pycache__" not in path.parts] == [
        path for path in before if "__pycache__" not in path.parts
    ]


def test_an_environment_whose_python_this_user_can_t_reach_is_told_by_that(machine, install):
    """As where root made it, with a Python of its own under /root."""
    hidden = machine.root.with_name("hidden")
    (hidden / "bin").mkdir(parents=True)
    (hidden / "bin" / "python").symlink_to(sys.executable)
    (machine.root / ".venv" / "bin").mkdir(parents=True)
    (machine.root / ".venv" / "bin" / "python").symlink_to(hidden / "bin" / "python")
    machine.stamp("base", "compiled")
    machine.root.chmod(0o555)
    hidden.chmod(0)
    try:
        ended = install("base")
    finally:
        machine.root.chmod(0o755)
        hidden.chmod(0o755)
    assert ended.returncode == 1 and "Traceback" not in ended.stderr
    assert f"runs on {hidden}/bin/python, which {getpass.getuser()} can't reach" in ended.stdout


def test_both_commands_say_why_in_their_last_words(machine):
    machine.give_java()
    machine.give("python3.13", f'exec {sys.executable} "$@"')
    file = machine.root / ".venv"
    file.mkdir()  # someone else's
    assert "was not made by this script" in machine.run("./run-tests.sh").stderr.splitlines()[-1]
    line = machine.run("./spark-submit.sh", "jobs/train.py", "--config", "x").stdout.splitlines()[-1]
    assert f"{file} exists and was not made by this script" in line


@pytest.mark.parametrize("free, fits", [(3.0e9, False), (6e9, True)])
def test_room_is_asked_of_the_disk_before_the_first_byte(machine, monkeypatch, free, fits):
    installer = machine.installer()
    steps = []
    monkeypatch.setattr(installer.shutil, "disk_usage", lambda path: installer.shutil._ntuple_diskusage(9e9, 9e9 - free, free))
    monkeypatch.setattr(installer, "step", lambda *words: steps.append(words))
    if fits:
        installer.make_base()
        assert steps
    else:
        with pytest.raises(installer.CannotInstall, match=r"has 3.0 GB free, and the environment takes [34]\.\d GB"):
            installer.make_base()
        assert not steps and not (machine.root / ".venv").exists()


def test_the_background_leaves_the_quickstart_its_memory(machine, monkeypatch):
    installer = machine.installer()
    for memory, both in ((6, False), (8, True)):
        monkeypatch.setattr(installer.os, "sysconf", lambda name, memory=memory: {"SC_PAGE_SIZE": 1}.get(name, memory * 10**9))
        assert installer.room_for_both() is both


@pytest.mark.parametrize("work", [False, True])
def test_a_local_cluster_on_another_user_s_spark_writes_to_a_folder_of_one_s_own(machine, work):
    spark, cache = machine.root / "spark", machine.root / "cache"
    (spark / "jars").mkdir(parents=True)
    (spark / "jars" / "a.jar").touch()
    if work:
        (spark / "work").mkdir(mode=0o555)
    spark.chmod(0o555)
    shown = "from os import environ; from sparktrain.launcher.spark_home import with_own_work as own; print(own({!r}, environ))"

    def home(master: str) -> str:
        variables = {"SPARK_HOME": str(spark), "XDG_CACHE_HOME": str(cache)}
        ended = machine.as_a_user(sys.executable, "-c", shown.format(master), **variables, PYTHONPATH=str(PROJECT))
        assert ended.returncode == 0, ended.stderr
        return ast.literal_eval(ended.stdout).get("SPARK_HOME")

    assert home("local[2]") is None and home("yarn") is None
    own = Path(home("local-cluster[2,1,1024]"))
    assert own == Path(home("local-cluster[2,1,1024]")) and own.is_relative_to(cache)  # and again on what is there
    assert (own / "jars" / "a.jar").exists() and list((own / "work").iterdir()) == [] and not (own / "work").is_symlink()
    spark.chmod(0o755)
    (spark / "work").mkdir(exist_ok=True)
    (spark / "work").chmod(0o755)
    assert home("local-cluster[2,1,1024]") is None
