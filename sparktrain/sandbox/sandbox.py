"""A sandbox as a Python program sees it: start, stop, status, and a process killed on purpose."""

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

from sparktrain.sandbox import java, ports, probe
from sparktrain.sandbox.daemons import Daemon, hdfs, sites
from sparktrain.sandbox.errors import SandboxError
from sparktrain.sandbox.home import Home
from sparktrain.sandbox.kerberos import Kerberos
from sparktrain.sandbox.managers import standalone, yarn, yarn_sites

START_SECONDS = 180.0
STOP_SECONDS = 20.0
LOOK_SECONDS = 0.2
MANAGERS = ("yarn", "standalone")  # of Spark's clusters, beside HDFS
PORT_TAKEN = ("BindException", "Port in use")


@dataclass(frozen=True)
class Status:
    """One process of a sandbox: `lacks` is None when it serves, else what is wrong with it."""

    name: str
    pid: int | None
    url: str
    lacks: str | None


class PortTaken(SandboxError):
    """A port that was free when it was chosen was taken before the daemon had it."""


class Sandbox:
    """A NameNode and two DataNodes on this machine, for as long as the `with` lasts, or until `stop`.

        with Sandbox(home=folder) as sandbox:
            spark.read.parquet(f"{sandbox.uri}/data/flights")

    `sandbox.start("yarn", "standalone")` adds cluster managers for Spark: YARN with two NodeManagers, and Spark's own
    master (`master_url`) with two workers. `sandbox.stop("yarn")` ends one of them.

    It ends with the process that started it, a kill -9 included, unless it is `detached`. A sandbox that was running
    already in this home is used as it is and left running.

    Args:
        home: its folder: data, logs, configuration; made if it isn't there. Default: the user's own sandbox.
        detached: stay up until `stop`, whatever becomes of this process.
        timeout: seconds until it must serve.
        tell: told what is being waited for; default: nobody.
        kerberos: whose tickets its HDFS asks for; it must run for as long as the sandbox.
    """

    def __init__(
        self,
        home: str | os.PathLike[str] | None = None,
        *,
        detached: bool = False,
        timeout: float = START_SECONDS,
        tell: Callable[[str], None] = lambda line: None,
        kerberos: Kerberos | None = None,
    ) -> None:
        self.home = Home(Path(home).expanduser().resolve() if home else Home.default())
        self._detached = detached
        self._timeout = timeout
        self._tell = tell
        self._kerberos = kerberos
        self._supervisor: subprocess.Popen | None = None

    @property
    def uri(self) -> str:
        """The file system, as Spark names it: hdfs://localhost:PORT."""
        return f"hdfs://localhost:{self._port('namenode', 'rpc')}"

    @property
    def web(self) -> str:
        """The NameNode's web address, also that of WebHDFS: http://localhost:PORT."""
        return self._url("namenode")

    @property
    def master_url(self) -> str:
        """Spark's own master, for `--master`: spark://localhost:PORT."""
        return f"spark://localhost:{self._port('master', 'rpc')}"

    @property
    def conf_dir(self) -> Path:
        """The folder to name in HADOOP_CONF_DIR."""
        return self.home.conf

    def start(self, *managers: str) -> Sandbox:
        """Start what isn't running and return when all of it serves; do nothing to what runs.

        Args:
            managers: what is to run beside HDFS and what runs already: "yarn", "standalone".

        Raises:
            SandboxError: there is no Java, a daemon ended, or not all serve in time; with the daemon's last log lines.
        """
        unknown = set(managers) - set(MANAGERS)
        if unknown:
            raise SandboxError(f"{', '.join(sorted(unknown))}: the sandbox can run {' and '.join(MANAGERS)} beside HDFS")
        if managers and self._kerberos is not None:
            raise SandboxError(f"{', '.join(managers)}: with Kerberos the sandbox runs HDFS only")
        self.home.make()
        with self._starting():
            if (state := self.home.state()) is None:
                self._start_anew(managers)
            else:
                running = self.home.managers()
                if new := [name for name in managers if name not in running]:
                    self._write_plan([*running, *new], list(state["processes"]))
                if new or any(process["pid"] is None for process in state["processes"].values()):
                    self._follow_plan(state)
                self._wait_until_ready(time.monotonic() + self._timeout)
        return self

    def stop(self, *managers: str) -> None:
        """End all processes, or those of the managers named, and return when they are gone; the data stays.

        Nothing happens if none runs.
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
            assert self._supervisor.stdin is not None  # a pipe: only one that is not detached is kept
            self._supervisor.stdin.close()
            self._supervisor.wait(STOP_SECONDS)
            self._supervisor = None

    def status(self) -> list[Status]:
        """Return each process with its web address and whether it serves; with no process id where it doesn't run."""
        return list(self._statuses(self.home.state()))

    def kill(self, name: str) -> None:
        """Kill one process, as a crash would, and return when it is gone; `start` starts it again.

        Args:
            name: a name that `status` gives, such as datanode-1.
        """
        pid = self._pid(name)
        if pid is None:
            known = ", ".join(daemon.name for daemon in self._daemons(self.home.managers()))
            raise SandboxError(f"No process {name!r} runs in the sandbox in {self.home.folder} (it may have: {known})")
        os.kill(pid, signal.SIGKILL)
        self._wait_for(lambda: self._pid(name) is None, STOP_SECONDS, f"{name} (process {pid}) has not ended")

    def __enter__(self) -> Sandbox:
        return self.start()

    def __exit__(self, *_: object) -> None:
        if self._supervisor is not None:
            self.stop()

    @contextmanager
    def _starting(self) -> Iterator[None]:
        """Let one process at a time start the sandbox of this home; others then find it running."""
        with open(self.home.folder / "start.lock", "a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _start_anew(self, managers: Sequence[str]) -> None:
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
                self.home.keep_ports({})
            except BaseException:
                self.stop()
                raise

    def _follow_plan(self, state: dict) -> None:
        """Let the supervisor start what has ended or is new in the plan, and end what isn't in it."""
        _signal(state["supervisor"], signal.SIGHUP)
        self._wait_for(
            lambda: (self.home.state() or state)["starts"] > state["starts"],
            STOP_SECONDS,
            f"The supervisor (process {state['supervisor']}) has not started what had ended",
        )

    def _daemons(self, managers: Sequence[str]) -> tuple[Daemon, ...]:
        made = hdfs()
        if "yarn" in managers:
            # Where java is a link into another folder, JAVA_HOME is the place that it leads to.
            made += yarn(java.find_java().resolve().parents[1])
        if "standalone" in managers:
            made += standalone(java.spark_jars().parent, self.home.gpu_script, self.home.conf)
        return made

    def _write_plan(self, managers: Sequence[str], running: Sequence[str] = ()) -> None:
        """Choose ports, write Hadoop's configuration, and write down for the supervisor what it is to run.

        Args:
            managers: what is to run beside HDFS.
            running: daemons that run already, and keep their ports.
        """
        home, found, daemons = self.home, java.find_java(), self._daemons(managers)
        class_path = [str(home.conf), *java.class_path(found, self._tell, with_yarn="yarn" in managers)]
        if "yarn" in managers:
            class_path.append(str(home.classes))
            if "nodemanager" not in running:
                java.compile_own(found, home.classes)
        options = [f"-Dlog4j2.configurationFile={home.log4j.as_uri()}", f"-Djava.io.tmpdir={home.scratch}"]
        more = {}
        if self._kerberos is not None:
            options.append(self._kerberos.java_option)
            more = self._kerberos.sites()
        kept = home.ports()
        new = {daemon.name: daemon.ports for daemon in daemons if daemon.name not in running}
        chosen = {**kept, **ports.choose(new, kept)}
        home.keep_ports(chosen)
        written = {**sites(chosen, home.folder), **(yarn_sites(chosen, home.folder) if "yarn" in managers else {})}
        home.write_sites({name: {**settings, **more.get(name, {})} for name, settings in written.items()})
        plan = {}
        for daemon in daemons:
            data = home.data / daemon.name
            prepare = None
            if daemon.prepare is not None:
                scratch = home.data / f"{daemon.name}.new"
                command = daemon.command(found, class_path, options, chosen, scratch, daemon.prepare)
                prepare = {"command": command, "scratch": str(scratch), "makes": str(data)}
            plan[daemon.name] = {
                "command": daemon.command(found, class_path, options, chosen, data),
                "environment": daemon.variables(chosen, data),
                "prepare": prepare,
                "log": str(home.logs / f"{daemon.name}.log"),
            }
        home.keep_plan(plan, managers)

    def _start_supervisor(self) -> None:
        program = Path(__file__).with_name("supervisor.py")
        command = [sys.executable, "-I", str(program), str(self.home.folder)]
        with open(self.home.logs / "supervisor.log", "wb") as log:
            # A session of its own: the terminal's Ctrl-C is the owner's to act on.
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
        self._tell("starting " + ", ".join(daemon.name for daemon in self._daemons(self.home.managers())) + " ...")
        try:
            self._wait_for(lambda: self.home.state() is not None, STOP_SECONDS, "The supervisor has not started")
        except SandboxError as error:
            self.stop()
            raise SandboxError(f"{error}\n{self.home.log_tail('supervisor')}") from None

    def _wait_until_ready(self, deadline: float) -> None:
        while True:
            if (state := self.home.state()) is None:
                raise SandboxError(f"The sandbox ended while it started.\n{self.home.log_tail('supervisor')}")
            for name, process in state["processes"].items():
                if process["pid"] is None and process["status"] is not None:
                    kind = PortTaken if any(word in self.home.log(name) for word in PORT_TAKEN) else SandboxError
                    raise kind(f"{name} ended with status {process['status']}.\n{self.home.log_tail(name)}")
            each = next((each for each in self._statuses(state) if each.lacks), None)
            name, lacks = (
                (each.name, each.lacks)
                if each
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
            time.sleep(LOOK_SECONDS)

    def _statuses(self, state: dict | None) -> Iterator[Status]:
        """Ask one daemon after the other, as far as the caller wants to know."""
        kept = self.home.ports()
        for daemon in self._daemons(self.home.managers()):
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
            raise SandboxError(f"The sandbox in {self.home.folder} was never started, so it has no address yet")
        return kept[daemon][role]

    def _url(self, daemon: str) -> str:
        return f"http://localhost:{self._port(daemon, 'http')}"

    @staticmethod
    def _wait_for(done: Callable[[], bool], seconds: float, otherwise: str) -> None:
        deadline = time.monotonic() + seconds
        while not done():
            if time.monotonic() > deadline:
                raise SandboxError(f"{otherwise} after {seconds:g} seconds")
            time.sleep(0.02)


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        # It ended in between, which is what the signal was to bring about.
        return
