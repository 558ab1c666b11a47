"""An active environment of the user's own is used as it is, if it has the package."""

from __future__ import annotations

import sys

import pytest

pytestmark = pytest.mark.real


@pytest.fixture
def active(machine):
    """A machine where an environment is active that finds the packages in its own folder `site` only."""
    machine.give_java()
    machine.give("python3.11", 'case "$*" in *install.py*) echo "INSTALLS" >&2 ;; esac')
    prefix = machine.root.with_name("own")
    (prefix / "bin").mkdir(parents=True)
    (prefix / "site").mkdir()
    python = prefix / "bin" / "python"
    python.write_text(f'#!/bin/bash\nPYTHONPATH="{prefix}/site" exec {sys.base_prefix}/bin/python3 -S "$@"\n')
    python.chmod(0o755)
    machine.variables["VIRTUAL_ENV"] = str(prefix)
    machine.site = prefix / "site"
    return machine


def add(folder, *packages):
    for package in packages:
        (folder / package).mkdir()
        (folder / package / "__init__.py").touch()


@pytest.mark.parametrize("variable", ["VIRTUAL_ENV", "CONDA_PREFIX"])
def test_it_is_used_and_nothing_is_installed(active, variable):
    active.variables[variable] = active.variables.pop("VIRTUAL_ENV")
    add(active.site, "sparktrain", "horovod")
    ended = active.ensure("test")
    assert ended.returncode == 0 and ended.stderr == ""
    assert ended.stdout == f"{active.site.parent}/bin/python|||\n"


def test_its_lack_of_horovod_is_known(active):
    add(active.site, "sparktrain")
    assert active.ensure().stdout.split("|")[1] == f"the active environment {active.site.parent} has none"


def test_without_the_package_it_is_not_used_and_that_is_said(active):
    add(active.root, "sparktrain")  # the project's own folder, where the commands are started, is no installation
    ended = active.ensure()
    assert f"the active environment {active.site.parent} has no sparktrain" in ended.stderr
    assert "INSTALLS" in ended.stderr


def test_no_java_is_installed_into_it_and_the_ways_to_one_are_named(active):
    add(active.site, "sparktrain", "horovod")
    (active.bin / "java").unlink()
    ended = active.ensure()
    assert ended.returncode == 1 and ended.stdout.split("|")[2] == "missing: Java 17 or newer"
    for way in ("apt-get install default-jre-headless", "dnf install java-21", "brew install openjdk@21", "deactivate"):
        assert way in ended.stderr
    assert "INSTALLS" not in ended.stderr
