"""Reports a worker's phases, and measures how long each takes."""

from __future__ import annotations

import time
from collections.abc import Callable

from sparktrain.interfaces.messages import Message, Phase


class Phases:
    """Reports each phase when it begins, and sums up its seconds."""

    def __init__(self, report: Callable[[Message], None]) -> None:
        self._report = report
        self._seconds: dict[str, float] = {}
        self._name: str | None = None
        self._since = 0.0

    def enter(self, name: str) -> None:
        """Begin a phase, and report it."""
        self._close()
        self._name = name
        self._report(Phase(name))

    def seconds(self) -> dict[str, float]:
        """Return the seconds of every phase so far, including the current one."""
        self._close()
        return dict(self._seconds)

    def _close(self) -> None:
        now = time.monotonic()
        if self._name is not None:
            self._seconds[self._name] = self._seconds.get(self._name, 0.0) + now - self._since
        self._since = now
