"""Cuts a process's output into lines to relay: thins out progress bars, and splits very long lines."""

from __future__ import annotations

import codecs
import re
import time
from collections.abc import Callable, Iterator

LONGEST = 64 << 10  # characters of a line; a longer one is split
BAR_SECONDS = 5.0  # between two relayed states of a progress bar
_END = re.compile(r"\r\n|\n|\r(?!\Z)")  # a \r at the end may be half of a \r\n


class OutputLines:
    """Cuts output into lines as it arrives.

    A line that ends in \\r is a state of a progress bar, which the next line replaces. Of a bar's states the first is
    yielded, then one every BAR_SECONDS, and the last.

    Args:
        clock: returns the time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._decode = codecs.getincrementaldecoder("utf-8")(errors="replace").decode
        self._pending = ""
        self._bar: str | None = None  # the newest state that was not yielded
        self._bar_at = float("-inf")

    def add(self, data: bytes, final: bool = False) -> Iterator[str]:
        """Add output, and yield the lines to relay.

        Args:
            final: whether this is the end of the output.
        """
        text = self._pending + self._decode(data, final)
        start = 0
        for end in _END.finditer(text):
            yield from self._line(text[start : end.start()], over=end[0] == "\r")
            start = end.end()
        text = text[start:]
        while len(text) > LONGEST:
            yield from self._line(text[:LONGEST], over=False)
            text = text[LONGEST:]
        self._pending = text
        if final:
            self._pending = ""
            if text.rstrip("\r"):
                yield from self._line(text.rstrip("\r"), over=False)
            elif self._bar is not None:
                yield self._bar
            self._bar = None

    def _line(self, text: str, over: bool) -> Iterator[str]:
        pieces = [text[start : start + LONGEST] for start in range(0, len(text), LONGEST)] or [""]
        if not over:
            if not text and self._bar is not None:  # a finished bar ends with an empty line
                pieces = [self._bar]
            self._bar = None
            yield from pieces
        elif text:
            self._bar = pieces[-1]
            if self._clock() - self._bar_at >= BAR_SECONDS:
                self._bar_at = self._clock()
                yield self._bar
                self._bar = None
