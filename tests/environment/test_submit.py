"""What spark-submit.sh hands to Spark, seen by a program that the real spark-submit runs."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from sparktrain.launcher.spark_home import package_folder

pytestmark = pytest.mark.real

# Prints what it was started with; brings up the gateway to Spark's settings but no Spark context.
PROGRAM = """
import json, os, sys
from pyspark import SparkConf, SparkContext
SparkContext._ensure_initialized()
names = ("HADOOP_CONF_DIR", "PYSPARK_PYTHON", "SPARK_CONF_DIR", "SPARK_LOCAL_IP", "TF_CPP_MIN_LOG_LEVEL")
print(json.dumps({"file": sys.argv[0], "arguments": sys.argv[1:], "folder": os.getcwd(), "python": sys.executable,
                  "conf": dict(SparkConf().getAll()), **{name: os.environ.get(name) for name in names}}))
"""


@pytest.fixture
def user(machine):
    """A user with an environment of their own, in a folder of their own outside the project."""
    machine.use_active_environment()
    machine.home = machine.root.with_name("a user's folder")
    machine.home.mkdir()
    return machine


def test_a_user_s_own_folder_environment_options_and_arguments_reach_the_program(user):
    (user.home / "mine.py").write_text(PROGRAM)
    (user.home / "hadoop").mkdir()
    user.variables["HADOOP_CONF_DIR"] = str(user.home / "hadoop")
    ended = user.run(
        str(user.root / "spark-submit.sh"),
        "--supervise",
        "--conf",
        "spark.locality.wait=7s",
        "--name=a b",
        "mine.py",
        "--master",
        "an argument",
        "--config",
        "x y",
        cwd=user.home,
    )
    assert ended.returncode == 0, ended.stderr
    seen = json.loads(ended.stdout.splitlines()[-1])
    assert seen["file"].endswith("mine.py") and seen["arguments"] == ["--master", "an argument", "--config", "x y"]
    assert seen["folder"] == str(user.home)
    assert seen["python"] == seen["PYSPARK_PYTHON"] == f"{sys.prefix}/bin/python"
    assert seen["HADOOP_CONF_DIR"] == str(user.home / "hadoop")
    assert seen["SPARK_CONF_DIR"] == f"{user.root}/conf" and seen["SPARK_LOCAL_IP"] == "127.0.0.1"
    assert seen["TF_CPP_MIN_LOG_LEVEL"] == "2"
    assert seen["conf"]["spark.master"] == "local-cluster[2,1,1024]"
    assert seen["conf"]["spark.sql.session.timeZone"] == "UTC" and seen["conf"]["spark.locality.wait"] == "7s"
    assert seen["conf"]["spark.app.name"] == "a b"
    assert not (user.root / ".venv").exists()


def test_the_project_s_jobs_are_found_from_everywhere_and_a_user_s_options_win(user):
    (user.root / "jobs" / "shown.py").write_text(PROGRAM)
    (user.home / "own.conf").write_text("spark.master  spark://nowhere:1\n")
    user.variables |= {"PYSPARK_PYTHON": "/opt/on/the/nodes/python"}
    ended = user.run(str(user.root / "spark-submit.sh"), "--properties-file", "own.conf", "jobs/shown.py", cwd=user.home)
    assert ended.returncode == 0, ended.stderr
    seen = json.loads(ended.stdout.splitlines()[-1])
    assert seen["file"] == f"{user.root}/jobs/shown.py" and seen["arguments"] == []
    assert seen["conf"]["spark.master"] == "spark://nowhere:1" and "spark.locality.wait" not in seen["conf"]
    assert seen["PYSPARK_PYTHON"] == "/opt/on/the/nodes/python" and seen["SPARK_LOCAL_IP"] is None
    assert seen["HADOOP_CONF_DIR"] is None


@pytest.mark.parametrize("arguments", [["--config", "missing.yaml"], ["--config=missing.yaml"]])
def test_a_configuration_that_can_t_work_is_refused_before_spark_starts(user, arguments):
    ended = user.run(str(user.root / "spark-submit.sh"), "--master", "local[1]", "jobs/train.py", *arguments, cwd=user.home)
    assert ended.returncode == 2
    result = json.loads(ended.stdout.splitlines()[-1])
    assert result["status"] == "refused" and "missing.yaml" in result["reason"]
    assert "missing.yaml" in ended.stderr and "spark" not in ended.stderr.lower()


def test_run_tests_hands_pytest_its_arguments_and_gives_back_its_status(user):
    (user.root / "test_a.py").write_text(
        "import pytest\n"
        "@pytest.mark.slow\ndef test_slow(): assert False\n"
        "@pytest.mark.real\ndef test_real(): assert False\n"
        "def test_unit(): pass\n"
    )
    (user.root / "pytest.ini").write_text("[pytest]\nmarkers =\n    real\n    slow\n")
    command = str(user.root / "run-tests.sh")
    assert "1 failed, 1 passed, 1 deselected in" in user.run(command, "--quick", "-n0", cwd=user.home).stdout.splitlines()[-1]
    both = user.run(command, "test_a.py", "--quick", "-q", "--unit", "-n0", cwd=user.home)
    assert both.returncode == 0 and both.stdout.splitlines()[-1].startswith("1 passed, 2 deselected")
    every = user.run(command, cwd=user.home)
    assert every.returncode == 1 and "2 failed, 1 passed" in every.stdout.splitlines()[-1]


# Prints Spark's home, and a sum that an executor has made.
JOB = """
import json, os
from pyspark.sql import SparkSession
session = SparkSession.builder.getOrCreate()
print(json.dumps({"home": os.environ["SPARK_HOME"], "sum": session.sparkContext.parallelize(range(10), 1).sum()}))
"""


def test_a_local_cluster_runs_where_spark_s_folder_is_another_user_s(user):
    spark, cache = user.root.with_name("another user's spark"), user.home / "cache"
    spark.mkdir()
    for entry in package_folder("pyspark").iterdir():
        if entry.name != "work":
            (spark / entry.name).symlink_to(entry)
    spark.chmod(0o555)
    (user.home / "mine.py").write_text(JOB)
    submit = (str(user.root / "spark-submit.sh"), "--master", "local-cluster[1,1,1024]", str(user.home / "mine.py"))
    ended = user.as_a_user(*submit, **user.variables, SPARK_HOME=str(spark), XDG_CACHE_HOME=str(cache))
    assert ended.returncode == 0, ended.stderr
    seen = json.loads(ended.stdout.splitlines()[-1])
    assert seen["sum"] == sum(range(10))
    assert Path(seen["home"]).is_relative_to(cache)
    assert list(Path(seen["home"], "work").glob("app-*/0/stderr"))  # the executor's log
