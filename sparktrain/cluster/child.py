"""The training process: a fresh interpreter that a task starts, sends an order, listens to, and can kill.

Not a fork of the task, as TensorFlow hangs after a fork and can't change its GPUs or threads once used; and a process of its
own, as TensorFlow blocks in native code when a peer dies, and only a process can be killed.
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

EXITED = "WorkerExited"  # the error of a process that ended by itself without reporting why
_LAST_LINES = 40
_AT_ONCE = 1 << 16  # bytes read from a pipe at once
_PIPE = 1 << 20  # bytes that a pipe holds at most
_EVENTS = "SPARKTRAIN_EVENTS"
# Lines that TensorFlow prints at every import, whatever its log level, and that Horovod prints if another worker is gone, which
# reports its own failure
_CHATTER = re.compile(
    r"I0000 |WARNING: All log messages before absl::InitializeLog|"
    r".*Horovod background loop uncaught exception: .*(by peer|Broken pipe)"
)


class Child:
    """A training process, `python -m sparktrain.worker`.

    Args:
        environment: all environment variables of the process.
        on_message: called with the process's messages and with its output as `Log`, from threads of this object.
        folder: its working folder.
    """

    def __init__(self, environment: Mapping[str, str], on_message: Callable[[Message], None], folder: str) -> None:
        self._on_message = on_message
        self._last_lines: deque[str] = deque(maxlen=_LAST_LINES)
        self._outcome: Finished | Failure | None = None
        self._killed: str | None = None
        events, events_in_child = os.pipe()
        self._ended, self._end = os.pipe()  # closed when the process has ended, to wake both relay threads
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
            start_new_session=True,  # its own process group: a kill reaches the user's child processes, too
        )

    @property
    def pid(self) -> int:
        """The id of the training process."""
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
            self._outcome = message  # returned by `wait`, when the process has ended
        else:
            self._on_message(message)

    def _read(self, descriptor: int) -> Iterator[bytes]:
        """Yield data from a pipe until its end. Processes that the user's code has left running may hold it open: once the
        training process has ended, at most what a pipe holds is still read."""
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
        """Ask the child to check now that it shares the output folder with the driver; if it doesn't, it fails."""
        self._write(encode_check(check))

    def order(self, order: Order) -> None:
        """Send the child its order. If it has ended already, `wait` reports it."""
        self._write(encode_order(order))

    def _write(self, line: str) -> None:
        try:
            self._input.write(line.encode() + b"\n")
            self._input.flush()
        except BrokenPipeError:
            pass

    def kill(self, reason: str) -> None:
        """Kill the child and the processes that it started. May be called from any thread, at any time."""
        if self._killed is None:
            self._killed = reason
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # it has ended by itself

    def wait(self) -> Finished | Failure:
        """Wait for the child's end and return how it ended."""
        status = self._process.wait()
        try:
            os.killpg(self._process.pid, signal.SIGKILL)  # processes that the user's code may have left running
        except ProcessLookupError:
            pass
        os.close(self._end)
        for thread in self._threads:  # until the driver has received everything, however slowly
            thread.join()
        os.close(self._ended)
        self._input.close()
        if self._killed is not None:
            return Failure("echo", "Stopped", self._killed)
        if self._outcome is not None and (status == 0 or isinstance(self._outcome, Failure)):
            return self._outcome
        return Failure("lost", EXITED if status >= 0 else "WorkerLost", describe_exit(status), "\n".join(self._last_lines))


def describe_exit(status: int) -> str:
    """Return a message for an exit status without an explanation, with a hint where to look."""
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
