"""The process that all of a sandbox's daemons are children of. It needs nothing but Python's own library.

    python supervisor.py HOME [OWNER]

It runs what HOME/plan.json says, keeps HOME/state.json true, and holds a lock on HOME/supervisor.lock for as long as it
lives: whoever finds the lock free knows that nothing runs. With an OWNER (the process id of its parent, which holds
the other end of its standard input) it ends when the owner does, however that happens; without one it detaches and
stays. SIGTERM ends it and its daemons; SIGHUP lets it read the plan again: it starts what the plan has and doesn't run,
and ends what runs and isn't in the plan.
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
LOOK_SECONDS = 0.5
PR_SET_PDEATHSIG = 1


class Process:
    """One daemon: its preparation, if there is one to do, then the daemon itself."""

    def __init__(self, name: str, plan: dict) -> None:
        self.name = name
        self.plan = plan
        self.running: subprocess.Popen | None = None
        self.preparing = False
        self.status: int | None = None

    def start(self) -> None:
        """Start it unless it is running."""
        if self.running is not None:
            return
        prepare = self.plan["prepare"]
        self.preparing = prepare is not None and not os.path.exists(prepare["makes"])
        if self.preparing:
            shutil.rmtree(prepare["scratch"], ignore_errors=True)
        self._spawn(prepare["command"] if self.preparing else self.plan["command"])

    def look(self) -> bool:
        """Notice an end; return whether anything changed."""
        if self.running is None or self.running.poll() is None:
            return False
        self.status, self.running = self.running.returncode, None
        if self.preparing and self.status == 0:
            # Renamed when complete, so that a preparation killed half-way is done again and data is never made anew.
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
    """On Linux, lets the kernel kill this process when the supervisor dies without a chance to end it."""
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
    """Take the home's lock; those who only look at it hold it for a moment, a running supervisor for long."""
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
    """Let run what the plan has, and nothing else; what runs goes on as it was started."""
    _stop([process for process in processes if process.name not in plan])
    known = {process.name: process for process in processes}
    followed = []
    for name, each in plan.items():
        process = known.get(name) or Process(name, each)
        process.plan = each
        process.start()
        followed.append(process)
    return followed


def _stop(processes: list[Process]) -> None:
    """Ask all to end, and kill those that don't within a time."""
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
    """Run the home's plan until SIGTERM, or until the owner is gone."""
    if owner is None and os.fork():
        os._exit(0)
    lock = _hold_lock(home)
    asked: set[int] = set()
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    os.set_blocking(woken, False)
    signal.set_wakeup_fd(wake)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, _: asked.add(number))
    signal.signal(signal.SIGCHLD, lambda *_: None)

    processes: list[Process] = []
    starts = 0
    asked.add(signal.SIGHUP)
    try:
        watched = [woken] if owner is None else [woken, sys.stdin.fileno()]
        while not asked & {signal.SIGTERM, signal.SIGINT}:
            if signal.SIGHUP in asked:
                asked.discard(signal.SIGHUP)
                processes = _follow(json.loads((home / "plan.json").read_text()), processes)
                starts += 1
                _write_state(home, starts, processes)
            if any(process.look() for process in processes):
                _write_state(home, starts, processes)
            ready, _, _ = select.select(watched, [], [], LOOK_SECONDS)
            # The pipe tells at once; where a fork of the owner holds its other end too, the parent's number does.
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
