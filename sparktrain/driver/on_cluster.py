"""What a submit to a cluster needs beside what was typed: the packaged environment, the job's own code, memory."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path
from typing import Sequence

from sparktrain.cluster.memory import OVERHEAD, overhead_needed
from sparktrain.config import Job
from sparktrain.driver.package import ENVIRONMENT, JARS, own_code, packaged
from sparktrain.driver.request import new_run_id
from sparktrain.driver.shipping import content, pack
from sparktrain.driver.spark_options import SparkOptions, read_options

PACKAGES = "spark.sparktrain.packages"   # the folder that `sparktrain package --to` was given
_UNPACKED = "./environment"
_JOB = "job"                             # where the YAML and the user's modules are unpacked on the cluster


@dataclass(frozen=True)
class Arranged:
    """A spark-submit command as it is run.

    Attributes:
        command: spark-submit, its options, the program and the program's arguments.
        run: the run's id where the program runs on the cluster, so that the storage can be asked for its end; else None.
    """

    command: list[str]
    run: str | None = None


def arrange(command: Sequence[str], place: int, job: Job, options: Namespace, folders: Sequence[str],
            folder: Path) -> Arranged:
    """Add to a job's spark-submit command what its cluster needs.

    Args:
        command: as it was typed: spark-submit, its options, the program, the program's arguments.
        place: the program's index in it.
        job: what the program's arguments stand for.
        options: the program's arguments.
        folders: where the user's modules are looked up.
        folder: an empty one, which stays until spark-submit has ended.

    Raises:
        NotPackaged, StorageError, TooLarge: it can't be arranged.
    """
    typed = command[1:place]
    if options.check:
        typed = [*typed, "--deploy-mode", "client"]   # what a rehearsal shows is for the one who asked
    spark = read_options(typed, os.environ.get("SPARK_CONF_DIR"))
    if spark.master.startswith("local"):
        return Arranged(list(command))
    arguments, settings = list(command[place + 1:]), _settings(spark, job) if options.to is None else {}
    archives, code, run = [], [], None
    if at := spark.settings.get(PACKAGES):
        package = packaged(at)
        archives.append(f"{package.url}/{ENVIRONMENT}#{Path(_UNPACKED).name}")
        code.append(str(own_code(folder)))
        settings["spark.pyspark.python"] = f"{_UNPACKED}/bin/python"
        if not spark.in_cluster:
            settings["spark.pyspark.driver.python"] = sys.executable
        if spark.master == "yarn" and "spark.yarn.jars" not in spark.settings:
            settings["spark.yarn.archive"] = f"{package.url}/{JARS}"
    if spark.in_cluster:
        run = options.run_id or new_run_id()
        archives.append(f"{_packed_job(job, options, folders, folder)}#{_JOB}")
        arguments = _arguments_there(options, run)
        # A program that has ended with an error would only end so again; a run whose driver was lost is resumed by its id.
        settings["spark.yarn.maxAppAttempts"] = "1"
    return Arranged(
        [command[0], *spark.command(settings, archives=archives, py_files=code), command[place], *arguments], run
    )


def _settings(spark: SparkOptions, job: Job) -> dict[str, str]:
    if job.cluster.worker_memory is None or spark.master != "yarn" and not spark.master.startswith("k8s:"):
        return {}   # nobody else holds an executor to its memory
    return {OVERHEAD: f"{overhead_needed(job.cluster.worker_memory, spark.settings)}m"}


def _packed_job(job: Job, options: Namespace, folders: Sequence[str], folder: Path) -> Path:
    """The YAML and the user's modules as one archive, unpacked on the cluster as they lie here: side by side."""
    named = (job.data.preprocess, job.model.build, job.training.callbacks, job.on_end)
    files = content([name.partition(":")[0] for name in named if name is not None], folders)
    archive = folder / "sparktrain_job.zip"
    pack(archive, {**files, Path(options.config).name: Path(options.config)})
    return archive


def _arguments_there(options: Namespace, run: str) -> list[str]:
    """The program's arguments as they are on the cluster; the line is written into a file here, and not there."""
    arguments = ["--config", f"{_JOB}/{Path(options.config).name}", "--run-id", run]
    for each in options.set:
        arguments += ["--set", each]
    return [*arguments, "--check"] if options.check else arguments
