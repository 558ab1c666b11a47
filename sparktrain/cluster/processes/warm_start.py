"""Starts training processes as forks of their executor's template, which has imported Keras already.

Spark ends a Python worker that is idle, so the template is a process of its own (sparktrain.template), found by its Unix socket
in a folder of this user's. It ends with the executor's JVM, or when it was idle for long.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil
from pyspark import SparkContext

from sparktrain.cluster.disks.work_folder import CODE
from sparktrain.cluster.processes.process import Ends, Process, kill_group, start_afresh
from sparktrain.cluster.spark_context import master

_ROOT = Path("/tmp")  # a Unix socket's path is short, and Spark's local dirs on YARN are not
_BACKLOG = 64
_LOOK = 5.0  # seconds between two looks whether the process is still there
_GONE = 10.0  # seconds in which a killed process ends
# Of the environment of a training process: what differs between runs, and is set when it is forked
_OF_A_RUN = ("TMPDIR", "CUDA_VISIBLE_DEVICES", "PWD", "OLDPWD")
_OF_SPARK = ("SPARK_", "PYSPARK_", "PYTHON_WORKER_")


def warm_by_default(context: SparkContext) -> bool:
    """Return whether programs that train many times have warm starts without asking; not on YARN, which counts the memory that
    processes share for each of them."""
    return master(context) != "yarn"


@dataclass(frozen=True)
class WarmStart:
    """How an executor's training processes are started.

    Attributes:
        executor: the executor's JVM, with which the template ends.
        minutes: idle minutes after which the template ends.
    """

    executor: psutil.Process
    minutes: float

    def start(self, environment: Mapping[str, str], ends: Ends, folder: str) -> Process:
        """Start a training process from the template, which is started first if there is none.

        Args:
            environment: all environment variables of the process.
            ends: its ends of the pipes; this process's copies may be closed afterwards.
            folder: its working folder.

        Returns:
            The process. It is started afresh if there can't be a template, or the template ends before it has forked.
        """
        try:
            connection = self._connect(environment, folder)
        except OSError:  # no place for a socket
            return start_afresh(environment, ends, folder)
        return _Forked(connection, environment, ends.copy(), folder)

    def _connect(self, environment: Mapping[str, str], work: str) -> socket.socket:
        base = {name: value for name, value in environment.items() if name not in _OF_A_RUN and not name.startswith(_OF_SPARK)}
        paths = environment.get("PYTHONPATH", "").split(os.pathsep)
        # Without the code of this run and of earlier ones: else each that ships other code would start a template of its own
        own = [path for path in paths if path != work and not os.path.basename(path).startswith(CODE)]
        base["PYTHONPATH"] = os.pathsep.join(own)
        digest = hashlib.sha256(json.dumps([sys.executable, sorted(base.items())]).encode()).hexdigest()[:12]
        started = self.executor.create_time()
        folder = _private_folder()
        path = folder / f"{self.executor.pid}-{started:.2f}-{digest}"
        with open(folder / "lock", "a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # two tasks of an executor start one template
            _remove_old(folder)
            connection = socket.socket(socket.AF_UNIX)
            try:
                connection.connect(str(path))
            except (FileNotFoundError, ConnectionRefusedError):
                self._start_template(path, base, started)
                connection.connect(str(path))
        return connection

    def _start_template(self, path: Path, environment: Mapping[str, str], started: float) -> None:
        path.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as listener, open(f"{path}.log", "wb") as log:
            listener.bind(str(path))
            listener.listen(_BACKLOG)
            words = [listener.fileno(), self.executor.pid, started, self.minutes]
            subprocess.Popen(
                [sys.executable, "-u", "-P", "-m", "sparktrain.template", *map(str, words)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[listener.fileno()],
                env=environment,
                cwd="/",
                start_new_session=True,
            )


class _Forked:
    """A training process that the template forks.

    Args:
        connection: to the template.
        environment: all environment variables of the process.
        ends: its ends of the pipes, which this object closes.
        folder: its working folder.
    """

    def __init__(self, connection: socket.socket, environment: Mapping[str, str], ends: Ends, folder: str) -> None:
        self._connection = connection
        self._given = (environment, ends, folder)
        self._pid: int | None = None
        self._afresh: Process | None = None
        self._killed = False
        self._owed = False  # whether the process had ended, at the last look, without an answer that says how
        self._pending = b""
        connection.settimeout(_LOOK)
        request = json.dumps({"environment": dict(environment), "folder": folder}).encode() + b"\n"
        with contextlib.suppress(OSError):  # `wait` sees that the template is gone
            sent = socket.send_fds(connection, [request], [ends.stdin, ends.stdout, ends.events])
            connection.sendall(request[sent:])

    @property
    def pid(self) -> int | None:
        return self._afresh.pid if self._afresh is not None else self._pid

    def kill(self) -> None:
        self._killed = True
        if self._afresh is not None:
            self._afresh.kill()
        elif self._pid is not None:
            kill_group(self._pid)
        else:
            with contextlib.suppress(OSError):
                self._connection.shutdown(socket.SHUT_RDWR)  # the template forks none, or kills it

    def wait(self) -> int:
        try:
            while (answer := self._answer()) is not None:
                if "pid" in answer:
                    self._pid = answer["pid"]
                    self._given[1].close()
                    if self._killed:
                        kill_group(self._pid)
                else:
                    return answer["status"]
        finally:
            self._connection.close()
        if self._pid is not None:  # the template was killed, or stopped
            return _end(self._pid)
        environment, ends, folder = self._given
        try:
            if self._killed:
                return -signal.SIGKILL
            self._afresh = start_afresh(environment, ends, folder)
        finally:
            ends.close()
        if self._killed:  # meanwhile
            self._afresh.kill()
        return self._afresh.wait()

    def _answer(self) -> dict[str, int] | None:
        """Return the template's next answer; None if there will be none."""
        while b"\n" not in self._pending:
            try:
                data = self._connection.recv(1 << 12)
            except TimeoutError:
                over = self._pid is not None and not _runs(self._pid)
                if over and self._owed:  # the template was stopped, for example by a debugger
                    return None
                self._owed = over  # it may be about to answer
                continue
            except OSError:
                return None
            if not data:
                return None
            self._pending += data
        line, _, self._pending = self._pending.partition(b"\n")
        return json.loads(line)


def _end(pid: int) -> int:
    """Wait until a process is gone whose status nobody tells, and return one."""
    until = time.monotonic() + _GONE
    while _runs(pid) and time.monotonic() < until:
        kill_group(pid)
        time.sleep(0.05)
    return -signal.SIGKILL


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _private_folder() -> Path:
    """Return the folder for the templates' sockets, made with mode 0700.

    Raises:
        PermissionError: another user has made it: a process there would get this user's environment.
    """
    folder = _ROOT / f"sparktrain-templates-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise PermissionError(f"{folder} is not this user's alone")
    return folder


def _remove_old(folder: Path) -> None:
    """Remove what templates have left whose executor is gone."""
    for path in folder.glob("*-*"):
        if not psutil.pid_exists(int(path.name.partition("-")[0])):
            path.unlink(missing_ok=True)
