"""What the launcher adds to a submit for each kind of cluster: read from spark-submit's own options."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path

import pytest

from sparktrain.config import ConfigError
from sparktrain.launcher import cluster_arguments
from sparktrain.launcher.cluster_arguments import SubmitCommand, build_submit_command
from sparktrain.launcher.command_line import CommandLine
from sparktrain.launcher.environment_package import NotPackaged, package_name
from sparktrain.launcher.job_arguments import arguments, load_job
from sparktrain.launcher.spark_options import read_options
from sparktrain.storage import SUMMARY

YAML = """
name: mine
data: {path: "hdfs:///rows", preprocess: "mine:prepare", features: [x], label: y}
model: {build: "mine:build"}
training: {workers: 2}
cluster: {worker_memory: 2g}
output: {path: "hdfs:///models"}
"""


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A user's folder, a folder of packages with this environment's, and no spark-defaults.conf."""
    (tmp_path / "mine.py").write_text("import helper\ndef prepare(frame): ...\ndef build(): ...\n")
    (tmp_path / "helper.py").write_text("")
    (tmp_path / "job.yaml").write_text(YAML)
    package = tmp_path / "envs" / package_name()
    package.mkdir(parents=True)
    (package / SUMMARY).write_text("{}")
    (tmp_path / "scratch").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SPARK_CONF_DIR", raising=False)
    return tmp_path


def build(home: Path, *spark: str, more: tuple[str, ...] = ()) -> SubmitCommand:
    words = ("--config", "job.yaml", *more)
    options = arguments().parse_args(words)
    return build_submit_command(CommandLine(spark, "train.py", words, options), *load_job(options), home / "scratch")


def submit(home: Path, *spark: str, more: tuple[str, ...] = ()) -> tuple[list[str], str | None]:
    built = build(home, *spark, more=more)
    return ["spark-submit", *built.line.words()], built.run


def settings(command: list[str]) -> dict[str, str]:
    return dict(read_options(command[1 : command.index("train.py")]).settings)


@pytest.mark.parametrize("master", ["yarn", "k8s://https://host:6443"])
def test_a_workers_memory_is_asked_of_what_counts_it(home, master):
    assert settings(submit(home, "--master", master)[0])["spark.executor.memoryOverhead"] == "2432m"
    given = submit(home, "--master", master, "--conf", "spark.executor.memoryOverhead=9g")[0]
    assert settings(given)["spark.executor.memoryOverhead"] == "9g"
    heap = submit(home, "--master", master, "--executor-memory", "20g")[0]
    assert settings(heap)["spark.executor.memoryOverhead"] == "4096m"


def test_without_a_word_a_worker_gets_what_the_last_run_took_and_at_least_two_gigabytes(home):
    def overhead(*spark: str) -> str | None:
        words = ("--set", "cluster.worker_memory=null", "--set", f"output.path=file://{home}/models")
        return settings(submit(home, "--master", *spark, more=words)[0]).get("spark.executor.memoryOverhead")

    assert overhead("yarn") == f"{384 + 2048}m" and overhead("spark://host:7077") is None
    assert overhead("yarn", "--conf", "spark.executor.memoryOverhead=512m") == "512m"
    (home / "models" / "one").mkdir(parents=True)
    summary = {"finished": "2026-01-01T00:00:00+00:00", "peak_memory": [3 << 30, 4 << 30]}
    (home / "models" / "one" / SUMMARY).write_text(json.dumps(summary))
    assert overhead("yarn") == f"{384 + 5 * 1024}m"


def test_each_process_that_scores_gets_memory_and_the_driver_stays_here(home):
    scoring = {"data": {"path": "x"}, "model": {"load": "hdfs:///models/latest"}, "output": {"path": "hdfs:///scores"}}
    (home / "scores.yaml").write_text(json.dumps(scoring))
    words = ("--config", "scores.yaml")
    options = arguments("score.py").parse_args(words)
    spark = ("--master", "yarn", "--deploy-mode", "cluster", "--executor-cores", "4", "--conf", "spark.task.cpus=2")
    built = build_submit_command(CommandLine(spark, "score.py", words, options), *load_job(options), home / "scratch")
    found = dict(read_options(built.line.words()[: -len(words) - 1]).settings)
    assert found["spark.executor.memoryOverhead"] == f"{384 + 2 * 2048}m" and found["spark.submit.deployMode"] == "client"
    assert built.run is None and built.line.arguments == words


