"""Adds what a submit to a cluster needs to the user's command: the packaged environment, the job's own code, memory."""

from __future__ import annotations

import getpass
import json
import os
import re
import subprocess
import sys
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sparktrain.cluster.executors.memory import OVERHEAD, overhead_needed
from sparktrain.config import Job, ScoringJob, load_search
from sparktrain.known_messages.kerberos import PRINCIPAL
from sparktrain.launcher.command_line import CommandLine
from sparktrain.launcher.environment_package import ENVIRONMENT, JARS, own_code, packaged
from sparktrain.launcher.errors import CantSubmit
from sparktrain.launcher.java import find_java, has_kerberos
from sparktrain.launcher.spark_options import SparkOptions, read_options
from sparktrain.runs.finished import latest, resolve, summary_of
from sparktrain.runs.run_id import new_run_id
from sparktrain.storage import SUMMARY, StorageError, open_folder
from sparktrain.storage.hadoop import asks_for_kerberos, default_file_system, hadoop_settings, user_name
from sparktrain.usercode.packing import content, pack

PACKAGES = "spark.sparktrain.packages"  # the folder that `sparktrain package --to` was given
_DISCOVERY = "spark.executor.resource.gpu.discoveryScript"
_DISCOVER = Path(__file__).resolve().parents[2] / "conf" / "discover-gpus.sh"  # in a checkout of the project
_SCORER = 2048  # MB of a process that scores: TensorFlow and a small model take about 1 GB
_UNPACKED = "./environment"
_BASE = "base-of-the-search.yaml"
_JOB = "job"  # where the YAML and the user's modules are unpacked on the cluster


@dataclass(frozen=True)
class SubmitCommand:
    """A complete command line of spark-submit.

    Attributes:
        line: spark-submit's options, the program and the program's arguments.
        run: in deploy mode `cluster` the run's id, to read its result from the storage; else None.
        output: in deploy mode `cluster` the URL of the run's output.path; else None.
    """

    line: CommandLine
    run: str | None = None
    output: str | None = None


def build_submit_command(line: CommandLine, job: Job | ScoringJob, folders: Sequence[str], folder: Path) -> SubmitCommand:
    """Add to a job's command line what its cluster needs.

    Args:
        line: the command line as typed.
        job: the job that the program's arguments name.
        folders: where the user's modules are looked up.
        folder: an empty local folder that exists until spark-submit has ended.

    Raises:
        NotPackaged, StorageError, TooLarge: the environment or the job's code can't be made available to the cluster.
    """
    assert line.job is not None
    typed = line.options
    if line.job.check or not isinstance(job, Job) or line.job.to is not None:
        typed = (*typed, "--deploy-mode", "client")  # a rehearsal, a preparation and a scoring show their result here
    spark = read_options(typed, os.environ.get("SPARK_CONF_DIR"), os.environ)
    arguments, run, output = line.arguments, None, None
    settings, lists = _environment(spark, folder)
    if OVERHEAD not in spark.settings and (spark.master == "yarn" or spark.master.startswith("k8s:")):
        settings[OVERHEAD] = f"{overhead_needed(_worker_memory(job, spark), spark.settings)}m"
    if spark.in_cluster and isinstance(job, Job):
        run = line.job.run_id or new_run_id()
        lists["archives"].append(f"{_packed_job(job, line.job, folders, folder)}#{_JOB}")
        output = output_there(job, spark.settings.get("spark.kerberos.principal"))
        arguments = _arguments_there(line.job, run, output)
        # A program that ended with an error would fail again; a run whose driver was lost is resumed by its id.
        settings["spark.yarn.maxAppAttempts"] = "1"
    return SubmitCommand(replace(line, options=spark.command(settings, **lists), arguments=arguments), run, output)


def build_doctor_command(line: CommandLine, folder: Path) -> CommandLine:
    """Add to the command line of jobs/doctor.py what a job would get; the program itself always runs in client mode.

    Args:
        line: the command line as typed.
        folder: an empty local folder that exists until spark-submit has ended.

    Raises:
        NotPackaged, StorageError: the environment can't be made available to the cluster.
    """
    spark = read_options([*line.options, "--deploy-mode", "client"], os.environ.get("SPARK_CONF_DIR"), os.environ)
    settings, lists = _environment(spark, folder)
    return replace(line, options=spark.command(settings, **lists))


def check_kerberos() -> None:
    """Refuse a cluster with Kerberos where Java can't sign in.

    Raises:
        CantSubmit: it can't.
        StorageError: Hadoop's configuration can't be read.
    """
    found = find_java() if asks_for_kerberos(hadoop_settings()) else None
    if found is not None and not has_kerberos(found):
        raise CantSubmit(
            f"Hadoop's configuration asks for Kerberos, and the Java at {found} was linked without jdk.security.jgss, by which Java "
            "signs in: install another Java 17 or newer, and set JAVA_HOME to it"
        )


