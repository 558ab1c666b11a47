"""What spark-submit.sh is given: where spark-submit's options end, and which program is one of the project's jobs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sparktrain.launcher.command_line import read_command_line

JOB = ("--config", "job.yaml")


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A project's folder, and beside it a user's, which is the current one."""
    for folder in ("project/jobs", "user"):
        (tmp_path / folder).mkdir(parents=True)
    for name in ("train.py", "prepare.py", "tune.py", "quickstart.py", "compare.py", "doctor.py"):
        (tmp_path / "project" / "jobs" / name).touch()
    monkeypatch.chdir(tmp_path / "user")
    return tmp_path / "project"


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--master", "yarn"),
        ("--master=yarn", "-v"),
        ("--supervise", "--conf", "spark.a=1", "-c", "spark.b=--x", "--verbose"),
        ("--name", "--odd", "--load-spark-defaults"),
    ],
)
def test_spark_s_options_end_at_the_program(root, options):
    line = read_command_line([*options, "mine.py", "--master", "an argument"], root)
    assert (line.options, line.program, line.arguments) == (options, "mine.py", ("--master", "an argument"))
    assert line.words() == [*options, "mine.py", "--master", "an argument"] and line.job is None and not line.is_doctor


@pytest.mark.parametrize("words", [("--version",), ("--master", "yarn"), ("--master",)])
def test_options_alone_run_no_program(root, words):
    line = read_command_line(words, root)
    assert line.program is None and line.words() == list(words)


def test_a_job_is_known_by_whatever_path_and_its_arguments_are_parsed(root):
    os.symlink(root / "jobs" / "train.py", "link.py")
    given = ("--config=job.yaml", "--run-id", "mine", "--result", "end.json")
    paths = (str(root / "jobs" / "train.py"), "../project/jobs/train.py", "jobs/train.py")
    for path in paths:
        line = read_command_line(["-v", path, *given], root)
        assert (line.job.config, line.job.run_id, line.job.result) == ("job.yaml", "mine", "end.json"), path
        assert Path(line.program).samefile(root / "jobs" / "train.py")
    assert read_command_line(["jobs/quickstart.py", *JOB], root).job.config == "job.yaml"
    assert read_command_line(["jobs/prepare.py", *JOB, "--to", "hdfs:///there"], root).job.to == "hdfs:///there"
    assert read_command_line(["jobs/tune.py", *JOB], root).job.searches
    assert read_command_line(["jobs/doctor.py", "--workers", "1"], root).is_doctor


def test_programs_that_tell_their_ends_in_their_own_way_are_no_jobs(root):
    assert read_command_line(["jobs/compare.py", *JOB], root).job is None
    assert read_command_line(["jobs/train.py", "--help"], root).job is None
    assert read_command_line(["jobs/missing.py", *JOB], root).program == "jobs/missing.py"


def test_a_program_of_the_user_s_own_comes_before_the_project_s_of_that_name(root):
    Path("jobs").mkdir()
    for name in ("train.py", "doctor.py"):
        Path("jobs", name).touch()
        line = read_command_line([f"jobs/{name}", *JOB], root)
        assert line.program == f"jobs/{name}" and line.job is None and not line.is_doctor


def test_arguments_that_a_job_does_not_take_are_refused_with_the_line(root, capsys):
    with pytest.raises(SystemExit) as end:
        read_command_line(["jobs/train.py", *JOB, "--epochs", "3"], root)
    assert end.value.code == 2 and '"status": "refused"' in capsys.readouterr().out
