"""Spark's classes from an archive: where it is used, and that a real Spark takes it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sparktrain.launcher.class_archive import ARCHIVE, with_archive
from sparktrain.launcher.command_line import CommandLine
from sparktrain.launcher.spark_options import read_options

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def place(tmp_path):
    """An environment with an archive and a Spark, and a folder of Spark's configuration."""
    home, conf = tmp_path / ".venv" / "pyspark", tmp_path / "conf"
    home.mkdir(parents=True)
    conf.mkdir()
    for name in ("spark-defaults.conf", "log4j2.properties", "mine.yaml"):
        (conf / name).touch()
    (conf / "spark-defaults.conf").write_text("spark.master local-cluster[2,1,1024]\n")
    archive = tmp_path / ".venv" / "spark-classes.jsa"
    archive.touch()

    def arrange(*typed: str, **environment: str) -> tuple[list[str], dict[str, str]]:
        where = {"SPARK_HOME": str(home), "SPARK_CONF_DIR": str(conf), **environment}
        line, more = with_archive(CommandLine(typed, "job.py"), read_options(typed, str(conf)), where, archive)
        return line.words(), more

    arrange.conf, arrange.home, arrange.archive = conf, home, archive
    return arrange


def test_driver_and_executors_on_this_machine_get_it_and_the_configuration_by_name(place):
    command, more = place("--name", "x", SPARK_SUBMIT_OPTS="-Dmine=1")
    assert command[-3:] == ["--name", "x", "job.py"]
    assert command[:2] == ["--properties-file", f"{place.conf}/spark-defaults.conf"]
    [executors] = [word for word in command if word.startswith("spark.executor.defaultJavaOptions=")]
    for options in (executors, more["SPARK_SUBMIT_OPTS"]):
        assert f"-XX:SharedArchiveFile={place.archive}" in options
        assert f"-Dlog4j2.configurationFile={place.conf}/log4j2.properties" in options
    assert more["SPARK_SUBMIT_OPTS"].endswith("-Dmine=1")
    assert more["SPARK_CONF_DIR"] == f"{place.home}/conf"


def test_what_a_user_says_wins(place):
    mine = "spark.executor.defaultJavaOptions=-Dmine=1"
    command, _ = place("--properties-file", "mine.conf", "--conf", mine, "--master", "local[2]")
    assert command == ["--properties-file", "mine.conf", "--conf", mine, "--master", "local[2]", "job.py"]


@pytest.mark.parametrize("name", ["hive-site.xml", "spark-env.sh", "metrics.properties"])
def test_a_folder_of_configuration_that_spark_itself_has_to_see_stays_on_its_class_path(place, name):
    (place.conf / name).touch()
    assert place("--name", "x") == (["--name", "x", "job.py"], {})


@pytest.mark.parametrize(
    "typed, environment",
    [
        (["--master", "yarn"], {}),
        ([], {"SPARK_HOME": "/opt/spark"}),
        ([], {"SPARK_CONF_DIR": ""}),
    ],
)
def test_a_cluster_and_a_spark_of_its_own_start_as_they_would(place, typed, environment):
    assert place(*typed, **environment) == ([*typed, "job.py"], {})


@pytest.mark.real
@pytest.mark.skipif(Path(sys.prefix) != ROOT / ".venv", reason="an environment that the project did not make has no archive")
@pytest.mark.skipif(Path(sys.prefix, "bin", "java").exists(), reason="the Java that comes as a package takes no archive")
def test_spark_takes_its_classes_from_it(tmp_path):
    assert ARCHIVE.is_file(), "see .venv/install.log"
    [home] = (ROOT / ".venv" / "lib").glob("python3*/site-packages/pyspark")
    environment = {name: value for name, value in os.environ.items() if name != "JAVA_TOOL_OPTIONS"}
    environment |= {"SPARK_HOME": str(home), "SPARK_CONF_DIR": str(ROOT / "conf")}
    options = read_options([], environment["SPARK_CONF_DIR"])
    line, more = with_archive(CommandLine(("--version",)), options, environment)
    more["SPARK_SUBMIT_OPTS"] += f" -Xlog:class+load:file={tmp_path}/classes"
    command = [str(home / "bin" / "spark-submit"), *line.words()]
    subprocess.run(command, env=environment | more, check=True, timeout=180, capture_output=True)
    loaded = [line for line in (tmp_path / "classes").read_text().splitlines() if " org.apache.spark." in line]
    archived = [line for line in loaded if "shared objects file (top)" in line]
    assert len(archived) > 100, f"{len(loaded)} were loaded"
