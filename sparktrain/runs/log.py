"""A run's log: the newest lines that its driver has shown, each with its time."""

from __future__ import annotations

import re
import threading
from collections import deque
from datetime import UTC, datetime

_LIMIT = 1_000_000  # bytes
_LONGEST = 10_000  # characters of a line
_LEFT_OUT = re.compile(r"\[the first (\d+) lines are left out\]")


class RunLog:
    """A bounded, thread-safe log of lines with their time.

    Args:
        limit: how many bytes of the newest lines are kept.
    """

    def __init__(self, limit: int = _LIMIT) -> None:
        self._limit = limit
        self._lines: deque[str] = deque()
        self._size = 0
        self._left_out = 0
        self._lock = threading.Lock()

    def add(self, text: str) -> None:
        """Add one or more lines, with the current time in UTC."""
        time = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
        with self._lock:
            for line in text.split("\n"):
                # A file's name may contain bytes that are no UTF-8
                self._lines.append(f"{time} {_shortened(line)}\n".encode(errors="replace").decode())
                self._size += len(self._lines[-1].encode())
            while self._size > self._limit and len(self._lines) > 1:
                self._size -= len(self._lines.popleft().encode())
                self._left_out += 1

    @property
    def added(self) -> int:
        """The number of lines ever added, whether they are still kept or not."""
        with self._lock:
            return self._left_out + len(self._lines)

    def text(self) -> str:
        """Return the lines that are kept, after a line with the number of those that were dropped, if any."""
        with self._lock:
            head = f"[the first {self._left_out} lines are left out]\n" if self._left_out else ""
            return head + "".join(self._lines)


def lines_since(text: str, seen: int) -> tuple[list[str], int]:
    """Return the lines that were added to a log since it was last read.

    Args:
        text: the text from `RunLog.text`.
        seen: how many of the lines ever added have been read already.

    Returns:
        The new lines, and the new `seen`. One line stands for those that were dropped before they were read.
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
