"""Runs spark-submit with its program: relays signals, and prints the job's JSON line however they end."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import IO, TYPE_CHECKING

from sparktrain.display.launcher_link import VARIABLE
from sparktrain.display.result_line import say, tell
from sparktrain.launcher.job_arguments import name_of
from sparktrain.launcher.program_link import ProgramLink
from sparktrain.launcher.signals import on_stop
from sparktrain.launcher.spark_log import SparkLog
from sparktrain.runs.result import Result, exit_status

if TYPE_CHECKING:
    from sparktrain.launcher.cluster_application import ClusterApplication

_ENDING = 60.0  # seconds that a program has for its cleanup once spark-submit has ended
_PR_SET_PDEATHSIG = 1


class Submission:
    """One execution of spark-submit, and the link to its program.

    Args:
        command: spark-submit and its arguments.
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
        run = name_of(self._options) if self._options is not None else None
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
