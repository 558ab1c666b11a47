"""The launcher's last step: check the job, run spark-submit, and print one JSON line whatever its end.

    python -P -m sparktrain.driver.submit JOB SPARK_SUBMIT ARGUMENT...

JOB is the index among the arguments, from 1, of a program of the project's that is to be checked first and whose exit
status says how the run ended; 0 where it is none. -JOB names jobs/doctor.py: it is given what a job would get.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from argparse import Namespace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Callable, Mapping, Sequence

from sparktrain.driver.class_archive import with_archive
from sparktrain.driver.command_line import validate
from sparktrain.driver.handover import VARIABLE, Handover
from sparktrain.driver.request import arguments, load_job
from sparktrain.driver.result import Result, exit_status, say, tell
from sparktrain.driver.signals import on_stop
from sparktrain.driver.spark_options import read_options

if TYPE_CHECKING:
    from sparktrain.driver.application import OnCluster

_ENDING = 60.0         # seconds that a program has for its end once spark-submit is gone
_PR_SET_PDEATHSIG = 1


def main(argv: Sequence[str]) -> int:
    """Run the launcher's last step.

    Args:
        argv: JOB SPARK_SUBMIT ARGUMENT...

    Returns:
        The exit status: of a job 0, 1 or 2, as its line says; else spark-submit's.
    """
    place, command = int(argv[0]), list(argv[1:])
    with tempfile.TemporaryDirectory(prefix="sparktrain-") as folder:
        if place <= 0:
            try:
                command = _arrange_doctor(command, -place, folder) if place else command
            except CantSubmit as error:
                tell(str(error))
                return 1
            return _Submission(command, None, folder).run()
        program, words = os.path.basename(command[place]), command[place + 1:]
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        options = arguments(program).parse_args(words)
        try:
            status = validate(words, program)
            if status != 0:
                return status
            on_cluster, command, more = _arrange(command, place, options, folder)
        except KeyboardInterrupt:
            result = Result(run=options.run_id, status="stopped", reason="stopped from outside before Spark was started")
        except CantSubmit as error:
            result = Result(run=options.run_id, status="refused", reason=str(error))
            tell(str(error))
        else:
            return _Submission(command, options, folder, on_cluster, more).run()
        say(result, options.result)
        return exit_status(result)


def _arrange(
    command: list[str], place: int, options: Namespace, folder: str
) -> tuple[OnCluster | None, list[str], dict[str, str]]:
    """The command as it is run, with what its cluster needs, and what is new in its environment.

    Raises:
        CantSubmit: that isn't to be had.
    """
    spark_options = read_options(command[1:place], os.environ.get("SPARK_CONF_DIR"))
    if spark_options.master.startswith("local"):
        return None, *with_archive(command, spark_options, os.environ)
    # Only here: a start on one machine is not to wait for them.
    from sparktrain.driver.application import OnCluster
    from sparktrain.driver.on_cluster import arrange
    from sparktrain.driver.package import NotPackaged
    from sparktrain.driver.shipping import TooLarge
    from sparktrain.storage import StorageError

    job, folders = load_job(options)
    try:
        arranged = arrange(command, place, job, options, folders, Path(folder))
    except (NotPackaged, StorageError, TooLarge) as error:
        raise CantSubmit(str(error)) from error
    on_cluster = OnCluster(job, arranged.run) if arranged.run is not None else None
    return on_cluster, arranged.command, {}


def _arrange_doctor(command: list[str], place: int, folder: str) -> list[str]:
    """See `_arrange`."""
    from sparktrain.driver.on_cluster import arrange_doctor
    from sparktrain.driver.package import NotPackaged
    from sparktrain.storage import StorageError

    try:
        return arrange_doctor(command, place, Path(folder))
    except (NotPackaged, StorageError) as error:
        raise CantSubmit(str(error)) from error


class CantSubmit(RuntimeError):
    """What the cluster needs can't be had; the message says why."""


class _Submission:
    """One spark-submit, and what its program hands over.

    Args:
        options: the job's own; None where the program is none of the project's jobs.
        folder: for what the program hands over.
        on_cluster: the run, where its program runs on the cluster and hands over nothing.
        environment: what its environment has beside our own.
    """

    def __init__(
        self, command: Sequence[str], options: Namespace | None, folder: str, on_cluster: OnCluster | None = None,
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._environment = {**os.environ, **environment, VARIABLE: folder}
        self._command, self._options, self._on_cluster = command, options, on_cluster
        self._handover = Handover(folder)
        self._process: subprocess.Popen | None = None
        self._asked: list[int] = []   # the signals that came

    def run(self) -> int:
        on_stop(self._relay)
        try:
            # Its standard streams and its process group are ours: a terminal stays its own.
            self._process = subprocess.Popen(
                self._command, env=self._environment, preexec_fn=_dies_with_parent(),
                stderr=subprocess.PIPE if self._on_cluster is not None else None,
            )
        except OSError as error:
            return self._ended(127, f"{self._command[0]} can't be started: {error}")
        for number in self._asked:   # while it started
            self._process.send_signal(number)
        if self._on_cluster is not None:
            self._on_cluster.listen(self._process.stderr)
        status = self._process.wait()
        self._wait_for_program()
        status = status if status >= 0 else 128 - status
        return self._ended(status, f"spark-submit ended with exit status {status}, and the run didn't say why")

    def _relay(self, number: int, _: object) -> None:
        self._asked.append(number)
        if self._on_cluster is not None and self._on_cluster.stop():
            return
        pid = self._handover.pid
        if pid is not None:
            # The program first, or it would find a Spark that is gone. A terminal's Ctrl-C has reached it already: so
            # this is no second one.
            os.kill(pid, signal.SIGTERM)
        elif self._process is not None:
            self._process.send_signal(number)

    def _wait_for_program(self) -> None:
        """A JVM that was ended leaves its program behind, which ends its workers, tidies up, and says how it ended."""
        deadline = time.monotonic() + _ENDING
        while (pid := self._handover.pid) is not None:
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)

    def _ended(self, status: int, reason: str) -> int:
        if self._on_cluster is not None and (result := self._on_cluster.end()) is not None:
            say(result, self._options.result)
            return exit_status(result)
        line = self._handover.line
        if line is not None:
            sys.stderr.flush()
            print(line, flush=True)
            return exit_status(Result(**json.loads(line))) if self._options is not None else status
        promised = self._options is not None or self._handover.announced
        if not promised or status == 0 and self._on_cluster is None:   # `--help` and the like; programs that print what they like
            return status
        if self._asked:
            reason = f"stopped from outside by {signal.Signals(self._asked[0]).name}; {reason}"
        run, path = (self._options.run_id, self._options.result) if self._options is not None else (None, None)
        if self._on_cluster is not None:
            run, reason = self._on_cluster.run, f"{reason}; {self._on_cluster.where}"
        result = Result(run=run, status="stopped" if self._asked else "failed", reason=reason)
        say(result, path)
        return exit_status(result)


def _dies_with_parent() -> Callable[[], object] | None:
    """Where the kernel can: who kills the launcher alone with SIGKILL ends its Spark, too."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl   # looked up here: between fork and exec as little as possible is done
    return lambda: prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
