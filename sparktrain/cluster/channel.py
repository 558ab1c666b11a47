"""The control channel: one authenticated connection from each task to the driver.

Logs, progress, failures and small gathers go through it; rows and tensors never do. Each side proves that it knows
the run's secret (the HMAC challenge of multiprocessing.connection), then lines of JSON go both ways.

Spark's own BarrierTaskContext.allGather takes a second a call (its tasks poll); a gather here takes milliseconds.
"""

from __future__ import annotations

import json
import logging
import socket
import struct
import threading
from multiprocessing import AuthenticationError
from multiprocessing.connection import Connection, answer_challenge, deliver_challenge
from typing import Any, Callable

from sparktrain.interfaces.messages import Message, decode, encode

_log = logging.getLogger(__name__)
_HANDSHAKE_SECONDS = 10
_LARGEST_LINE = 64 << 20


class Stopped(RuntimeError):
    """The driver ended the attempt, or is gone."""


def _limit_waiting(sock: socket.socket, seconds: float) -> None:
    # The kernel's own time-out leaves the descriptor blocking, which Connection needs; settimeout would not.
    limit = struct.pack("ll", int(seconds), 0)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)


def _wait_for_ever(connection: Connection) -> None:
    with socket.socket(fileno=socket.dup(connection.fileno())) as sock:
        _limit_waiting(sock, 0)


def _shut(descriptor: int) -> None:
    """Wake whoever waits in accept or read on a socket; closing it alone doesn't."""
    with socket.socket(fileno=socket.dup(descriptor)) as sock:
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass   # the other side was first


