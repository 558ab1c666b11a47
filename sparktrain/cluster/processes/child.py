"""The training process: what a task starts, sends an order, listens to, and can kill.

Not a fork of the task, as TensorFlow can't change its GPUs or threads once used; and a process of its own, as TensorFlow blocks
in native code when a peer dies, and only a process can be killed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from multiprocessing.connection import wait

from sparktrain.cluster.processes.output_lines import OutputLines
from sparktrain.cluster.processes.process import Ends, Start, start_afresh
from sparktrain.interfaces.messages import EndEpoch, Failure, Finished, Log, Message, Order, OutputCheck, decode, encode
from sparktrain.known_messages.training_output import CHATTER

EXITED = "WorkerExited"  # the error of a process that ended by itself without reporting why
_LAST_LINES = 40
_AT_ONCE = 1 << 16  # bytes read from a pipe at once
_PIPE = 1 << 20  # bytes that a pipe holds at most


class Child:
    """A training process, `sparktrain.worker`.

    Args:
        environment: all environment variables of the process.
        on_message: called with the process's messages and with its output as `Log`, from threads of this object.
        folder: its working folder.
        start: what starts the process: `start_afresh`, or `WarmStart.start`.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        on_message: Callable[[Message], None],
        folder: str,
        start: Start = start_afresh,
    ) -> None:
        self._on_message = on_message
        self._last_lines: deque[str] = deque(maxlen=_LAST_LINES)
        self._outcome: Finished | Failure | None = None
        self._killed: str | None = None
        orders, self._orders = os.pipe()
        self._writing = threading.Lock()  # a request is written whole, and not after the pipe was closed
        self._gone = False
        output, its_output = os.pipe()
        events, its_events = os.pipe()
        self._ended, self._end = os.pipe()  # closed when the process has ended, to wake both relay threads
        ends = Ends(orders, its_output, its_events)
        try:
            self._process = start(environment, ends, folder)
        finally:
            ends.close()
        self._threads = [
            threading.Thread(target=self._relay_output, args=(output,), name="child-output", daemon=True),
            threading.Thread(target=self._relay_events, args=(events,), name="child-events", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    @property
    def pid(self) -> int | None:
        """The id of the training process; None as long as it isn't known."""
        return self._process.pid

    def _relay_output(self, output: int) -> None:
        lines = OutputLines()
        try:
            for data in self._read(output):
                self._report_lines(lines.add(data))
            self._report_lines(lines.add(b"", final=True))
        finally:
            os.close(output)

    def _report_lines(self, lines: Iterator[str]) -> None:
        for line in lines:
            self._last_lines.append(line)
            if not any(message.find(line) for message in CHATTER):
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
        self._write(encode(check))

    def order(self, order: Order) -> None:
        """Send the child its order. If it has ended already, `wait` reports it."""
        self._write(encode(order))

    def end_epoch(self, reason: str) -> None:
        """Ask the child to end training after the current epoch, or after the first if none has begun. From any thread, at any
        time; it waits while the child reads nothing."""
        self._write(encode(EndEpoch(reason)))

    def _write(self, line: str) -> None:
        data = line.encode() + b"\n"
        with self._writing, contextlib.suppress(BrokenPipeError):
            while data and not self._gone:
                data = data[os.write(self._orders, data) :]

    def kill(self, reason: str) -> None:
        """Kill the child and the processes that it started. May be called from any thread, at any time."""
        if self._killed is None:
            self._killed = reason
        self._process.kill()

    def wait(self) -> Finished | Failure:
        """Wait for the child's end and return how it ended."""
        status = self._process.wait()
        self._process.kill()  # processes that the user's code may have left running
        os.close(self._end)
        for thread in self._threads:  # until the driver has received everything, however slowly
            thread.join()
        os.close(self._ended)
        with self._writing:
            self._gone = True
            os.close(self._orders)
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
