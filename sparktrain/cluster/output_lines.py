"""What a process prints, as lines to relay: progress bars shown now and then, lines without an end cut."""

from __future__ import annotations

import codecs
import re
import time
from collections.abc import Callable, Iterator

LONGEST = 64 << 10  # characters of a line; what is longer goes on in the next
BAR_SECONDS = 5.0  # between two states that are relayed of a line that is printed over and over
_END = re.compile(r"\r\n|\n|\r(?!\Z)")  # a \r at the end may be half of a \r\n


class OutputLines:
    """Cuts text into lines as it comes.

    A line that ends in \\r is a progress bar's: what comes next takes its place. Of those the first is handed on, then one
    in BAR_SECONDS, and the last.

    Args:
        clock: seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._decode = codecs.getincrementaldecoder("utf-8")(errors="replace").decode
        self._pending = ""
        self._bar: str | None = None  # its newest state that was not handed on
        self._bar_at = float("-inf")

    def add(self, data: bytes, final: bool = False) -> Iterator[str]:
        """Take what was printed; yield the lines that are to be relayed.

        Args:
            final: whether this is all.
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
            if not text and self._bar is not None:  # a bar that is done ends with an empty line
                pieces = [self._bar]
            self._bar = None
            yield from pieces
        elif text:
            self._bar = pieces[-1]
            if self._clock() - self._bar_at >= BAR_SECONDS:
                self._bar_at = self._clock()
                yield self._bar
                self._bar = None
