"""The program's side of its link to the launcher: it gets the launcher's standard streams and hands over the JSON line.

spark-submit's JVM gives its Python program one pipe for standard output and standard error, and relays it to its own standard
output. A signal ends the JVM before it has relayed everything, and isn't passed on. So the program asks the launcher, over a
Unix socket, for the launcher's own streams, and sends its process id, so that the launcher can signal it, and its JSON line.
This needs no disk space.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
from collections.abc import Iterator
from typing import Any

VARIABLE = "SPARKTRAIN_LAUNCHER"  # the folder that has the launcher's socket, in the program's environment
_SOCKET = "launcher"
_ANSWER = 60.0  # seconds that an answer may take; a launcher that has ended breaks the connection at once
_LONGEST_NAME = 100  # bytes of a socket's name that every system accepts
_launcher: socket.socket | None = None  # open for as long as this process lives


def use_launchers_streams() -> None:
    """Redirect standard output and standard error to the launcher's, if there is a launcher."""
    connection = _connect()
    if connection is not None:
        connection.close()


def announce() -> None:
    """Announce this process to the launcher, if there is one, as the program that will send the JSON line."""
    global _launcher
    connection = _connect()
    if connection is None:
        return
    try:
        _send(connection, {"pid": os.getpid()})
    except OSError:  # the launcher was killed: the line goes to standard output
        connection.close()
        return
    _launcher = connection
    os.register_at_fork(after_in_child=connection.close)  # a process that outlives the program isn't the program


def under_launcher() -> bool:
    """Return whether this process has announced itself to a launcher."""
    return _launcher is not None


def hand_over(line: str) -> bool:
    """Send the JSON line to the launcher, which prints it last.

    Returns:
        Whether the launcher has received it.
    """
    if _launcher is None:
        return False
    try:
        _send(_launcher, {"line": line})
    except OSError:  # the launcher was killed
        return False
    return True


def _connect() -> socket.socket | None:
    """Connect to the launcher and replace this process's streams by the launcher's; return None if there is no launcher."""
    folder = os.environ.pop(VARIABLE, None)  # child processes aren't the program
    if folder is None:
        return None
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(_ANSWER)
    try:
        with socket_name(folder) as name:
            connection.connect(name)
        _, streams, _, _ = socket.recv_fds(connection, 1, 2)
    except OSError:  # the launcher is on another machine, or another user's, or was killed
        connection.close()
        return None
    for stream, number, file in zip(streams, (1, 2), (sys.stdout, sys.stderr)):
        if file is not None:
            file.flush()
        os.dup2(stream, number)
        os.close(stream)
    return connection


def _send(connection: socket.socket, message: dict[str, Any]) -> None:
    """Send a message, and wait until it has been read."""
    connection.sendall(json.dumps(message).encode() + b"\n")
    if not connection.recv(1):
        raise ConnectionResetError("the launcher has ended")


@contextlib.contextmanager
def socket_name(folder: str) -> Iterator[str]:
    """Yield the socket's name in a folder; a name over 100 bytes, which sockets don't allow, by way of /proc."""
    name = os.path.join(folder, _SOCKET)
    if len(os.fsencode(name)) <= _LONGEST_NAME or not os.path.isdir("/proc/self/fd"):
        yield name
        return
    opened = os.open(folder, os.O_RDONLY)
    try:
        yield f"/proc/self/fd/{opened}/{_SOCKET}"
    finally:
        os.close(opened)
