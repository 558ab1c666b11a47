"""The driver's end of the control channel: one authenticated connection from each task to the driver.

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

from sparktrain.cluster.channel import wire as limits
from sparktrain.cluster.channel.wire import LineTooLong, Wire, check_length
from sparktrain.interfaces.messages import Failure, Message, decode

_log = logging.getLogger(__name__)


class _Peer:
    """One task's connection, with a queue and a thread for sending, so that a frozen task blocks nobody."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.outgoing: SimpleQueue[bytes | None] = SimpleQueue()
        self.failed: OSError | None = None  # the error of a send
        self._writer = threading.Thread(target=self._write, name="channel-write", daemon=True)
        self._writer.start()

    def finish(self) -> None:
        """End sending, and the connection with it; afterwards `failed` is known."""
        self.outgoing.put(None)
        self.wire.shut()
        self._writer.join()

    def _write(self) -> None:
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
        on_absent: called with a number of a task that has no part to work on.
    """

    def __init__(
        self,
        parts: int,
        secret: bytes,
        on_message: Callable[[int, Message], None],
        on_lost: Callable[[int, str | None], None],
        host: str,
        port: int = 0,
        on_absent: Callable[[int], None] = lambda task: None,
    ) -> None:
        self._on_absent = on_absent
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
        self._standing: dict[str, bytes] = {}  # by their kind: lines that are also for tasks which connect later
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
        wire = Wire(sock, limits.HANDSHAKE_SECONDS)
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
            host, absent = str(hello.get("host", "")), bool(hello.get("absent"))
        except (AuthenticationError, OSError, EOFError, ValueError, KeyError, TypeError) as error:
            _log.warning("a connection from %s:%s was turned away: %s", *peer[:2], error)
            return
        if absent:
            self._on_absent(part)
            return
        wire.unlimited(sending=limits.HOST_SECONDS)
        task = _Peer(wire)
        try:
            self._attend(peer, part, task, host)
        finally:
            task.finish()

    def _attend(self, peer: tuple, part: int, task: _Peer, host: str) -> None:
        with self._lock:
            known = part in self._peers or not 0 <= part < self._parts
            if not known:
                self._peers[part] = task
                self.hosts[part] = host
                for line in self._standing.values():
                    task.outgoing.put(line)
        if known:
            _log.warning("a second connection for part %s was turned away", part)
            return
        self._listen(part, task)

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
            task.finish()  # of an end by the kernel, the thread that sends may have the reason, and later than this one sees the end
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
        self._send_also_later("stop", reason)

    def end_epoch(self, reason: str) -> None:
        """Ask every task, also those that connect later, to have its child end training after the current epoch."""
        self._send_also_later("end_epoch", reason)

    def _send_also_later(self, kind: str, reason: str) -> None:
        line = json.dumps({"kind": kind, "reason": reason}).encode()
        with self._lock:
            self._standing[kind] = line
            for task in self._peers.values():
                task.outgoing.put(line)

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
