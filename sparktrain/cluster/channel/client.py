"""A task's end of the control channel, which cluster.channel.server describes."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import answer_challenge, deliver_challenge

from sparktrain.cluster.channel import wire as limits
from sparktrain.cluster.channel.wire import LineTooLong, Wire, check_length
from sparktrain.interfaces.messages import Failure, Message, encode

_GOODBYE_SECONDS = 5.0


class Stopped(RuntimeError):
    """Raised where the driver has ended the attempt, or is gone."""


def tell_absent(address: tuple[str, int], secret: bytes, task: int) -> None:
    """Report to the driver that a task has no part to work on.

    Args:
        address: the driver's (host, port).
        secret: the run's secret.
        task: the task's number.

    Raises:
        OSError, EOFError, AuthenticationError: the driver can't be reached, or isn't this run's.
    """
    wire = Wire(socket.create_connection(address, timeout=limits.HANDSHAKE_SECONDS), limits.HANDSHAKE_SECONDS)
    try:
        answer_challenge(wire.connection, secret)
        deliver_challenge(wire.connection, secret)
        wire.send(json.dumps({"kind": "hello", "part": task, "absent": True}).encode())
    finally:
        wire.close()


class Client:
    """A task's end of the channel. Its methods may be called from any thread.

    Args:
        address: the driver's (host, port).
        secret: the run's secret.
        part: this task's part.
        host: the address at which the other workers reach this one.
        on_stop: called once, with the reason, when the driver ends the attempt or is gone.
        on_end_epoch: called with the reason when the driver asks for the end of training after the current epoch. It must not
            wait, as a stop is heard by the same thread.

    Raises:
        OSError, EOFError, AuthenticationError: the driver can't be reached, or isn't this run's.
    """

    def __init__(
        self,
        address: tuple[str, int],
        secret: bytes,
        part: int,
        host: str,
        on_stop: Callable[[str], None],
        on_end_epoch: Callable[[str], None] = lambda reason: None,
    ) -> None:
        self._on_stop, self._on_end_epoch = on_stop, on_end_epoch
        self._sending = threading.Lock()
        self._answers = threading.Condition()
        self._gathered: list[list[str]] = []
        self._began = time.time() - time.monotonic()  # the driver's time at 0 of the monotonic clock; at first this host's
        self._stopped: str | None = None
        self._turn = 0
        self._leaving = False
        self._wire = Wire(socket.create_connection(address, timeout=limits.HANDSHAKE_SECONDS), limits.HANDSHAKE_SECONDS)
        try:
            answer_challenge(self._wire.connection, secret)
            deliver_challenge(self._wire.connection, secret)
            self._wire.send(json.dumps({"kind": "hello", "part": part, "host": host}).encode())
        except BaseException:
            self._wire.close()
            raise
        # The driver's process may be suspended for any time: only its host must answer.
        self._wire.unlimited()
        self._thread = threading.Thread(target=self._listen, name="channel-listen", daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        reason, gone = "the driver is gone", True
        try:
            while True:
                fields = json.loads(self._wire.receive())
                if fields["kind"] == "gathered":
                    with self._answers:
                        self._began = fields["at"] - time.monotonic()
                        self._gathered.append(fields["values"])
                        self._answers.notify_all()
                elif fields["kind"] == "end_epoch":
                    self._on_end_epoch(fields["reason"])
                else:
                    reason, gone = fields["reason"], False
                    break
        except LineTooLong as error:
            reason = f"the driver can't be understood: {error}"
        except TimeoutError:
            reason = f"the driver is gone: its host has answered nothing for {limits.HOST_SECONDS:.0f} s"
        except (OSError, EOFError):
            pass  # the reason says it
        with self._answers:
            if self._leaving:
                return
            self._stopped = reason
            self._answers.notify_all()
        if gone:
            self._wire.shut()  # wakes threads that wait to send
        self._on_stop(reason)

    def by_monotonic_clock(self, moment: float) -> float:
        """Convert a time of the driver's clock, in seconds since 1970, to seconds of this host's monotonic clock.

        The error is the time that the driver's last answer to a gather took.
        """
        return moment - self._began

    def send(self, message: Message) -> None:
        """Send a message to the driver; does nothing if the driver is gone, as on_stop has reported it.

        A message that is too long is sent as a failure of this worker instead.
        """
        line = encode(message).encode()
        try:
            check_length(len(line), f"this worker's message {type(message).__name__}")
        except LineTooLong as error:
            line = encode(Failure("code", type(error).__name__, str(error))).encode()
        self._send_line(line)

    def _send_line(self, line: bytes) -> None:
        with self._sending:
            try:
                self._wire.send(line)
            except OSError:
                pass  # the listener sees the end of the connection

    def gather(self, value: str) -> list[str]:
        """Exchange strings between all parts: send this part's, return every part's, by part. All must call it equally often.

        Raises:
            Stopped: the driver ended the attempt, or is gone.
            LineTooLong: the value is too long.
        """
        self._turn += 1
        line = json.dumps({"kind": "gather", "turn": self._turn, "value": value}).encode()
        check_length(len(line), "what this worker tells the others")
        self._send_line(line)
        with self._answers:
            self._answers.wait_for(lambda: self._gathered or self._stopped is not None)
            if self._gathered:
                return self._gathered.pop(0)
            raise Stopped(self._stopped)

    def close(self) -> None:
        """Send a goodbye, after which the driver expects nothing from this task, and close the connection."""
        with self._answers:
            self._leaving = True
        self._wire.unlimited(sending=_GOODBYE_SECONDS)
        self._send_line(json.dumps({"kind": "goodbye"}).encode())
        self._wire.shut()
        self._thread.join(timeout=5)
        self._wire.close()
