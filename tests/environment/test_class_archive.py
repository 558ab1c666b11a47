"""An archive of Spark's classes takes a minute to write, and is written only where Java or Spark's jars are others."""

from __future__ import annotations

import importlib.util
import subprocess
from pathlib import Path

import pytest

PROGRAM = Path(__file__).resolve().parents[2] / "environment" / "class_archive.py"


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Writes an archive for a Spark whose spark-submit writes anything; gives whether it was asked to."""
    spec = importlib.util.spec_from_file_location("class_archive", PROGRAM)
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    spark, java = tmp_path / "pyspark", tmp_path / "java" / "bin"
    for folder in (spark / "jars", spark / "bin", java):
        folder.mkdir(parents=True)
    (spark / "__init__.py").touch()
    (spark / "jars" / "core.jar").write_text("classes")
    monkeypatch.setattr(
        program.importlib.util, "find_spec", lambda name: importlib.util.spec_from_file_location(name, spark / "__init__.py")
    )
    monkeypatch.setenv("JAVA_HOME", str(java.parent))
    runs = []

    def run(words, **options):
        if words[0] == java / "java":
            return subprocess.CompletedProcess(words, 0, stderr=(java / "version").read_text())
        runs.append(words)
        (tmp_path / "archive.new").write_text(f"archive {len(runs)}")

    monkeypatch.setattr(program.subprocess, "run", run)

    def write() -> bool:
        before = len(runs)
        program.write(tmp_path / "archive.jsa")
        return len(runs) > before

    write.spark, write.java, write.archive = spark, java, tmp_path / "archive.jsa"
    (java / "version").write_text("17")
    return write


def test_it_is_written_once_for_the_same_java_and_jars(written):
    assert written() and written.archive.read_text().startswith("archive")
    assert not written()
    (written.spark / "jars" / "core.jar").write_text("other classes")
    assert written() and not written()
    (written.java / "version").write_text("21")
    assert written() and not written()
    written.archive.unlink()
    assert written()
