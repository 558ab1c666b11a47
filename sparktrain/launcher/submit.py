"""The launcher's last step: check the job, run spark-submit, and print one JSON line however it ends.

    python -P -m sparktrain.launcher JOB SPARK_SUBMIT ARGUMENT...

JOB is the index among the arguments, from 1, of one of the project's job programs, which is checked first and whose exit
status tells how the run ended; 0 for any other program. -JOB is the index of jobs/doctor.py, which gets what a job would get.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import tempfile
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import IO, TYPE_CHECKING

from sparktrain.display.launcher_link import VARIABLE
from sparktrain.display.result_line import say, tell
from sparktrain.launcher.class_archive import with_archive
from sparktrain.launcher.job_arguments import arguments, load_job, name_of
from sparktrain.launcher.program_link import ProgramLink
from sparktrain.launcher.signals import on_stop
from sparktrain.launcher.spark_log import SparkLog
from sparktrain.launcher.spark_options import BadProperties, read_options
from sparktrain.launcher.validation import validate
from sparktrain.runs.result import Result, exit_status

if TYPE_CHECKING:
    from sparktrain.launcher.cluster_application import ClusterApplication

_ENDING = 60.0  # seconds that a program has for its cleanup once spark-submit has ended
_PR_SET_PDEATHSIG = 1


def main(argv: Sequence[str]) -> int:
    """Run the launcher's last step.

    Args:
        argv: JOB SPARK_SUBMIT ARGUMENT...

    Returns:
        The exit status: for a job 0, 1 or 2, as in its JSON line; else spark-submit's.

    Raises:
        Whatever the handlers of signals raise, until spark-submit is started.
    """
    place, command = int(argv[0]), list(argv[1:])
    options = None
    if place > 0:
        program, words = os.path.basename(command[place]), command[place + 1 :]
        options = arguments(program).parse_args(words)
        status = validate(words, program)
        if status != 0:
            return status
        if options.run_id is None and options.to is None:  # set here, so that every JSON line has it, whoever prints it
            options.run_id = name_of(options)
            command += ["--run-id", options.run_id]
    try:
        with tempfile.TemporaryDirectory(prefix="sparktrain-") as folder:
            on_cluster, command, more = _arrange(command, place, options, folder)
            logged = place != 0 and not {"-v", "--verbose"} & set(command[1 : abs(place)])
            return _Submission(command, options, folder, on_cluster, more, logged).run()
    except CantSubmit as error:
        ending, reason = "refused", str(error)
    except OSError as error:  # a full disk
        ending, reason = "failed", f"the submit can't be prepared: {error}"
    tell(reason)
    if options is None:
        return 1
    result = Result(run=_run(options), status=ending, reason=reason)
    say(result, options.result)
    return exit_status(result)


def stopped(argv: Sequence[str], number: int) -> int:
    """Print the JSON line of a run that a signal has stopped before spark-submit was started.

    Args:
        argv: JOB SPARK_SUBMIT ARGUMENT...
        number: the signal's number.

    Returns:
        The exit status.
    """
    place = int(argv[0])
    if place <= 0:
        return 128 + number
    options = arguments(os.path.basename(argv[place + 1])).parse_args(argv[place + 2 :])
    reason = f"stopped from outside by {signal.Signals(number).name} before Spark was started"
    result = Result(run=_run(options), status="stopped", reason=reason)
    say(result, options.result)
    return exit_status(result)


def _run(options: Namespace | None) -> str | None:
    """Return the run's id for the JSON line; None if it isn't known."""
    return name_of(options) if options is not None and (options.run_id or options.to) else None


def _arrange(
    command: list[str], place: int, options: Namespace | None, folder: str
) -> tuple[ClusterApplication | None, list[str], dict[str, str]]:
    """Complete the command with what its cluster needs.

    Args:
        place: the index JOB, see `main`.
        options: the job's arguments; None if the program is none of the project's job programs.
        folder: an empty folder that exists until spark-submit has ended.

    Returns:
        The application if its driver runs on the cluster, else None; the command; the environment variables to add.

    Raises:
        CantSubmit: something that the submit needs is missing.
    """
    end = abs(place) if place != 0 else len(command)
    try:
        spark_options = read_options(command[1:end], os.environ.get("SPARK_CONF_DIR"), os.environ)
    except BadProperties as error:
        raise CantSubmit(str(error)) from error
    local = spark_options.master.startswith("local")
    pythons = {
        "PYSPARK_DRIVER_PYTHON": sys.executable,
        "PYSPARK_PYTHON": os.environ.get("PYSPARK_PYTHON", sys.executable),
        "TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "2"),
    }  # else TensorFlow logs the processor's features
    if local:
        # Everything is on this machine, whose name may resolve to another address (a VPN) or none.
        pythons |= {"PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": os.environ.get("SPARK_LOCAL_IP", "127.0.0.1")}
    if place == 0:
        return None, command, pythons
    if "spark.remote" in spark_options.settings:
        raise CantSubmit(
            f"Spark Connect ({spark_options.settings['spark.remote']}) was asked for by --remote, spark.remote or "
            "SPARK_REMOTE; training needs a Spark application of its own: name a cluster with --master"
        )
    if local:
        command, more = with_archive(command, spark_options, os.environ)
        return None, command, pythons | more
    check_kerberos()
    # Imported here, so that a start on one machine doesn't wait for them.
    from sparktrain.launcher.cluster_application import ClusterApplication
    from sparktrain.launcher.cluster_arguments import build_doctor_command, build_submit_command
    from sparktrain.launcher.environment_package import NotPackaged
    from sparktrain.storage import StorageError
    from sparktrain.usercode.packing import TooLarge

    try:
        if options is None:
            return None, build_doctor_command(command, -place, Path(folder)), pythons
        job, folders = load_job(options)
        arranged = build_submit_command(command, place, job, options, folders, Path(folder))
    except (NotPackaged, StorageError, TooLarge) as error:
        raise CantSubmit(str(error)) from error
    run, output = arranged.run, arranged.output
    on_cluster = ClusterApplication(run, output) if run is not None and output is not None else None
    return on_cluster, arranged.command, pythons


def check_kerberos() -> None:
    """Refuse a cluster with Kerberos where Java can't sign in.

    Raises:
        CantSubmit: it can't, or Hadoop's configuration can't be read.
    """
    from sparktrain.launcher.java import find_java, has_kerberos
    from sparktrain.storage import StorageError
    from sparktrain.storage.hadoop import asks_for_kerberos, hadoop_settings

    try:
        asked = asks_for_kerberos(hadoop_settings())
    except StorageError as error:
        raise CantSubmit(str(error)) from error
    found = find_java() if asked else None
    if found is not None and not has_kerberos(found):
        raise CantSubmit(
            f"Hadoop's configuration asks for Kerberos, and the Java at {found} was linked without jdk.security.jgss, by which Java "
            "signs in: install another Java 17 or newer, and set JAVA_HOME to it"
        )


class CantSubmit(RuntimeError):
    """Raised where the command can't be submitted; the message says why."""


