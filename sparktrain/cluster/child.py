"""The training process: a fresh interpreter that a task starts, feeds an order, listens to, and can kill.

A fresh one and never a fork: TensorFlow hangs after a fork, can't change its GPUs or threads once used, and blocks in
native code when a peer dies. A process that can be killed ends all that.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from multiprocessing.connection import wait

from sparktrain.cluster.output_lines import OutputLines
from sparktrain.interfaces.messages import Failure, Finished, Log, Message, Order, OutputCheck, decode, encode_check, encode_order

EXITED = "WorkerExited"  # by itself, before it could say why
_LAST_LINES = 40
_AT_ONCE = 1 << 16  # bytes that are read from a pipe
_PIPE = 1 << 20  # bytes that a pipe holds at most
_EVENTS = "SPARKTRAIN_EVENTS"
# What TensorFlow prints at every import, whatever its log level; and what Horovod does where another worker is gone, whose own
# failure is the cause
_CHATTER = re.compile(
    r"I0000 |WARNING: All log messages before absl::InitializeLog|"
    r".*Horovod background loop uncaught exception: .*(by peer|Broken pipe)"
)


class Child:
    """One `python -m sparktrain.worker`.

    Args:
        environment: the child's whole environment.
        on_message: called with what the child reports and with what it prints, from threads of this object.
        folder: its working folder.
    """

    def __init__(self, environment: Mapping[str, str], on_message: Callable[[Message], None], folder: str) -> None:
        self._on_message = on_message
        self._last_lines: deque[str] = deque(maxlen=_LAST_LINES)
        self._outcome: Finished | Failure | None = None
        self._killed: str | None = None
        events, events_in_child = os.pipe()
        self._ended, self._end = os.pipe()  # closed at the process's end, which wakes both relays
        try:
            self._process = self._start({**environment, _EVENTS: str(events_in_child)}, events_in_child, folder)
        finally:
            os.close(events_in_child)
        assert self._process.stdin is not None and self._process.stdout is not None  # both are pipes
        self._input, self._output = self._process.stdin, self._process.stdout
        self._threads = [
            threading.Thread(target=self._relay_output, name="child-output", daemon=True),
            threading.Thread(target=self._relay_events, args=(events,), name="child-events", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def _start(self, environment: Mapping[str, str], events: int, folder: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-u", "-m", "sparktrain.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=[events],
            env=environment,
            cwd=folder,
            start_new_session=True,  # its own process group: a kill reaches what the user's code has started, too
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def _relay_output(self) -> None:
        lines = OutputLines()
        with self._output:
            for data in self._read(self._output.fileno()):
                self._tell(lines.add(data))
            self._tell(lines.add(b"", final=True))

    def _tell(self, lines: Iterator[str]) -> None:
        for line in lines:
            self._last_lines.append(line)
            if not _CHATTER.match(line):
                self._on_message(Log(line))

    def _relay_events(self, events: int) -> None:
        pending = bytearray()
        try:
            for data in self._read(events):
                pending += data
                if b"\n" in data:
                    *lines, pending = pending.split(b"\n")
                    for line in lines:
                        self._event(decode(bytes(line)))
        finally:
            os.close(events)

    def _event(self, message: Message) -> None:
        if isinstance(message, (Finished, Failure)):
            self._outcome = message  # told by `wait`, when the process has ended
        else:
            self._on_message(message)

    def _read(self, descriptor: int) -> Iterator[bytes]:
        """What comes through a pipe, until its end. Something that the user's code has left running may hold it open: so once
        the process has ended, only what a pipe holds is still read."""
        left: int | None = None  # bytes, once the process has ended
        while left is None or left > 0:
            ready = wait([descriptor] if left is not None else [descriptor, self._ended], timeout=None if left is None else 0)
            if self._ended in ready:
                left = _PIPE
            elif descriptor not in ready:
                return
            else:
                data = os.read(descriptor, _AT_ONCE)
                if not data:
                    return
                yield data
                left = None if left is None else left - len(data)

    def check(self, check: OutputCheck) -> None:
        """Have the child look at once whether it shares the output folder with the driver; where not, it fails by that."""
        self._write(encode_check(check))

    def order(self, order: Order) -> None:
        """Tell the child what to do. A child that has already ended is noticed by `wait`, not here."""
        self._write(encode_order(order))

    def _write(self, line: str) -> None:
        try:
            self._input.write(line.encode() + b"\n")
            self._input.flush()
        except BrokenPipeError:
            pass

    def kill(self, reason: str) -> None:
        """End the child and all that it started, at once. Safe to call from any thread, at any time."""
        if self._killed is None:
            self._killed = reason
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # it has ended by itself

    def wait(self) -> Finished | Failure:
        """Wait for the child's end and say how it ended."""
        status = self._process.wait()
        try:
            os.killpg(self._process.pid, signal.SIGKILL)  # what the user's code may have left running
        except ProcessLookupError:
            pass
        os.close(self._end)
        for thread in self._threads:  # to the end of what it has told, however slowly the driver takes it
            thread.join()
        os.close(self._ended)
        self._input.close()
        if self._killed is not None:
            return Failure("echo", "Stopped", self._killed)
        if self._outcome is not None and (status == 0 or isinstance(self._outcome, Failure)):
            return self._outcome
        return Failure("lost", EXITED if status >= 0 else "WorkerLost", describe_exit(status), "\n".join(self._last_lines))


def describe_exit(status: int) -> str:
    """What an exit status that nobody explained says, and where to look."""
    if status >= 0:
        return f"the training process ended with exit status {status} before it had finished; its last lines are above"
    name = signal.Signals(-status).name
    hints = {
        "SIGKILL": "killed from outside, most often for memory: see the node's kernel log or the cluster manager's, and "
        "lower the batch size or give the worker more memory",
        "SIGSEGV": "a crash in native code: its last lines are above",
        "SIGABRT": "native code gave up: its last lines are above",
    }
    return f"the training process was ended by {name}" + (f" ({hints[name]})" if name in hints else "")
