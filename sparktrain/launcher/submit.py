"""The launcher's last step: check the job, run spark-submit, and print one JSON line whatever its end.

    python -P -m sparktrain.launcher JOB SPARK_SUBMIT ARGUMENT...

JOB is the index among the arguments, from 1, of a program of the project's that is to be checked first and whose exit
status says how the run ended; 0 where it is none. -JOB names jobs/doctor.py: it is given what a job would get.
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

_ENDING = 60.0  # seconds that a program has for its end once spark-submit is gone
_PR_SET_PDEATHSIG = 1


def main(argv: Sequence[str]) -> int:
    """Run the launcher's last step.

    Args:
        argv: JOB SPARK_SUBMIT ARGUMENT...

    Returns:
        The exit status: of a job 0, 1 or 2, as its line says; else spark-submit's.

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
        if options.run_id is None and options.to is None:  # settled here, so that every line has it, whoever prints it
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
    """Say that a signal asked for the end before spark-submit was started.

    Args:
        argv: JOB SPARK_SUBMIT ARGUMENT...
        number: of the signal.

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
    """The run that a line is about."""
    return name_of(options) if options is not None and (options.run_id or options.to) else None


def _arrange(
    command: list[str], place: int, options: Namespace | None, folder: str
) -> tuple[ClusterApplication | None, list[str], dict[str, str]]:
    """The command as it is run, with what its cluster needs, and what is new in its environment.

    Args:
        place: see `main`.
        options: the job's own; None where the program is none of the project's jobs.
        folder: an empty one, which stays until spark-submit has ended.

    Raises:
        CantSubmit: that isn't to be had.
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
    }  # or TensorFlow tells of the processor
    if local:
        # All of it is on this machine; its name may lead elsewhere (a VPN) or nowhere.
        pythons |= {"PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": os.environ.get("SPARK_LOCAL_IP", "127.0.0.1")}
    if place == 0:
        return None, command, pythons
    if "spark.remote" in spark_options.settings:
        raise CantSubmit(
            f"Spark Connect ({spark_options.settings['spark.remote']}) was asked for by --remote, spark.remote or "
            "SPARK_REMOTE; training needs a Spark application of its own: name a cluster by --master"
        )
    if local:
        command, more = with_archive(command, spark_options, os.environ)
        return None, command, pythons | more
    check_kerberos()
    # Only here: a start on one machine is not to wait for them.
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
    """What the cluster needs can't be had; the message says why."""


class _Submission:
    """One spark-submit, and what its program hands over.

    Args:
        options: the job's own; None where the program is none of the project's jobs.
        folder: for what the program hands over.
        on_cluster: the run, where its program runs on the cluster and hands over nothing.
        environment: what its environment has beside our own.
        logged: whether spark-submit's own lines go to a file; the program's go to our streams all the same.
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
        self._asked: list[int] = []  # the signals that came

    def run(self) -> int:
        on_stop(self._relay)
        errors: int | IO[bytes] | None = None
        if self._on_cluster is not None:
            errors = subprocess.PIPE
        elif self._log is not None and self._log.file is not None:
            errors = self._log.file
        if self._options is not None:  # which says nothing itself, for half a minute on a slow machine
            tell("starting Spark (10 to 40 s)" + (f"; its own log is {self._log.path}" if self._log is not None else ""))
        try:
            # Its process group is ours: a terminal stays its own.
            self._process = subprocess.Popen(self._command, env=self._environment, preexec_fn=_dies_with_parent(), stderr=errors)
        except OSError as error:
            return self._ended(127, f"{self._command[0]} can't be started: {error}")
        for number in self._asked:  # while it started
            self._process.send_signal(number)
        if self._on_cluster is not None and self._process.stderr is not None:
            self._on_cluster.listen(self._process.stderr)
        status = self._process.wait()
        # A JVM that was ended leaves its program behind, which ends its workers, tidies up, and says how it ended.
        if not self._handover.wait(_ENDING):
            self._end_program(signal.SIGKILL)
            self._handover.wait(_ENDING)
        status = status if status >= 0 else 128 - status
        return self._ended(status, f"spark-submit ended with exit status {status}, and the run didn't say how it ended")

    def _relay(self, number: int, _: object) -> None:
        self._asked.append(number)
        if self._on_cluster is not None and self._on_cluster.stop():
            return
        # The program first, or it would find a Spark that is gone. A terminal's Ctrl-C has reached it already: so this is
        # no second one.
        if not self._end_program(signal.SIGTERM) and self._process is not None:
            self._process.send_signal(number)

    def _end_program(self, number: int) -> bool:
        """Send the program a signal.

        Returns:
            Whether there is one.
        """
        pid = self._handover.pid
        if pid is None:
            return False
        with contextlib.suppress(ProcessLookupError):  # it has just ended
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
            return exit_status(Result(**json.loads(line))) if self._options is not None else status
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
    """Where the kernel can: who kills the launcher alone with SIGKILL ends its Spark, too."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl  # looked up here: between fork and exec as little as possible is done
    return lambda: prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
