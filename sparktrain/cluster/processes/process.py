"""The process of a training worker as its task has it: how one is started afresh, and what every one can be asked."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

_EVENTS = "SPARKTRAIN_EVENTS"
_WORKER = ("-u", "-m", "sparktrain.worker")


@dataclass(frozen=True)
class Ends:
    """A training process's ends of three pipes: standard input, standard output and error, and messages."""

    stdin: int
    stdout: int
    events: int

    def copy(self) -> Ends:
        """Return duplicates, to be closed on their own."""
        return Ends(*map(os.dup, (self.stdin, self.stdout, self.events)))

    def close(self) -> None:
        """Close all three. To be called once."""
        for end in (self.stdin, self.stdout, self.events):
            os.close(end)


class Process(Protocol):
    """A training process that was started, with a process group of its own."""

    @property
    def pid(self) -> int | None:
        """Its process id; None as long as it isn't known."""

    def kill(self) -> None:
        """Kill it and the processes that it started; no error if it has ended. May be called from any thread."""

    def wait(self) -> int:
        """Wait for its end and return its exit status; the negative number of a signal that ended it. To be called once."""


Start = Callable[[Mapping[str, str], Ends, str], Process]


def start_afresh(environment: Mapping[str, str], ends: Ends, folder: str, words: Sequence[str] = _WORKER) -> Process:
    """Start a training process as a new interpreter.

    Args:
        environment: all environment variables of the process.
        ends: its ends of the pipes; this process's copies may be closed afterwards.
        folder: its working folder.
        words: the interpreter's arguments.
    """
    return _Fresh(
        subprocess.Popen(
            [sys.executable, *words],
            stdin=ends.stdin,
            stdout=ends.stdout,
            stderr=subprocess.STDOUT,
            pass_fds=[ends.events],
            env={**environment, _EVENTS: str(ends.events)},
            cwd=folder,
            process_group=0,  # a kill reaches the user's child processes, too
        )
    )


class _Fresh:
    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.pid = process.pid
        self.wait = process.wait

    def kill(self) -> None:
        kill_group(self.pid)


def kill_group(pid: int) -> None:
    """Kill the processes of a group; no error if there are none."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
