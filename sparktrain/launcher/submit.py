"""Starts spark-submit as spark-submit.sh was asked to: checks the job, and completes the command line for its cluster.

    python -P -m sparktrain.launcher ROOT WITHOUT_HOROVOD ARGUMENT...

ROOT is the project's folder, WITHOUT_HOROVOD the reason why the environment has no Horovod or empty, and ARGUMENT... what
spark-submit.sh was given. Without arguments it is the quickstart.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from sparktrain.config import Job, ScoringJob
from sparktrain.display.result_line import say, tell
from sparktrain.launcher import quickstart
from sparktrain.launcher.class_archive import with_archive
from sparktrain.launcher.command_line import CommandLine, read_command_line
from sparktrain.launcher.errors import CantSubmit
from sparktrain.launcher.job_arguments import load_job, name_of
from sparktrain.launcher.refusal import refuse
from sparktrain.launcher.spark_home import find_spark, with_own_work
from sparktrain.launcher.spark_options import read_options
from sparktrain.launcher.submission import Submission
from sparktrain.runs.result import Result, exit_status
from sparktrain.sandbox.running import running_conf

if TYPE_CHECKING:
    from sparktrain.launcher.cluster_application import ClusterApplication


def main(argv: Sequence[str]) -> int:
    """Run the launcher.

    Args:
        argv: ROOT WITHOUT_HOROVOD ARGUMENT...

    Returns:
        The exit status: for a job 0, 1 or 2, as in its JSON line; else spark-submit's.

    Raises:
        Whatever the handlers of signals raise, until spark-submit is started.
    """
    root, without_horovod, words = Path(argv[0]), argv[1], argv[2:]
    if not words:
        os.chdir(root)
    line = read_command_line(words or quickstart.COMMAND_LINE, root)
    try:
        if not words:
            quickstart.start_hadoop()
            line = read_command_line([*quickstart.COMMAND_LINE, *quickstart.engine_arguments(root, without_horovod)], root)
        spark = _set_up_spark(root)
        loaded = load_job(line.job) if line.job is not None else None
        line = _with_run_id(line)
        with tempfile.TemporaryDirectory(prefix="sparktrain-") as folder:
            line, more, on_cluster = _arrange(line, loaded, Path(folder))
            command = [str(spark / "bin" / "spark-submit"), *line.words()]
            logged = (line.job is not None or line.is_doctor) and not {"-v", "--verbose"} & set(line.options)
            return Submission(command, line.job, folder, on_cluster, more, logged).run()
    except Exception as error:
        return refuse(error, line.job)


def stopped(argv: Sequence[str], number: int) -> int:
    """Print the JSON line of a job that a signal has stopped before spark-submit was started.

    Args:
        argv: ROOT WITHOUT_HOROVOD ARGUMENT...
        number: the signal's number.

    Returns:
        The exit status.
    """
    job = read_command_line(argv[2:] or quickstart.COMMAND_LINE, Path(argv[0])).job
    if job is None:
        return 128 + number
    reason = f"stopped from outside by {signal.Signals(number).name} before Spark was started"
    result = Result(run=name_of(job) if job.run_id or job.to else None, status="stopped", reason=reason)
    say(result, job.result)
    return exit_status(result)


def _with_run_id(line: CommandLine) -> CommandLine:
    """Give a job that has no run id one, so that every JSON line has it, whoever prints it."""
    if line.job is None or line.job.run_id is not None or line.job.to is not None:
        return line
    line.job.run_id = name_of(line.job)
    return replace(line, arguments=(*line.arguments, "--run-id", line.job.run_id))


def _set_up_spark(root: Path) -> Path:
    """Set the environment variables by which Spark finds itself and its configuration, where the user hasn't.

    Returns:
        Spark's home.

    Raises:
        NotReady: there is no Spark, or it is too old.
    """
    spark = find_spark(os.environ)
    os.environ["SPARK_HOME"] = str(spark)
    os.environ["SPARK_CONF_DIR"] = os.environ.get("SPARK_CONF_DIR") or str(root / "conf")
    if not os.environ.get("HADOOP_CONF_DIR") and not os.environ.get("YARN_CONF_DIR") and (conf := running_conf()) is not None:
        os.environ["HADOOP_CONF_DIR"] = str(conf)
        tell("sparktrain: Hadoop is the sandbox that is running")
    return spark


def _arrange(
    line: CommandLine, loaded: tuple[Job | ScoringJob, list[str]] | None, folder: Path
) -> tuple[CommandLine, dict[str, str], ClusterApplication | None]:
    """Complete the command line with what its cluster needs.

    Args:
        loaded: the job, and the folders where its modules are looked up; None if the program is none of the project's job programs.
        folder: an empty folder that exists until spark-submit has ended.

    Returns:
        The command line; the environment variables to add; the application if its driver runs on the cluster, else None.

    Raises:
        CantSubmit: something that the submit needs is missing.
    """
    options = read_options(line.options, os.environ["SPARK_CONF_DIR"], os.environ)
    local = options.master.startswith("local")
    variables = {
        "PYSPARK_DRIVER_PYTHON": sys.executable,
        "PYSPARK_PYTHON": os.environ.get("PYSPARK_PYTHON", sys.executable),
        "TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "2"),
    }  # else TensorFlow logs the processor's features
    if local:
        # Everything is on this machine, whose name may resolve to another address (a VPN) or none.
        variables |= {"PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": os.environ.get("SPARK_LOCAL_IP", "127.0.0.1")}
    variables |= with_own_work(options.master, os.environ)
    if loaded is None and not line.is_doctor:
        return line, variables, None
    if "spark.remote" in options.settings:
        raise CantSubmit(
            f"Spark Connect ({options.settings['spark.remote']}) was asked for by --remote, spark.remote or "
            "SPARK_REMOTE; training needs a Spark application of its own: name a cluster with --master"
        )
    if local:
        line, more = with_archive(line, options, {**os.environ, **variables})
        return line, variables | more, None
    # Imported here, so that a start on one machine doesn't wait for them.
    from sparktrain.launcher.cluster_application import ClusterApplication
    from sparktrain.launcher.cluster_arguments import build_doctor_command, build_submit_command, check_kerberos
    from sparktrain.storage import StorageError
    from sparktrain.usercode.packing import TooLarge

    try:
        check_kerberos()
        if loaded is None:
            return build_doctor_command(line, folder), variables, None
        arranged = build_submit_command(line, *loaded, folder)
    except (StorageError, TooLarge) as error:
        raise CantSubmit(str(error)) from error
    run, output = arranged.run, arranged.output
    on_cluster = ClusterApplication(run, output) if run is not None and output is not None else None
    return arranged.line, variables, on_cluster