class _Submission:
    """One execution of spark-submit, and the link to its program.

    Args:
        options: the job's arguments; None if the program is none of the project's job programs.
        folder: an empty folder for the link's socket.
        on_cluster: the application, if its driver runs on the cluster, without a link.
        environment: environment variables to add to this process's.
        logged: whether spark-submit's own lines go to a file; the program's always go to this process's streams.
    """

    def __init__(
        self,
        command: Sequence[str],
        options: Namespace | None,
        folder: str,
        on_cluster: ClusterApplication | None = None,
        environment: Mapping[str, str] = MappingProxyType({}),
        logged: bool = False,
    ) -> None:
        self._environment = {**os.environ, **environment, VARIABLE: folder}
        self._command, self._options, self._on_cluster = command, options, on_cluster
        self._handover = ProgramLink(folder)
        self._log = SparkLog(os.environ) if logged and on_cluster is None else None
        self._process: subprocess.Popen | None = None
        self._asked: list[int] = []  # the signals that arrived

    def run(self) -> int:
        """Run spark-submit, print the JSON line, and return the exit status."""
        on_stop(self._relay)
        errors: int | IO[bytes] | None = None
        if self._on_cluster is not None:
            errors = subprocess.PIPE
        elif self._log is not None and self._log.file is not None:
            errors = self._log.file
        if self._options is not None:  # spark-submit prints nothing for up to half a minute
            tell("starting Spark (10 to 40 s)" + (f"; its own log is {self._log.path}" if self._log is not None else ""))
        try:
            # In this process's group, so that it keeps the terminal.
            self._process = subprocess.Popen(self._command, env=self._environment, preexec_fn=_dies_with_parent(), stderr=errors)
        except OSError as error:
            return self._ended(127, f"{self._command[0]} can't be started: {error}")
        for number in self._asked:  # signals that arrived while it started
            self._process.send_signal(number)
        if self._on_cluster is not None and self._process.stderr is not None:
            self._on_cluster.listen(self._process.stderr)
        status = self._process.wait()
        # If the JVM was ended, its program still ends its workers, cleans up, and sends the JSON line.
        if not self._handover.wait(_ENDING):
            self._end_program(signal.SIGKILL)
            self._handover.wait(_ENDING)
        status = status if status >= 0 else 128 - status
        return self._ended(status, f"spark-submit ended with exit status {status}, and the run didn't say how it ended")

    def _relay(self, number: int, _: object) -> None:
        self._asked.append(number)
        if self._on_cluster is not None and self._on_cluster.stop():
            return
        # The program first, before its Spark is gone. A terminal's Ctrl-C has reached it already: SIGTERM doesn't count
        # as a second one.
        if not self._end_program(signal.SIGTERM) and self._process is not None:
            self._process.send_signal(number)

    def _end_program(self, number: int) -> bool:
        """Send the program a signal.

        Returns:
            Whether there is a program.
        """
        pid = self._handover.pid
        if pid is None:
            return False
        with contextlib.suppress(ProcessLookupError):  # the program has just ended
            os.kill(pid, number)
        return True

    def _ended(self, status: int, reason: str) -> int:
        if self._log is not None:
            self._log.close()
        path = self._options.result if self._options is not None else None
        if self._on_cluster is not None and (result := self._on_cluster.end()) is not None:
            say(result, path)
            return exit_status(result)
        line = self._handover.line
        if line is not None:
            sys.stderr.flush()
            print(line, flush=True)
            return exit_status(Result.of_line(json.loads(line))) if self._options is not None else status
        if self._log is not None and status != 0:
            _show(self._log)
        promised = self._options is not None or self._handover.announced
        if not promised or (
            status == 0 and self._on_cluster is None
        ):  # `--help` and the like; programs that print what they like
            return status
        if self._log is not None and (error := self._log.error()):
            reason = f"{reason}; its log says: {error}"
        if self._asked:
            reason = f"stopped from outside by {signal.Signals(self._asked[0]).name}; {reason}"
        run = _run(self._options)
        if self._on_cluster is not None:
            run, reason = self._on_cluster.run, f"{reason}; {self._on_cluster.where}"
        result = Result(run=run, status="stopped" if self._asked else "failed", reason=reason)
        say(result, path)
        return exit_status(result)


def _show(log: SparkLog) -> None:
    if excerpt := log.excerpt():
        tell(f"{excerpt}\nThese are lines of Spark's own log, {log.path}")


def _dies_with_parent() -> Callable[[], object] | None:
    """Return a function that lets the kernel end Spark if the launcher alone is killed with SIGKILL; None outside of Linux."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl  # looked up here: between fork and exec as little as possible is done
    return lambda: prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