class Server:
    """The driver's end.

    Args:
        parts: how many tasks will connect, as parts 0 to parts - 1.
        secret: what a task must know to be listened to.
        on_message: called with (part, message), one call at a time. It must not raise.
        on_lost: called with the part whose connection ended without its goodbye, in turn with on_message.
        host: the address to listen on.
        port: 0 for any free one.
    """

    def __init__(
        self,
        parts: int,
        secret: bytes,
        on_message: Callable[[int, Message], None],
        on_lost: Callable[[int], None],
        host: str,
        port: int = 0,
    ) -> None:
        self._parts = parts
        self._secret = secret
        self._on_message = on_message
        self._on_lost = on_lost
        self._lock = threading.Lock()
        self._delivering = threading.Lock()
        self._connections: dict[int, Connection] = {}
        self._open: set[Connection] = set()   # those not yet trusted, too
        self._gathers: dict[int, dict[int, str]] = {}
        self._threads: list[threading.Thread] = []
        self._stop_line: str | None = None
        self._closed = False
        self.hosts: dict[int, str] = {}
        self._listener = socket.create_server((host, port), backlog=parts + 8)
        self.port: int = self._listener.getsockname()[1]
        self._start(self._accept)

    def _start(self, target: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=target, args=args, name=f"channel-{target.__name__}", daemon=True)
        with self._lock:
            self._threads = [other for other in self._threads if other.is_alive()] + [thread]
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                sock, peer = self._listener.accept()
            except ConnectionError:   # that one gave up
                continue
            except OSError:   # closed
                return
            self._start(self._serve, sock, peer)

    def _serve(self, sock: socket.socket, peer: tuple) -> None:
        _limit_waiting(sock, _HANDSHAKE_SECONDS)
        connection = Connection(sock.detach())
        with self._lock:
            if self._closed:
                connection.close()
                return
            self._open.add(connection)
        try:
            self._welcome(connection, peer)
        finally:
            with self._lock:
                self._open.discard(connection)
                connection.close()

    def _welcome(self, connection: Connection, peer: tuple) -> None:
        try:
            deliver_challenge(connection, self._secret)
            answer_challenge(connection, self._secret)
            hello = json.loads(connection.recv_bytes(_LARGEST_LINE))
            part = int(hello["part"])
        except (AuthenticationError, OSError, EOFError, ValueError, KeyError, TypeError) as error:
            _log.warning("a connection from %s:%s was turned away: %s", *peer[:2], error)
            return
        _wait_for_ever(connection)
        with self._lock:
            known = part in self._connections or not 0 <= part < self._parts
            if not known:
                self._connections[part] = connection
                self.hosts[part] = hello["host"]
            stop = self._stop_line
        if known:
            _log.warning("a second connection for part %s was turned away", part)
            return
        if stop is not None:
            self._send(part, stop)
        self._listen(part, connection)

    def _listen(self, part: int, connection: Connection) -> None:
        goodbye = False
        try:
            while not goodbye:
                line = connection.recv_bytes(_LARGEST_LINE)
                fields = json.loads(line)
                if fields["kind"] == "gather":
                    self._gather(part, fields["turn"], fields["value"])
                elif fields["kind"] == "goodbye":
                    goodbye = True
                else:
                    message = decode(line)
                    with self._delivering:
                        self._on_message(part, message)
        except (OSError, EOFError):
            pass   # told below as a loss
        finally:
            if not goodbye and not self._closed:
                with self._delivering:
                    self._on_lost(part)

    def _gather(self, part: int, turn: int, value: str) -> None:
        with self._lock:
            values = self._gathers.setdefault(turn, {})
            values[part] = value
            complete = len(values) == self._parts
            if complete:
                del self._gathers[turn]
        if complete:
            line = json.dumps({"kind": "gathered", "values": [values[p] for p in range(self._parts)]})
            for p in range(self._parts):
                self._send(p, line)

    def _send(self, part: int, line: str) -> None:
        with self._lock:
            connection = self._connections.get(part)
            if connection is None or connection.closed:
                return
            try:
                connection.send_bytes(line.encode())
            except OSError:
                _shut(connection.fileno())   # its listener sees the end of the connection and tells it

    def stop(self, reason: str) -> None:
        """Tell every task, also those that connect from now on, to end its child and itself."""
        line = json.dumps({"kind": "stop", "reason": reason})
        with self._lock:
            self._stop_line = line
        for part in range(self._parts):
            self._send(part, line)

    def close(self) -> None:
        """End every connection and thread. Safe to call twice."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            connections, threads = list(self._open), list(self._threads)
            for descriptor in [self._listener.fileno(), *(connection.fileno() for connection in connections)]:
                _shut(descriptor)
        self._listener.close()
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(timeout=5)


class Client:
    """A task's end. Any of its methods may be called from any thread.

    Args:
        address: the driver's (host, port).
        secret: the run's.
        part: this task's part.
        host: where the other workers reach this one.
        on_stop: called once, with the reason, when the driver ends the attempt or is gone.

    Raises:
        OSError, EOFError, AuthenticationError: the driver can't be reached, or it is another's.
    """

    def __init__(
        self, address: tuple[str, int], secret: bytes, part: int, host: str, on_stop: Callable[[str], None]
    ) -> None:
        self._on_stop = on_stop
        self._sending = threading.Lock()
        self._answers = threading.Condition()
        self._gathered: list[list[str]] = []
        self._stopped: str | None = None
        self._turn = 0
        self._leaving = False
        sock = socket.create_connection(address, timeout=_HANDSHAKE_SECONDS)
        sock.settimeout(None)
        _limit_waiting(sock, _HANDSHAKE_SECONDS)
        self._connection = Connection(sock.detach())
        try:
            answer_challenge(self._connection, secret)
            deliver_challenge(self._connection, secret)
            self._connection.send_bytes(json.dumps({"kind": "hello", "part": part, "host": host}).encode())
        except BaseException:
            self._connection.close()
            raise
        _wait_for_ever(self._connection)
        self._thread = threading.Thread(target=self._listen, name="channel-listen", daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        reason = "the driver is gone"
        try:
            while True:
                fields = json.loads(self._connection.recv_bytes(_LARGEST_LINE))
                if fields["kind"] == "gathered":
                    with self._answers:
                        self._gathered.append(fields["values"])
                        self._answers.notify_all()
                else:
                    reason = fields["reason"]
                    break
        except (OSError, EOFError):
            pass   # said by the reason
        with self._answers:
            if self._leaving:
                return
            self._stopped = reason
            self._answers.notify_all()
        self._on_stop(reason)

    def send(self, message: Message) -> None:
        """Tell the driver; nothing happens when it is gone (on_stop has said so)."""
        self._send_line(encode(message))

    def _send_line(self, line: str) -> None:
        with self._sending:
            try:
                self._connection.send_bytes(line.encode())
            except OSError:
                pass   # the listener sees the end of the connection

    def gather(self, value: str) -> list[str]:
        """Hand every part's value to every part, in the order of the parts. All must call it equally often.

        Raises:
            Stopped: the driver ended the attempt, or is gone.
        """
        self._turn += 1
        self._send_line(json.dumps({"kind": "gather", "turn": self._turn, "value": value}))
        with self._answers:
            self._answers.wait_for(lambda: self._gathered or self._stopped is not None)
            if self._gathered:
                return self._gathered.pop(0)
            raise Stopped(self._stopped)

    def close(self) -> None:
        """Say goodbye: the driver expects nothing more from this task."""
        with self._answers:
            self._leaving = True
        self._send_line(json.dumps({"kind": "goodbye"}))
        _shut(self._connection.fileno())
        self._thread.join(timeout=5)
        self._connection.close()
