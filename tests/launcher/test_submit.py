"""What the launcher makes of a command line before spark-submit: the job is read once, Spark found, refusals told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sparktrain.launcher import job_arguments, submit

ROOT = Path(__file__).resolve().parents[2]
YAML = "data: {path: /rows, features: [x], label: y}\nmodel: {build: mine:build}\noutput: {path: /models}\n"
JOB = ("jobs/train.py", "--config", "job.yaml")


class Started:
    """Stands where spark-submit is started; keeps what it would be started with."""

    def __init__(self, command, options, folder, on_cluster, environment, logged):
        self.command, self.options, self.on_cluster, self.logged = command, options, on_cluster, logged
        Started.last = self

    def run(self):
        return 0


@pytest.fixture
def launch(tmp_path, monkeypatch):
    """Runs the launcher up to spark-submit, in a user's folder, without a Spark or a Hadoop of the user's."""
    (tmp_path / "job.yaml").write_text(YAML)
    (tmp_path / "mine.py").write_text("def build(): pass\n")
    (tmp_path / "hadoop").mkdir()
    monkeypatch.chdir(tmp_path)
    for name in ("SPARK_HOME", "SPARK_CONF_DIR", "HADOOP_CONF_DIR", "YARN_CONF_DIR"):
        monkeypatch.setenv(name, "")  # put back after the test, whatever the launcher sets
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))  # where no sandbox runs
    monkeypatch.setattr(submit, "Submission", Started)
    Started.last = None
    loaded = []
    load = job_arguments.load
    monkeypatch.setattr(job_arguments, "load", lambda *words: loaded.append(words) or load(*words))

    def launched(*words: str) -> tuple[int, Started | None]:
        loaded.clear()
        status = submit.main([str(ROOT), "", *words])
        return status, Started.last

    launched.loaded = loaded
    return launched


@pytest.mark.parametrize("options", [("--master", "local[2]"), ("--master", "yarn", "--deploy-mode", "cluster")])
def test_a_job_s_file_is_read_once_and_every_line_has_its_run_s_name(launch, options, monkeypatch, tmp_path):
    monkeypatch.setenv("HADOOP_CONF_DIR", str(tmp_path / "hadoop"))
    status, started = launch(*options, *JOB)
    assert status == 0 and started.options.run_id and started.logged
    assert len(launch.loaded) == 1
    place = started.command.index("--run-id")
    assert started.command[place + 1] == started.options.run_id
    assert (started.on_cluster is not None) == ("cluster" in options)
    assert Path(started.command[0]).parts[-3:] == ("pyspark", "bin", "spark-submit")


def test_a_program_of_the_user_s_own_goes_as_it_was_typed(launch):
    words = ["--master", "local[2]", "own.py", "--config", "job.yaml"]
    status, started = launch(*words)
    assert status == 0 and started.command[1:] == words and started.options is None and not started.logged


def spark(home: Path, version: str) -> str:
    """Make a Spark of a version, of empty files."""
    (home / "bin").mkdir(parents=True)
    (home / "jars").mkdir()
    (home / "bin" / "spark-submit").touch(mode=0o755)
    (home / "jars" / f"spark-core_2.13-{version}.jar").touch()
    return str(home)


def test_a_cluster_s_own_spark_is_used_and_named(launch, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("SPARK_HOME", spark(tmp_path / "spark", "4.1.0-SNAPSHOT"))
    _, started = launch(*JOB)
    assert started.command[0] == f"{tmp_path}/spark/bin/spark-submit"
    assert f"Spark is SPARK_HOME's, 4.1.0-SNAPSHOT: {tmp_path}/spark" in capsys.readouterr().err


@pytest.mark.parametrize("version, reason", [("3.5.1", "is Spark 3.5.1, and 4.0 or newer is needed"), (None, "holds no Spark")])
def test_a_spark_that_is_too_old_or_not_there_is_told_by_line_and_to_who_runs_a_program_of_their_own(
    launch, monkeypatch, tmp_path, capsys, version, reason
):
    monkeypatch.setenv("SPARK_HOME", spark(tmp_path / "spark", version) if version else "/nowhere")
    status, started = launch(*JOB, "--result", "end.json")
    told = capsys.readouterr()
    end = json.loads(told.out)
    assert (status, started, end["status"]) == (1, None, "failed") and reason in end["reason"] and reason in told.err
    assert json.loads((tmp_path / "end.json").read_text()) == end
    assert launch("own.py") == (1, None)
    told = capsys.readouterr()
    assert told.out == "" and reason in told.err


def test_spark_connect_is_refused_for_a_job(launch, capsys):
    assert launch("--remote", "sc://host", *JOB) == (2, None)
    assert "Spark Connect (sc://host)" in json.loads(capsys.readouterr().out)["reason"]


def test_an_error_that_nobody_expected_is_told_with_its_traceback_and_the_line(launch, capsys, monkeypatch):
    monkeypatch.setattr(job_arguments, "load", lambda *words: 1 / 0)
    assert launch(*JOB) == (1, None)
    told = capsys.readouterr()
    assert json.loads(told.out)["reason"].startswith("ZeroDivisionError") and "Traceback" in told.err
