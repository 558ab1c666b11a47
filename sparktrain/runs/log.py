"""A run's log: what its driver shows, as lines with their time, of which the newest are kept."""

from __future__ import annotations

import re
import threading
from collections import deque
from datetime import UTC, datetime

_LIMIT = 1_000_000  # bytes that are kept
_LONGEST = 10_000  # characters of a line
_LEFT_OUT = re.compile(r"\[the first (\d+) lines are left out\]")


class RunLog:
    """Bounded, for any thread.

    Args:
        limit: bytes of the newest lines that are kept.
    """

    def __init__(self, limit: int = _LIMIT) -> None:
        self._limit = limit
        self._lines: deque[str] = deque()
        self._size = 0
        self._left_out = 0
        self._lock = threading.Lock()

    def add(self, text: str) -> None:
        """Add a line, or several."""
        time = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
        with self._lock:
            for line in text.split("\n"):
                # A name from a file system may have what UTF-8 hasn't
                self._lines.append(f"{time} {_shortened(line)}\n".encode(errors="replace").decode())
                self._size += len(self._lines[-1].encode())
            while self._size > self._limit and len(self._lines) > 1:
                self._size -= len(self._lines.popleft().encode())
                self._left_out += 1

    @property
    def added(self) -> int:
        """How many lines there have ever been."""
        with self._lock:
            return self._left_out + len(self._lines)

    def text(self) -> str:
        """The lines that are kept, after one that says how many are not."""
        with self._lock:
            head = f"[the first {self._left_out} lines are left out]\n" if self._left_out else ""
            return head + "".join(self._lines)


def lines_since(text: str, seen: int) -> tuple[list[str], int]:
    """What a log has beyond the lines that were seen already.

    Args:
        text: of `RunLog.text`.
        seen: how many lines of all that there have ever been.

    Returns:
        The lines, and the new `seen`. Of lines that were left out meanwhile one line says how many.
    """
    lines = text.split("\n")[:-1]
    head = _LEFT_OUT.fullmatch(lines[0]) if lines else None
    left_out = int(head[1]) if head else 0
    if head:
        del lines[0]
    missed = [f"[{left_out - seen} lines are left out]"] if left_out > seen else []
    return missed + lines[max(0, seen - left_out) :], left_out + len(lines)


def _shortened(line: str) -> str:
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}… and {len(line) - _LONGEST:,} characters more"