def _worker_memory(job: Job | ScoringJob, spark: SparkOptions) -> str:
    """Return the memory that an executor needs beside its JVM; to score, each of its tasks at a time has a process with TensorFlow."""
    if isinstance(job, Job):
        return job.cluster.worker_memory or _memory_of_last_run(job)
    cores, a_task = (int(spark.settings.get(name, "1")) for name in ("spark.executor.cores", "spark.task.cpus"))
    return f"{_SCORER * max(1, cores // a_task)}m"


def _memory_of_last_run(job: Job) -> str:
    """Return the default worker memory: the peak of the last run under the job's output and a quarter more, at least 2 GB.

    A training process with TensorFlow and a small model takes about 1 GB.
    """
    taken = 0
    if job.output.path is not None:
        try:
            folder = open_folder(job.output.path).at_once()
            taken = max((summary_of(folder, latest(folder)) or {}).get("peak_memory", [0]))
        except (StorageError, ValueError):  # there is no run, or the storage can be reached only from the cluster
            pass
    return f"{max(2048, taken * 5 // 4 >> 20)}m"


def _modules_of_parent(job: Job) -> list[str]:
    """Return the modules of the run that `model.load` names, which have its model's custom classes and functions."""
    if job.model.load is None:
        return []
    try:
        return json.loads(open_folder(resolve(job.model.load)).at_once().read_text(SUMMARY)).get("modules", [])
    except (StorageError, ValueError):  # the program will report it, or the storage can be reached only from the cluster
        return []


def _environment(spark: SparkOptions, folder: Path) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Return the settings and file lists that all executors need: the packaged environment, and GPU discovery."""
    settings: dict[str, str] = {}
    lists: dict[str, list[str]] = {"archives": [], "py_files": [], "files": []}
    if at := spark.settings.get(PACKAGES):
        package = packaged(at)
        lists["archives"].append(f"{package.url}/{ENVIRONMENT}#{Path(_UNPACKED).name}")
        lists["py_files"].append(str(own_code(folder)))
        settings["spark.pyspark.python"] = f"{_UNPACKED}/bin/python"
        if not spark.in_cluster:
            settings["spark.pyspark.driver.python"] = sys.executable
        if spark.master == "yarn" and "spark.yarn.jars" not in spark.settings:
            settings["spark.yarn.archive"] = f"{package.url}/{JARS}"
    gpus = spark.settings.get("spark.executor.resource.gpu.amount", "0")
    if spark.master == "yarn" and gpus != "0" and _DISCOVERY not in spark.settings and _DISCOVER.exists():
        # YARN assigns a number of GPUs; which ones, each executor finds out on its node.
        settings[_DISCOVERY] = f"./{_DISCOVER.name}"
        settings["spark.executorEnv.SPARKTRAIN_GPUS"] = gpus
        lists["files"].append(str(_DISCOVER))
    return settings, lists


def _packed_job(job: Job, options: Namespace, folders: Sequence[str], folder: Path) -> Path:
    """Pack the YAML and the user's modules into one archive, side by side, and return its path."""
    named = (job.data.preprocess, job.model.build, job.training.callbacks, job.on_end)
    modules = [name.partition(":")[0] for name in named if name is not None]
    files = content([*modules, *job.model.modules, *_modules_of_parent(job)], folders, job.model.files)
    archive = folder / "sparktrain_job.zip"
    base = {_BASE: Path(load_search(options.config, options.set)[1].source)} if options.searches else {}
    pack(archive, {**files, Path(options.config).name: Path(options.config), **base})
    return archive


def output_there(job: Job, principal: str | None = None) -> str:
    """Return the job's output.path as a URL that means the same here and on the cluster.

    Args:
        principal: the Kerberos principal that spark-submit is given; None if it is given none.

    Raises:
        StorageError: Hadoop's configuration can't be read, or the user's name is unknown.
    """
    path = job.output.path
    assert path is not None  # a job without one is refused by its rules
    if "://" in path:
        return path
    settings = hadoop_settings()
    if asks_for_kerberos(settings):
        user = re.split("[/@]", principal or _ticket() or getpass.getuser())[0]
    else:
        user = user_name()
    if not path.startswith("/"):
        path = f"/user/{user}/{path}"
    return f"{(default_file_system(settings) or 'hdfs://').rstrip('/')}{path}"


def _ticket() -> str | None:
    """Return the principal of the user's Kerberos ticket; None if there is none."""
    try:
        output = subprocess.run(["klist"], capture_output=True, text=True, timeout=30).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = PRINCIPAL.find(output)
    return found[1] if found else None


def _arguments_there(options: Namespace, run: str, output: str) -> tuple[str, ...]:
    """Return the program's arguments on the cluster: without --result, whose file the launcher writes here."""
    arguments = ["--config", f"{_JOB}/{Path(options.config).name}", "--run-id", run]
    path = f"output.path={json.dumps(output)}"
    for each in (*options.set, *((f"base={_BASE}", f"base.{path}") if options.searches else (path,))):
        arguments += ["--set", each]
    return tuple(arguments)