def test_a_standalone_master_counts_no_memory(home):
    assert "spark.executor.memoryOverhead" not in settings(submit(home, "--master", "spark://host:7077")[0])


@pytest.mark.parametrize("master", ["yarn", "spark://host:7077"])
def test_a_packaged_environment_goes_along_beside_the_users_own_files(home, master):
    command, _ = submit(
        home,
        "--master",
        master,
        "--archives",
        "mine.zip#own",
        "--py-files",
        "own.py",
        "--conf",
        f"spark.sparktrain.packages={home}/envs",
    )
    found = read_options(command[1 : command.index("train.py")])
    package = (home / "envs" / package_name()).as_uri()
    assert found.lists["--archives"] == ("mine.zip#own", f"{package}/environment.tar.gz#environment")
    own, code = found.lists["--py-files"]
    assert own == "own.py" and "sparktrain/worker.py" in zipfile.ZipFile(code).namelist()
    assert found.settings["spark.pyspark.python"] == "./environment/bin/python"
    archive = f"{package}/spark-jars.zip"
    assert found.settings.get("spark.yarn.archive") == (archive if master == "yarn" else None)


def test_without_the_package_of_these_versions_a_submit_says_how_to_make_it(home):
    with pytest.raises(NotPackaged, match=rf"sparktrain package --to {home}/other"):
        submit(home, "--master", "yarn", "--conf", f"spark.sparktrain.packages={home}/other")


def test_in_cluster_mode_the_yaml_and_the_users_modules_go_along_and_the_run_has_a_name(home):
    command, run = submit(
        home, "--master", "yarn", "--deploy-mode", "cluster", more=("--set", "training.epochs=3", "--result", "line.json")
    )
    place = command.index("train.py")
    assert command[place + 1 :] == [
        "--config",
        "job/job.yaml",
        "--run-id",
        run,
        "--set",
        "training.epochs=3",
        "--set",
        'output.path="hdfs:///models"',
    ]
    [archive] = read_options(command[1:place]).lists["--archives"]
    path, _, name = archive.partition("#")
    assert name == "job" and sorted(zipfile.ZipFile(path).namelist()) == ["helper.py", "job.yaml", "mine.py"]
    assert settings(command)["spark.yarn.maxAppAttempts"] == "1"
    assert submit(home, "--master", "yarn", "--deploy-mode", "cluster", more=("--run-id", "mine"))[1] == "mine"


@pytest.mark.parametrize(
    "path, environment, settings, expected",
    [
        ("models/x", {"HADOOP_USER_NAME": "alice"}, {}, "hdfs://n:1/user/alice/models/x"),
        ("/models/x", {}, {}, "hdfs://n:1/models/x"),
        ("hdfs://other:2/x", {}, {}, "hdfs://other:2/x"),
        ("models/x", {"HADOOP_USER_NAME": "alice"}, {"--principal": "bob/host@REALM"}, "hdfs://n:1/user/bob/models/x"),
        ("models/x", {}, {"ticket": "Default principal: eve@REALM"}, "hdfs://n:1/user/eve/models/x"),
    ],
)
def test_a_run_on_the_cluster_is_looked_for_where_it_is_written(home, monkeypatch, path, environment, settings, expected):
    """Its program is told where that is, and doesn't go by whose name it runs under there."""
    kerberos = "<property><name>hadoop.security.authentication</name><value>kerberos</value></property>" if settings else ""
    (home / "core-site.xml").write_text(
        f"<configuration><property><name>fs.defaultFS</name><value>hdfs://n:1/</value></property>{kerberos}</configuration>"
    )
    monkeypatch.setenv("HADOOP_CONF_DIR", str(home))
    monkeypatch.setenv("PATH", str(home), prepend=os.pathsep)
    klist = home / "klist"
    klist.write_text(f"#!/bin/sh\necho 'Ticket cache: FILE:/tmp/krb5cc_0'\necho '{settings.get('ticket', '')}'\n")
    klist.chmod(0o755)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    text = YAML.replace('output: {path: "hdfs:///models"}', f"output: {{path: {path}}}")
    (home / "job.yaml").write_text(text)
    spark = [word for name, value in settings.items() if name != "ticket" for word in (name, value)]
    built = build(home, "--master", "yarn", "--deploy-mode", "cluster", *spark)
    assert built.output == expected and built.line.arguments[-1] == f'output.path="{expected}"'


