"""Chooses free ports for the daemons, at each start the same ones if they are still free."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterable, Mapping
from contextlib import ExitStack

from sparktrain.sandbox.errors import SandboxError

# Below the ports of outgoing connections, so that none of these takes a port before its daemon does
FIRST, LAST = 20000, 30000


def choose(wanted: Mapping[str, Iterable[str]], kept: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, int]]:
    """Choose a free port of the loopback interface for each role of each daemon.

    Args:
        wanted: the roles of each daemon's ports.
        kept: the ports of an earlier start, which are chosen again if they are free.

    Returns:
        The port numbers by daemon and role.

    Raises:
        SandboxError: no free port was found.
    """
    with ExitStack() as held:
        return {daemon: {role: _take(held, kept.get(daemon, {}).get(role)) for role in roles} for daemon, roles in wanted.items()}


def _take(held: ExitStack, first: int | None) -> int:
    """Return a free port, and hold it until all have been chosen, so that no port is chosen twice.

    Args:
        held: closes the ports once all have been chosen.
        first: the port to try first.
    """
    draw = random.SystemRandom()
    candidates = [] if first is None else [first]
    for port in candidates + [draw.randint(FIRST, LAST) for _ in range(200)]:
        taken = held.enter_context(socket.socket())
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(("127.0.0.1", port))
        except OSError:
            continue
        # Only listening keeps other sockets with SO_REUSEADDR from binding this port, too
        taken.listen(1)
        return port
    raise SandboxError(f"No free port was found between {FIRST} and {LAST} on 127.0.0.1. End programs that hold ports there.")
