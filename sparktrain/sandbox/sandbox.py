"""Starts and stops a sandbox from Python, reports its processes, and kills one for a test."""

from __future__ import annotations

import fcntl
import getpass
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sparktrain.sandbox import probe
from sparktrain.sandbox.daemons import Daemon
from sparktrain.sandbox.errors import SandboxError
from sparktrain.sandbox.home import Home
from sparktrain.sandbox.kerberos import Kerberos
from sparktrain.sandbox.plan import daemons, write_plan

START_SECONDS = 180.0
STOP_SECONDS = 20.0
POLL_SECONDS = 0.2  # between two checks whether the daemons serve
MANAGERS = ("yarn", "standalone")
PORT_TAKEN = ("BindException", "Port in use")  # in the log of a daemon


@dataclass(frozen=True)
class Status:
    """The state of one process of a sandbox.

    Attributes:
        name: the daemon's name, such as datanode-1.
        pid: its process id; None if it doesn't run.
        url: its web address.
        lacks: None if it serves, else what is wrong with it.
    """

    name: str
    pid: int | None
    url: str
    lacks: str | None


class PortTaken(SandboxError):
    """Raised where another program took a port after it was chosen and before the daemon opened it."""


class Sandbox:
    """A Hadoop on this machine, a NameNode and two DataNodes, that runs for as long as its `with` statement or until `stop`.

        with Sandbox(home=folder) as sandbox:
            spark.read.parquet(f"{sandbox.uri}/data/flights")

    `sandbox.start("yarn", "standalone")` adds cluster managers for Spark: YARN with one NodeManager, and Spark's own
    master (`master_url`) with two workers. `sandbox.stop("yarn")` ends one of them.

    Unless it is `detached`, it ends with the process that started it, even if that is killed. A sandbox that was already
    running in this folder is used as it is and left running.

    Args:
        home: its folder for data, logs and configuration, which is made if it doesn't exist. Default: the user's own sandbox.
        detached: whether it runs until `stop` even if this process ends.
        timeout: seconds to wait until all its processes serve.
        show: called with a message on what is being waited for.
        kerberos: a running Kerberos that its HDFS requires tickets of; it must run for as long as the sandbox.
    """

    def __init__(
        self,
        home: str | os.PathLike[str] | None = None,
        *,
        detached: bool = False,
        timeout: float = START_SECONDS,
        show: Callable[[str], None] = lambda line: None,
        kerberos: Kerberos | None = None,
    ) -> None:
        self.home = Home(Path(home).expanduser().resolve() if home else Home.default())
        self._detached = detached
        self._timeout = timeout
        self._show = show
        self._kerberos = kerberos
        self._supervisor: subprocess.Popen | None = None

    @property
    def uri(self) -> str:
        """The URI of its file system: hdfs://localhost:PORT."""
        return f"hdfs://localhost:{self._port('namenode', 'rpc')}"

    @property
    def web(self) -> str:
        """The web address of the NameNode and of WebHDFS: http://localhost:PORT."""
        return self._url("namenode")

    @property
    def master_url(self) -> str:
        """The address of Spark's standalone master, for `--master`: spark://localhost:PORT."""
        return f"spark://localhost:{self._port('master', 'rpc')}"

    @property
    def conf_dir(self) -> Path:
        """The folder of its Hadoop configuration, for HADOOP_CONF_DIR."""
        return self.home.conf

    def start(self, *managers: str) -> Sandbox:
        """Start the daemons that don't run, and return when all of them serve; running daemons are left alone.

        Args:
            managers: cluster managers to start, too: "yarn", "standalone".

        Raises:
            SandboxError: there is no Java, a daemon ended, or not all serve in time; the message has the daemon's last log lines.
        """
        unknown = set(managers) - set(MANAGERS)
        if unknown:
            raise SandboxError(f"The sandbox has no manager {', '.join(sorted(unknown))}: expected {' or '.join(MANAGERS)}")
        if managers and self._kerberos is not None:
            raise SandboxError(
                f"A sandbox with Kerberos runs HDFS only, and not {', '.join(managers)}: start it without managers"
            )
        self.home.make()
        with self._starting():
            if (state := self.home.state()) is None:
                self._start_all(managers)
            else:
                running = self.home.managers()
                if new := [name for name in managers if name not in running]:
                    self._write_plan([*running, *new], list(state["processes"]))
                if new or any(process["pid"] is None for process in state["processes"].values()):
                    self._follow_plan(state)
                self._wait_until_ready(time.monotonic() + self._timeout)
        return self

    def stop(self, *managers: str) -> None:
        """End all daemons, or those of some cluster managers, and return when they have ended; their data is kept.

        Args:
            managers: the cluster managers to end: "yarn", "standalone". Without any, all daemons are ended.

        Raises:
            SandboxError: they have not ended in time.
        """
        state = self.home.state() if self.home.folder.exists() else None
        if managers:
            if state is not None:
                kept = [name for name in self.home.managers() if name not in managers]
                self._write_plan(kept, list(state["processes"]))
                self._follow_plan(state)
            return
        if state is not None:
            _signal(state["supervisor"], signal.SIGTERM)
            self._wait_for(
                lambda: self.home.state() is None,
                STOP_SECONDS,
                f"The sandbox in {self.home.folder} (process {state['supervisor']}) has not ended",
            )
        if self._supervisor is not None:
            assert self._supervisor.stdin is not None  # a pipe, unless the sandbox is detached
            self._supervisor.stdin.close()
            self._supervisor.wait(STOP_SECONDS)
            self._supervisor = None

    def status(self) -> list[Status]:
        """Return the state of each process; an empty list if the sandbox was never started."""
        return list(self._statuses(self.home.state()))

    def serves(self) -> bool:
        """Return whether the sandbox was started and all its processes serve."""
        states = self.status()
        return bool(states) and all(status.lacks is None for status in states)

    def kill(self, name: str) -> None:
        """Kill a process with SIGKILL, as if it had crashed, and return when it has ended; `start` starts it again.

        Args:
            name: the process's name in `status`, such as datanode-1.

        Raises:
            SandboxError: no such process runs.
        """
        pid = self._pid(name)
        if pid is None:
            known = ", ".join(daemon.name for daemon in daemons(self.home, self.home.managers()))
            raise SandboxError(f"No process {name!r} runs in the sandbox in {self.home.folder}: expected one of {known}")
        os.kill(pid, signal.SIGKILL)
        self._wait_for(lambda: self._pid(name) is None, STOP_SECONDS, f"{name} (process {pid}) has not ended")

    def __enter__(self) -> Sandbox:
        return self.start()

    def __exit__(self, *_: object) -> None:
        if self._supervisor is not None:
            self.stop()

    @contextmanager
    def _starting(self) -> Iterator[None]:
        """Hold the lock under which a sandbox is started, so that other processes wait and then find it running."""
        with open(self.home.folder / "start.lock", "a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _start_all(self, managers: Sequence[str]) -> None:
        """Start the supervisor and all daemons, a second time with other ports if one was taken in between."""
        self.home.clear_scratch()
        for last_try in (False, True):
            self._write_plan(managers)
            self._start_supervisor()
            try:
                return self._wait_until_ready(time.monotonic() + self._timeout)
            except PortTaken:
                self.stop()
                if last_try:
                    raise
                self.home.write_ports({})
            except BaseException:
                self.stop()
                raise

    def _follow_plan(self, state: dict) -> None:
        """Let the supervisor read the plan again: it starts the plan's processes that don't run, and ends all others."""
        _signal(state["supervisor"], signal.SIGHUP)
        self._wait_for(
            lambda: (self.home.state() or state)["starts"] > state["starts"],
            STOP_SECONDS,
            f"The supervisor (process {state['supervisor']}) has not started the processes of its new plan",
        )

    def _write_plan(self, managers: Sequence[str], running: Sequence[str] = ()) -> None:
        write_plan(self.home, managers, running, self._kerberos, self._show)

    def _start_supervisor(self) -> None:
        program = Path(__file__).with_name("supervisor.py")
        command = [sys.executable, "-I", str(program), str(self.home.folder)]
        with open(self.home.logs / "supervisor.log", "wb") as log:
            # In a session of its own, so that Ctrl-C in the terminal reaches only its owner
            begun = subprocess.Popen(
                command if self._detached else [*command, str(os.getpid())],
                stdin=subprocess.DEVNULL if self._detached else subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=self.home.folder,
                start_new_session=True,
            )
        if self._detached:
            begun.wait()
        else:
            self._supervisor = begun
        self._show("starting " + ", ".join(daemon.name for daemon in daemons(self.home, self.home.managers())) + " ...")
        try:
            self._wait_for(lambda: self.home.state() is not None, STOP_SECONDS, "The supervisor has not started")
        except SandboxError as error:
            self.stop()
            raise SandboxError(f"{error}\n{self.home.log_tail('supervisor')}") from None

    def _wait_until_ready(self, deadline: float) -> None:
        """Wait until all processes serve.

        Args:
            deadline: the latest time, by time.monotonic.

        Raises:
            PortTaken: a daemon ended because another program has its port.
            SandboxError: a daemon or the supervisor ended, or not all serve in time.
        """
        while True:
            if (state := self.home.state()) is None:
                raise SandboxError(f"The sandbox ended while it was starting.\n{self.home.log_tail('supervisor')}")
            for name, process in state["processes"].items():
                if process["pid"] is None and process["status"] is not None:
                    kind = PortTaken if any(word in self.home.log(name) for word in PORT_TAKEN) else SandboxError
                    raise kind(f"{name} ended with status {process['status']}.\n{self.home.log_tail(name)}")
            unready = next((status for status in self._statuses(state) if status.lacks), None)
            name, lacks = (
                (unready.name, unready.lacks)
                if unready
                else ("namenode", None if self._kerberos else probe.webhdfs(self.web, getpass.getuser()))
            )
            if lacks is None:
                return
            if time.monotonic() > deadline:
                raise SandboxError(
                    f"The sandbox in {self.home.folder} doesn't serve after {self._timeout:g} seconds: "
                    f"{name}: {lacks}\n"
                    f"{self.home.log_tail(name)}"
                )
            time.sleep(POLL_SECONDS)

    def _statuses(self, state: dict | None) -> Iterator[Status]:
        """Yield the state of one daemon after the other, so that no more are asked than the caller needs."""
        kept = self.home.ports()
        for daemon in daemons(self.home, self.home.managers()):
            if daemon.name in kept:
                yield self._status(daemon, state["processes"].get(daemon.name) if state else None)

    def _status(self, daemon: Daemon, process: dict | None) -> Status:
        url = self._url(daemon.name)
        if process is None:
            return Status(daemon.name, None, url, "not running")
        if process["pid"] is None:
            return Status(daemon.name, None, url, f"ended with status {process['status']}")
        return Status(daemon.name, process["pid"], url, daemon.ready(url))

    def _pid(self, name: str) -> int | None:
        state = self.home.state()
        return state["processes"].get(name, {}).get("pid") if state else None

    def _port(self, daemon: str, role: str) -> int:
        kept = self.home.ports()
        if daemon not in kept:
            raise SandboxError(f"The sandbox in {self.home.folder} was never started, so it has no address yet. Start it first.")
        return kept[daemon][role]

    def _url(self, daemon: str) -> str:
        return f"http://localhost:{self._port(daemon, 'http')}"

    @staticmethod
    def _wait_for(done: Callable[[], bool], seconds: float, message: str) -> None:
        deadline = time.monotonic() + seconds
        while not done():
            if time.monotonic() > deadline:
                raise SandboxError(f"{message} after {seconds:g} seconds")
            time.sleep(0.02)


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return  # it has ended in between