def test_a_rehearsal_runs_beside_the_one_who_asked(home):
    command, run = submit(home, "--master", "yarn", "--deploy-mode", "cluster", more=("--check",))
    assert run is None and not read_options(command[1 : command.index("train.py")]).in_cluster


def test_yarn_is_sent_a_script_that_finds_gpus_unless_there_is_one(home):
    gpus = ("--conf", "spark.executor.resource.gpu.amount=2")
    found = read_options(submit(home, "--master", "yarn", *gpus)[0][1:])
    assert found.settings["spark.executor.resource.gpu.discoveryScript"] == "./discover-gpus.sh"
    assert found.settings["spark.executorEnv.SPARKTRAIN_GPUS"] == "2"
    assert found.lists["--files"] == (str(cluster_arguments._DISCOVER),)
    own = ("--conf", "spark.executor.resource.gpu.discoveryScript=/opt/gpus")
    found = read_options(submit(home, "--master", "yarn", *gpus, *own)[0][1:])
    assert found.settings["spark.executor.resource.gpu.discoveryScript"] == "/opt/gpus" and "--files" not in found.lists


def test_lists_that_are_settings_stay_beside_what_is_added(home):
    command, _ = submit(
        home,
        "--master",
        "yarn",
        "--conf",
        "spark.archives=mine.zip#m",
        "--conf",
        "spark.submit.pyFiles=own.py",
        "--conf",
        f"spark.sparktrain.packages={home}/envs",
    )
    place = command.index("train.py")
    assert command[command.index("--archives", 0, place) + 1].startswith("mine.zip#m,")
    assert command[command.index("--py-files", 0, place) + 1].startswith("own.py,")


def test_options_are_given_again_with_more(tmp_path):
    (tmp_path / "spark-defaults.conf").write_text("spark.master   yarn\nspark.files d\n")
    found = read_options(
        ["--master=spark://host:7077", "-c", "spark.a=3", "--verbose", "--files", "a,b", "--files", "c", "x.py"], str(tmp_path)
    )
    assert found.command({"spark.a": "4", "spark.d": "5"}, files=["e"]) == (
        "--master=spark://host:7077",
        "-c",
        "spark.a=3",
        "--verbose",
        "--files",
        "c,e",
        "--conf",
        "spark.d=5",
    )
    assert read_options([], str(tmp_path)).command({}) == ()


