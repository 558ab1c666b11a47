"""Supervises a sandbox's daemons, as their parent process; it needs only Python's standard library.

    python supervisor.py HOME [OWNER]

It runs the processes of HOME/plan.json, keeps HOME/state.json up to date, and holds a lock on HOME/supervisor.lock for as long
as it runs: where the lock is free, no daemon runs. With an OWNER (the process id of its parent, which holds the other end of its
standard input) it ends when the owner ends, even if that is killed; without one it detaches and keeps running. SIGTERM ends it
and its daemons. SIGHUP makes it read the plan again, start the plan's processes that don't run, and end those that aren't in it.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

STOP_SECONDS = 8.0
LOCK_SECONDS = 5.0
POLL_SECONDS = 0.5
PR_SET_PDEATHSIG = 1


class Process:
    """A daemon's process, preceded by the process that prepares its data folder if that doesn't exist yet.

    Args:
        name: the daemon's name.
        plan: its entry in plan.json.

    Attributes:
        name: the daemon's name.
        plan: its entry in plan.json.
        running: the process; None if none runs.
        preparing: whether the process is the one that prepares the data folder.
        status: the exit status of the latest process that ended; None since the start of another.
    """

    def __init__(self, name: str, plan: dict) -> None:
        self.name = name
        self.plan = plan
        self.running: subprocess.Popen | None = None
        self.preparing = False
        self.status: int | None = None

    def start(self) -> None:
        """Start the preparation or the daemon, unless one of them runs."""
        if self.running is not None:
            return
        prepare = self.plan["prepare"]
        self.preparing = prepare is not None and not os.path.exists(prepare["makes"])
        if self.preparing:
            shutil.rmtree(prepare["scratch"], ignore_errors=True)
        self._spawn(prepare["command"] if self.preparing else self.plan["command"])

    def poll(self) -> bool:
        """Return whether the process has ended since the last call, and start the daemon after its preparation."""
        if self.running is None or self.running.poll() is None:
            return False
        self.status, self.running = self.running.returncode, None
        if self.preparing and self.status == 0:
            # Renamed once complete: a preparation that was killed is repeated, and existing data is never replaced
            os.rename(self.plan["prepare"]["scratch"], self.plan["prepare"]["makes"])
            self.start()
        return True

    def _spawn(self, command: list[str]) -> None:
        log = self.plan["log"]
        if os.path.exists(log):
            os.replace(log, log + ".1")
        with open(log, "wb") as output:
            self.running = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, **self.plan["environment"]},
                preexec_fn=end_with_parent,
            )
        self.status = None


def end_with_parent() -> None:
    """Let the kernel kill this process when its parent dies, for instance by SIGKILL; on Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _write_state(home: Path, starts: int, processes: list[Process]) -> None:
    state = {
        "supervisor": os.getpid(),
        "starts": starts,
        "processes": {
            process.name: {"pid": process.running.pid if process.running else None, "status": process.status}
            for process in processes
        },
    }
    scratch = home / "state.json.new"
    scratch.write_text(json.dumps(state, indent=1))
    os.replace(scratch, home / "state.json")


def _hold_lock(home: Path) -> int:
    """Take the lock that a running supervisor holds; a process that only tests it holds it for a moment."""
    lock = os.open(home / "supervisor.lock", os.O_RDWR | os.O_CREAT, 0o644)
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return lock
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise SystemExit(f"another sandbox runs in {home}") from None
            time.sleep(0.05)


def _follow(plan: dict, processes: list[Process]) -> list[Process]:
    """Start the plan's processes that don't run, end those that aren't in it, and return the plan's processes."""
    _stop([process for process in processes if process.name not in plan])
    known = {process.name: process for process in processes}
    followed = []
    for name, entry in plan.items():
        process = known.get(name) or Process(name, entry)
        process.plan = entry
        process.start()
        followed.append(process)
    return followed


def _stop(processes: list[Process]) -> None:
    """Terminate processes, and kill those that have not ended in 8 seconds."""
    for process in processes:
        if process.running:
            process.running.terminate()
    deadline = time.monotonic() + STOP_SECONDS
    for process in processes:
        if process.running:
            try:
                process.running.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.running.kill()
                process.running.wait()


def main(home: Path, owner: int | None) -> None:
    """Run the processes of a sandbox's plan until SIGTERM, or until the owner has ended.

    Args:
        home: the sandbox's folder.
        owner: the process id of this process's parent; None to detach from it.
    """
    if owner is None and os.fork():
        os._exit(0)
    lock = _hold_lock(home)
    received: set[int] = set()  # signals
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    os.set_blocking(woken, False)
    signal.set_wakeup_fd(wake)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, _: received.add(number))
    signal.signal(signal.SIGCHLD, lambda *_: None)

    processes: list[Process] = []
    starts = 0
    received.add(signal.SIGHUP)
    try:
        watched = [woken] if owner is None else [woken, sys.stdin.fileno()]
        while not received & {signal.SIGTERM, signal.SIGINT}:
            if signal.SIGHUP in received:
                received.discard(signal.SIGHUP)
                processes = _follow(json.loads((home / "plan.json").read_text()), processes)
                starts += 1
                _write_state(home, starts, processes)
            if any(process.poll() for process in processes):
                _write_state(home, starts, processes)
            ready, _, _ = select.select(watched, [], [], POLL_SECONDS)
            # The owner's end closes the pipe at once, unless a fork of the owner holds its other end, too: then only the
            # parent's process id changes
            if owner is not None and (sys.stdin.fileno() in ready or os.getppid() != owner):
                break
            if woken in ready:
                os.read(woken, 4096)
    finally:
        _stop(processes)
        (home / "state.json").unlink(missing_ok=True)
        os.close(lock)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else None)
