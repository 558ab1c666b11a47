"""A connection of the control channel, with limits on a line's length, a sender's wait and a host's silence."""

from __future__ import annotations

import socket
import struct
import sys
from multiprocessing.connection import Connection

from sparktrain.known_messages.python import LINE_TOO_LONG

LARGEST_LINE = 64 << 20  # bytes
HANDSHAKE_SECONDS = 10.0
HOST_SECONDS = 60.0  # after which a host whose kernel answers nothing counts as lost
_FULL = 5  # times as long if the kernels' buffers are full
_LINUX = sys.platform.startswith("linux")
# Offsets in Linux's struct tcp_info: retransmits and probes since the other host's last acknowledgement, and the milliseconds
# since that
_RETRANSMITS, _PROBES, _LAST_ACK = 2, 3, 56


class LineTooLong(ValueError):
    """Raised where a line is longer than the channel allows."""


def check_length(size: int, what: str) -> None:
    """Refuse a line that the other side would not accept.

    Args:
        size: the line's bytes.
        what: a name for the line in the message.

    Raises:
        LineTooLong: it is over 64 MiB.
    """
    if size > LARGEST_LINE:
        raise LineTooLong(
            f"{what} is {size / 1e6:,.0f} MB long, and the control channel between workers and driver takes lines of at most "
            f"{LARGEST_LINE / 1e6:,.0f} MB: it is for logs, progress and small values, so pass large ones in files"
        )


class Wire:
    """A connected socket that sends and receives lines.

    Args:
        sock: a connected socket, which this object owns from now on.
        seconds: how long a read or a write may take until `unlimited` is called.
    """

    def __init__(self, sock: socket.socket, seconds: float) -> None:
        self._socket = socket.socket(fileno=socket.dup(sock.fileno()))  # its options, also from other threads
        sock.settimeout(None)
        self._wait_at_most(seconds, seconds)
        _keep_alive(sock)
        self.connection = Connection(sock.detach())
        self._full = False  # whether the kernel's send buffer is full

    def _wait_at_most(self, receiving: float, sending: float) -> None:
        # The kernel's own time-outs leave the descriptor blocking, which Connection needs; settimeout would not.
        for option, seconds in ((socket.SO_RCVTIMEO, receiving), (socket.SO_SNDTIMEO, sending)):
            limit = struct.pack("ll", int(seconds), int(seconds % 1 * 1e6))
            self._socket.setsockopt(socket.SOL_SOCKET, option, limit)

    def unlimited(self, sending: float = 0) -> None:
        """Remove the time limit on reads from now on.

        Args:
            sending: seconds after which a write fails if the other side accepts nothing; 0: never.
        """
        self._wait_at_most(0, sending)
        if sending and _LINUX:  # also for data that the kernel holds for a host that is gone
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(1000 * sending))

    def send(self, line: bytes) -> None:
        """Send one line; only one thread at a time may call it.

        Raises:
            OSError: the other side is gone, or accepts nothing.
        """
        self._full = True  # unless the kernel accepts the line
        self.connection.send_bytes(line)
        self._full = False

    def receive(self) -> bytes:
        """Wait for the next line.

        Raises:
            EOFError, OSError: the other side is gone.
            TimeoutError: the other host has answered nothing for a minute.
            LineTooLong: the line is too long, or not of this channel; nothing can be received after it.
        """
        while not self.connection.poll(HOST_SECONDS / 6):
            if self._unanswered():
                raise TimeoutError
        try:
            return self.connection.recv_bytes(LARGEST_LINE)
        except OSError as error:
            if LINE_TOO_LONG.find(str(error)):
                raise LineTooLong(f"a line of more than {LARGEST_LINE / 1e6:,.0f} MB came") from error
            raise

    def _unanswered(self) -> bool:
        """Return whether the other host's kernel has not acknowledged anything for longer than a live one would.

        If the other process is stopped or slow, its kernel still answers. Once its buffers are full, though, it is probed at
        growing intervals of up to two minutes.
        """
        if not _LINUX:
            return False
        info = self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _LAST_ACK + 4)
        limit = HOST_SECONDS * (_FULL if self._full else 1)
        return bool(info[_RETRANSMITS] + info[_PROBES]) and struct.unpack_from("I", info, _LAST_ACK)[0] > 1000 * limit

    def shut(self) -> None:
        """Shut the connection down, which wakes threads that read or write. May be called at any time, from any thread."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # the other side has done it already

    def close(self) -> None:
        """Close the connection; no thread may read or write any more."""
        self.connection.close()
        self._socket.close()


def _keep_alive(sock: socket.socket) -> None:
    """Let the kernel probe the other host of an idle connection, and end the connection if it doesn't answer."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if _LINUX:
        for option, value in (
            (socket.TCP_KEEPIDLE, HOST_SECONDS / 3),
            (socket.TCP_KEEPINTVL, HOST_SECONDS / 6),
            (socket.TCP_KEEPCNT, 4),
        ):
            sock.setsockopt(socket.IPPROTO_TCP, option, max(1, int(value)))
