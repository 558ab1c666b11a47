"""Protects TensorFlowOnSpark's reservation server, which would unpickle whatever anybody sends to the driver.

Messages get a MAC with the cluster's key, which is verified before anything is unpickled, and the server listens on one address
instead of all. Only servers and clients made within `guarded` are changed, not those of a program that uses TensorFlowOnSpark
itself.
"""

from __future__ import annotations

import hmac
import pickle
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import wraps
from typing import Any

from sparktrain.engines.tensorflowonspark.package import plain_import

with plain_import():
    from tensorflowonspark import reservation

_DIGEST, _MAC_BYTES = "sha256", 32
_LARGEST = 64 << 20  # bytes of a message; one of 1,000 nodes has half a megabyte
_STRANGER_SECONDS = 5.0  # that a client may take for a message, as the server reads one at a time


@dataclass(frozen=True)
class _Guard:
    key: bytes
    address: str | None


_within: ContextVar[_Guard | None] = ContextVar("_within", default=None)


@contextmanager
def guarded(key: bytes, address: str | None = None) -> Iterator[None]:
    """Let reservation servers and clients made within a context accept only messages with the key.

    Args:
        key: the cluster's key.
        address: the address that a server listens on; None for all.
    """
    token = _within.set(_Guard(key, address))
    try:
        yield
    finally:
        _within.reset(token)


def _remembering(own: Callable[..., None]) -> Callable[..., None]:
    @wraps(own)
    def made(self: Any, *arguments: Any) -> None:
        self.guard = _within.get()
        own(self, *arguments)

    return made


def _sending(own: Callable[..., None]) -> Callable[..., None]:
    @wraps(own)
    def send(self: Any, sock: socket.socket, message: Any) -> None:
        if getattr(self, "guard", None) is None:
            return own(self, sock, message)
        data = pickle.dumps(message)
        sock.sendall(struct.pack(">I", len(data)) + hmac.digest(self.guard.key, data, _DIGEST) + data)

    return send


def _receiving(own: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(own)
    def receive(self: Any, sock: socket.socket) -> Any:
        if getattr(self, "guard", None) is None:
            return own(self, sock)
        if isinstance(self, reservation.Server):
            sock.settimeout(_STRANGER_SECONDS)
        (size,) = struct.unpack(">I", _exactly(sock, 4))
        if size > _LARGEST:
            raise ConnectionError(f"a message of {size} bytes is none of TensorFlowOnSpark's nodes")
        mac, data = _exactly(sock, _MAC_BYTES), _exactly(sock, size)
        if not hmac.compare_digest(mac, hmac.digest(self.guard.key, data, _DIGEST)):
            raise ConnectionError("a message came from one who has not the cluster's key")
        return pickle.loads(data)

    return receive


def _listening(own: Callable[..., socket.socket]) -> Callable[..., socket.socket]:
    @wraps(own)
    def listen(self: Any) -> socket.socket:
        if getattr(self, "guard", None) is None or self.guard.address is None:
            return own(self)
        failed: OSError | None = None
        for port in self.get_server_ports():
            try:
                return socket.create_server((self.guard.address, port), backlog=128)
            except OSError as error:
                failed = error
        raise OSError(
            f"TensorFlowOnSpark's server can't listen on {self.guard.address}, on none of the ports "
            f"{self.get_server_ports()} (TFOS_SERVER_PORT): {failed}"
        ) from failed

    return listen


def _exactly(sock: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        piece = sock.recv(min(size - len(data), 1 << 16))
        if not piece:
            raise ConnectionError("the other side is gone")
        data += piece
    return bytes(data)


def _install() -> None:
    """Replace methods of TensorFlowOnSpark's classes, once in a process, as it allows no other server."""
    if hasattr(reservation, "guarded_by_sparktrain"):
        return
    reservation.guarded_by_sparktrain = True
    for made in (reservation.Server, reservation.Client):
        made.__init__ = _remembering(made.__init__)
    reservation.MessageSocket.send = _sending(reservation.MessageSocket.send)
    reservation.MessageSocket.receive = _receiving(reservation.MessageSocket.receive)
    reservation.Server.start_listening_socket = _listening(reservation.Server.start_listening_socket)


_install()