@pytest.mark.real
def test_options_are_read_as_spark_submit_reads_them(spark, tmp_path):
    """Every command line by Spark's own reader and by the launcher's."""
    jvm = spark.sparkContext._jvm
    names = {
        "master": "spark.master",
        "deployMode": "spark.submit.deployMode",
        "archives": "spark.archives",
        "pyFiles": "spark.submit.pyFiles",
        "files": "spark.files",
        "executorMemory": "spark.executor.memory",
        "executorCores": "spark.executor.cores",
    }
    (tmp_path / "spark-defaults.conf").write_bytes(
        b"# a comment\n! another\n  spark.master   yarn\nspark.master.rest.enabled true\nspark.a=1\nspark.b : 2\n\n"
        b"spark.long a value \nspark.c=x\\\n  y\nspark.d\\:e\\ f g\\u0041\\tz\nspark.latin caf\xe9\n=nothing\nspark.empty\n"
        b"spark.executor.memory=3g\nspark.files=/f\n"
    )
    own = tmp_path / "own.conf"
    own.write_text("spark.master local[3]\nspark.a 7\n")
    for options, more in (
        ([], {}),
        ([], {"MASTER": "local[9]", "DEPLOY_MODE": "cluster", "SPARK_EXECUTOR_MEMORY": "5g"}),
        (["--master", "spark://host:7077", "--conf", "spark.master=local[2]"], {}),
        (["--conf", "spark.master=local[2]", "--conf=spark.master=local[4]"], {}),
        (["--master=local", "--master", "yarn", "--deploy-mode", "client"], {}),
        (["--properties-file", str(own)], {"MASTER": "local[9]"}),
        (["--properties-file", str(own), "--load-spark-defaults", "--supervise"], {}),
        (["--load-spark-defaults", "--master", "yarn", "--name", "--odd"], {}),
        (["--files", "/a,/b", "--files", "/c", "--conf", "spark.files=/d", "--conf", "spark.archives=/mine.zip#m"], {}),
        (["-c", "spark.submit.pyFiles=/x.py", "-v", "--executor-memory", "1g", "--executor-cores=2"], {}),
    ):
        environment = {"SPARK_CONF_DIR": str(tmp_path), "HADOOP_CONF_DIR": str(tmp_path), **more}
        words = jvm.java.util.ArrayList()
        for word in [*options, "program.py", "--master", "an argument"]:
            words.add(word)
        converters = jvm.scala.jdk.javaapi.CollectionConverters
        variables = jvm.java.util.HashMap()
        for name, value in environment.items():
            variables.put(name, value)
        arguments = jvm.org.apache.spark.deploy.SparkSubmitArguments(
            converters.asScala(words).toSeq(),
            jvm.scala.collection.immutable.Map.__getattr__("from")(converters.asScala(variables)),
        )
        found = read_options([*options, "program.py", "--master", "an argument"], str(tmp_path), environment)
        theirs = {setting: getattr(arguments, name)() for name, setting in names.items()}
        ours = {setting: found.settings.get(setting) for setting in names.values()}
        for each in ("spark.archives", "spark.submit.pyFiles", "spark.files"):  # which Spark has made URLs of
            theirs[each] = theirs[each].replace("file:", "") if theirs[each] else None
        assert ours | {"spark.master": found.master} == theirs, options
        properties = dict(converters.asJava(arguments.sparkProperties()))
        for name in names.values():
            properties.pop(name, None)
        assert {name: value for name, value in found.settings.items() if name not in names.values()} == properties, options


SEARCH = """
base: settings/job.yaml
trials: 3
space: {model.args.units: {int: [1, 8]}}
goal: {metric: loss, mode: min}
"""


def test_a_search_goes_to_the_cluster_with_its_job_beside_it(home):
    (home / "settings").mkdir()
    (home / "job.yaml").rename(home / "settings" / "job.yaml")
    (home / "mine.py").write_text("def prepare(frame): ...\ndef build(units): ...\n")
    (home / "tune.yaml").write_text(SEARCH)
    words = ("--config", "tune.yaml", "--set", "parallel=2", "--set", "base.training.epochs=3", "--run-id", "mine")
    options = arguments("tune.py").parse_args(words)
    line = CommandLine(("--master", "yarn", "--deploy-mode", "cluster"), "tune.py", words, options)
    job, folders = load_job(options)
    assert (job.training.epochs, job.model.args) == (3, {"units": 1})
    built = build_submit_command(line, job, folders, home / "scratch")
    assert (built.run, built.output) == ("mine", "hdfs:///models")
    with zipfile.ZipFile(home / "scratch" / "sparktrain_job.zip") as archive:
        archive.extractall(home / "there" / "job")
    there = arguments("tune.py").parse_args([word.replace("job/", f"{home}/there/job/") for word in built.line.arguments])
    job, folders = load_job(there)
    assert job.training.epochs == 3 and there.run_id == "mine" and str(home / "there" / "job") in folders
    (home / "mine.py").write_text("def prepare(frame): ...\ndef build(width): ...\n")
    with pytest.raises(
        ConfigError, match=r"space\.model\.args\.units: mine:build has no argument 'units'; expected one of width"
    ):
        load_job(options)
