"""The control channel: one authenticated connection from each task to the driver.

It carries logs, progress, failures and small gathers, never rows or tensors. Each side proves that it knows the run's
secret (the HMAC challenge of multiprocessing.connection), then both send lines of JSON.

Spark's own BarrierTaskContext.allGather takes a second a call (its tasks poll); a gather here takes milliseconds.
"""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from collections.abc import Callable
from multiprocessing import AuthenticationError
from multiprocessing.connection import answer_challenge, deliver_challenge
from queue import SimpleQueue
from typing import Any

from sparktrain.cluster import wire as limits
from sparktrain.cluster.wire import LineTooLong, Wire, check_length
from sparktrain.interfaces.messages import Failure, Message, decode, encode

_log = logging.getLogger(__name__)
_HANDSHAKE_SECONDS = 10
_GOODBYE_SECONDS = 5.0


class Stopped(RuntimeError):
    """Raised where the driver has ended the attempt, or is gone."""


class _Peer:
    """One task's connection, with a queue and a thread for sending, so that a frozen task blocks nobody."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.outgoing: SimpleQueue[bytes | None] = SimpleQueue()
        self.failed: OSError | None = None  # the error of a send

    def write(self) -> None:
        while (line := self.outgoing.get()) is not None:
            try:
                self.wire.send(line)
            except OSError as error:
                self.failed = error
                self.wire.shut()  # the listening thread sees the end of the connection and reports it
                return


class Server:
    """The driver's end of the channel.

    Args:
        parts: how many tasks will connect, as parts 0 to parts - 1.
        secret: the run's secret, which a task must know.
        on_message: called with (part, message), one call at a time. It must not raise.
        on_lost: called with a part whose connection ended without a goodbye, and the reason or None; never at the same time
            as on_message.
        host: the address to listen on.
        port: the port to listen on; 0 for any free one.
    """

    def __init__(
        self,
        parts: int,
        secret: bytes,
        on_message: Callable[[int, Message], None],
        on_lost: Callable[[int, str | None], None],
        host: str,
        port: int = 0,
    ) -> None:
        self._parts = parts
        self._secret = secret
        self._on_message = on_message
        self._on_lost = on_lost
        self._lock = threading.Lock()
        self._delivering = threading.Lock()
        self._peers: dict[int, _Peer] = {}
        self._open: set[Wire] = set()  # including those not yet authenticated
        self._gathers: dict[int, dict[int, str]] = {}
        self._threads: list[threading.Thread] = []
        self._stop_line: bytes | None = None
        self._closed = False
        self.hosts: dict[int, str] = {}
        self._listener = socket.create_server((host, port), backlog=parts + 8)
        self.port: int = self._listener.getsockname()[1]
        self._start(self._accept)

    def _start(self, target: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=target, args=args, name=f"channel-{target.__name__}", daemon=True)
        with self._lock:
            if self._closed:
                return
            self._threads = [other for other in self._threads if other.is_alive()] + [thread]
            thread.start()

    def _accept(self) -> None:
        while True:
            try:
                sock, peer = self._listener.accept()
            except ConnectionError:  # the other side gave up
                continue
            except OSError:  # closed
                return
            self._start(self._serve, sock, peer)

    def _serve(self, sock: socket.socket, peer: tuple) -> None:
        wire = Wire(sock, _HANDSHAKE_SECONDS)
        with self._lock:
            if self._closed:
                wire.close()
                return
            self._open.add(wire)
        try:
            self._welcome(wire, peer)
        finally:
            with self._lock:
                self._open.discard(wire)
            wire.close()

    def _welcome(self, wire: Wire, peer: tuple) -> None:
        try:
            deliver_challenge(wire.connection, self._secret)
            answer_challenge(wire.connection, self._secret)
            hello = json.loads(wire.receive())
            part = int(hello["part"])
        except (AuthenticationError, OSError, EOFError, ValueError, KeyError, TypeError) as error:
            _log.warning("a connection from %s:%s was turned away: %s", *peer[:2], error)
            return
        wire.unlimited(sending=limits.HOST_SECONDS)
        task = _Peer(wire)
        with self._lock:
            known = part in self._peers or not 0 <= part < self._parts
            if not known:
                self._peers[part] = task
                self.hosts[part] = hello["host"]
                if self._stop_line is not None:
                    task.outgoing.put(self._stop_line)
        if known:
            _log.warning("a second connection for part %s was turned away", part)
            return
        writer = threading.Thread(target=task.write, name="channel-write", daemon=True)
        writer.start()
        try:
            self._listen(part, task)
        finally:
            task.outgoing.put(None)
            wire.shut()
            writer.join()

    def _listen(self, part: int, task: _Peer) -> None:
        goodbye, why = False, None
        try:
            while not goodbye:
                line = task.wire.receive()
                fields = json.loads(line)
                if fields["kind"] == "gather":
                    self._gather(part, fields["turn"], fields["value"])
                elif fields["kind"] == "goodbye":
                    goodbye = True
                else:
                    self._deliver(part, decode(line))
        except LineTooLong as error:
            why = str(error)
        except (OSError, EOFError) as error:
            if isinstance(error, TimeoutError) or isinstance(task.failed, (BlockingIOError, TimeoutError)):
                why = f"it, or its host, has answered nothing for {limits.HOST_SECONDS:.0f} s"
        finally:
            if not goodbye and not self._closed:
                with self._delivering:
                    self._on_lost(part, why)

    def _deliver(self, part: int, message: Message) -> None:
        with self._delivering:
            self._on_message(part, message)

    def _gather(self, part: int, turn: int, value: str) -> None:
        with self._lock:
            values = self._gathers.setdefault(turn, {})
            values[part] = value
            if len(values) < self._parts:
                return
            del self._gathers[turn]
        answer = {"kind": "gathered", "values": [values[p] for p in range(self._parts)], "at": time.time()}
        line = json.dumps(answer).encode()
        try:
            check_length(len(line), f"what {self._parts} workers tell each other")
        except LineTooLong as error:
            self._deliver(part, Failure("code", type(error).__name__, str(error)))
            return
        self._send_all(line)

    def _send_all(self, line: bytes) -> None:
        with self._lock:
            for task in self._peers.values():
                task.outgoing.put(line)

    def stop(self, reason: str) -> None:
        """Ask every task, also those that connect later, to end its child and itself, without waiting for them."""
        line = json.dumps({"kind": "stop", "reason": reason}).encode()
        with self._lock:
            self._stop_line = line
        self._send_all(line)

    def close(self) -> None:
        """End every connection and thread. May be called twice."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            wires, threads = list(self._open), list(self._threads)
        with socket.socket(fileno=socket.dup(self._listener.fileno())) as listener:
            try:
                listener.shutdown(socket.SHUT_RDWR)  # closing alone doesn't wake a thread that waits in accept
            except OSError:
                pass  # a listener isn't connected, which doesn't matter
        self._listener.close()
        for wire in wires:
            wire.shut()
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(timeout=5)


class Client:
    """A task's end of the channel. Its methods may be called from any thread.

    Args:
        address: the driver's (host, port).
        secret: the run's secret.
        part: this task's part.
        host: the address at which the other workers reach this one.
        on_stop: called once, with the reason, when the driver ends the attempt or is gone.

    Raises:
        OSError, EOFError, AuthenticationError: the driver can't be reached, or isn't this run's.
    """

    def __init__(self, address: tuple[str, int], secret: bytes, part: int, host: str, on_stop: Callable[[str], None]) -> None:
        self._on_stop = on_stop
        self._sending = threading.Lock()
        self._answers = threading.Condition()
        self._gathered: list[list[str]] = []
        self._began = time.time() - time.monotonic()  # the driver's time at 0 of the monotonic clock; at first this host's
        self._stopped: str | None = None
        self._turn = 0
        self._leaving = False
        self._wire = Wire(socket.create_connection(address, timeout=_HANDSHAKE_SECONDS), _HANDSHAKE_SECONDS)
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
