"""Packages that few need are extras: the rest works without them, and what needs one names the extra."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
EXTRAS = {"avro": ["fastavro", "cramjam"], "kerberos": ["hdfs_native"], "plots": ["matplotlib"], "search": ["optuna"]}


@pytest.fixture
def without(monkeypatch):
    """Hides the packages of an extra from this process."""

    def hide(extra: str) -> None:
        for name in [name for name in sys.modules if name.partition(".")[0] in EXTRAS[extra]]:
            monkeypatch.delitem(sys.modules, name)
        for name in EXTRAS[extra]:
            monkeypatch.setitem(sys.modules, name, None)

    return hide


def test_the_projects_own_environment_has_them_all(monkeypatch):
    asked = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    monkeypatch.syspath_prepend(str(PROJECT / "environment"))
    base = runpy.run_path(str(PROJECT / "environment" / "install.py"))["EXTRAS"]["base"].split(",")
    assert EXTRAS.keys() <= set(base) and set(base) <= asked.keys()
    for extra, modules in EXTRAS.items():
        assert sorted(asked[extra]) == sorted(name.replace("_", "-") for name in modules)


def test_an_avro_file_names_the_extra_that_reads_it(without):
    from pyspark.sql.types import StructType

    from sparktrain.data import InputError, avro

    without("avro")
    for read in (lambda: avro.infer(b"Obj", "/rows.avro"), lambda: list(avro.decode(None, "/rows.avro", StructType()))):
        with pytest.raises(InputError, match=r"pip install 'sparktrain\[avro\]'"):
            read()


def test_an_hdfs_with_kerberos_names_the_extra_that_reaches_it(without, monkeypatch):
    from sparktrain.storage import StorageError, open_folder

    monkeypatch.delitem(sys.modules, "sparktrain.storage.native", raising=False)
    without("kerberos")
    with pytest.raises(StorageError, match=r"hdfs://namenode:8020/x: .* pip install 'sparktrain\[kerberos\]'"):
        open_folder("hdfs://namenode:8020/x", {"hadoop.security.authentication": "kerberos"})
    open_folder("hdfs://namenode:8020/x", {"dfs.namenode.http-address": "namenode:9870"})


def test_a_run_without_matplotlib_ends_well_with_a_note_and_the_history(without, monkeypatch):
    from sparktrain.driver.artifacts import artifacts
    from sparktrain.runs.records.origin import Lineage
    from sparktrain.storage import open_folder

    without("plots")
    monkeypatch.setattr(Lineage, "write", lambda *_: None)
    notes, folder = [], open_folder("memory://tests/without-matplotlib")
    artifacts.keep(folder, {"loss": [0.5]}, Lineage.model_construct(), notes.append)
    [note] = notes
    assert note.startswith("no history.png was drawn") and note.endswith("pip install 'sparktrain[plots]'")
    assert folder.list() == ["history.json"]


@pytest.mark.real
def test_no_room_needs_an_extra_to_be_imported():
    """Of a driver, a launcher, a task and a child."""
    modules = [
        "cli.job_program",
        "cli.command",
        "launcher.submit",
        "search",
        "search.tuning",
        "data.reading",
        "init.command",
        "cluster.task",
        "worker",
    ]
    hidden = [name for names in EXTRAS.values() for name in names]
    hide = f"import importlib, sys; sys.modules.update(dict.fromkeys({hidden}))"
    program = f"{hide}\nfor name in {modules}: importlib.import_module('sparktrain.' + name)"
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    subprocess.run([sys.executable, "-c", program], check=True, timeout=240, env=environment)
