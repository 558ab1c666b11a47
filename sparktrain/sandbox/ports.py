"""Free ports of this machine, the same ones again where they are still free."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterable, Mapping
from contextlib import ExitStack

from sparktrain.sandbox.errors import SandboxError

# Below the ports that systems give to outgoing connections, so that none of those takes one in between.
FIRST, LAST = 20000, 30000


def choose(wanted: Mapping[str, Iterable[str]], kept: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, int]]:
    """Return a free port of the loopback interface for each daemon and role.

    Args:
        wanted: the roles of each daemon's ports.
        kept: ports of an earlier start, taken again where they are free.

    Raises:
        SandboxError: no free port was found.
    """
    with ExitStack() as held:
        return {daemon: {role: _take(held, kept.get(daemon, {}).get(role)) for role in roles} for daemon, roles in wanted.items()}


def _take(held: ExitStack, first: int | None) -> int:
    """Return a free port and hold it until all have been chosen, so that none is chosen twice."""
    draw = random.SystemRandom()
    candidates = [] if first is None else [first]
    for port in candidates + [draw.randint(FIRST, LAST) for _ in range(200)]:
        taken = held.enter_context(socket.socket())
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(("127.0.0.1", port))
        except OSError:
            continue
        # A socket that only is bound lets others with SO_REUSEADDR bind too.
        taken.listen(1)
        return port
    raise SandboxError(f"No free port found between {FIRST} and {LAST} on 127.0.0.1")
