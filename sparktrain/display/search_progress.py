"""Shows a search: one live line for each trial at work, or plain lines now and then."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from rich.console import Console
from rich.live import Live
from rich.text import Text

from sparktrain.display.console import RunDisplay

_PLAIN_EVERY = 60.0  # seconds between plain lines on the trials at work


class SearchDisplay(RunDisplay):
    """The display of a search, of which each trial has a `TrialDisplay`.

    In a terminal or a notebook the lines of the trials at work stand below all that is noted, one for each.

    Args:
        tasks: see `RunDisplay`.
        console: see `RunDisplay`.
    """

    def __init__(self, tasks: Callable[[], tuple[int, int] | None], console: Console | None = None) -> None:
        super().__init__(tasks, console)
        self._tasks_of_spark = tasks
        self._trials: dict[str, str] = {}
        self._changing = threading.Lock()
        self._shown_at = time.monotonic()

    def trial(self, run: str) -> TrialDisplay:
        """Return the display of a trial."""
        return TrialDisplay(self, run, self._tasks_of_spark)

    def line_of(self, run: str, line: str | None) -> None:
        """Show how a trial is doing, or with None that it is at work no longer."""
        with self._changing:
            if line is None:
                self._trials.pop(run, None)
            else:
                self._trials[run] = line
            due = time.monotonic() - self._shown_at >= _PLAIN_EVERY
            if due and self._live is None and line is not None:
                self._shown_at = time.monotonic()
            lines = "\n".join(f"{name}: {text}" for name, text in sorted(self._trials.items()))
        if isinstance(self._live, Live):
            self._live.update(Text(lines, no_wrap=True, overflow="ellipsis"))
        elif self._live is not None:
            self._live.update(Text(lines))
        elif due and line is not None:
            self.console.print(Text(lines), soft_wrap=True)

    def _show(self, line: str, now: bool = False) -> None:
        if self._live is not None:
            self.line_of(self.run, line)
        else:
            super()._show(line, now)

    def _poll(self) -> None:
        """Show nothing by itself: the trials do."""


class TrialDisplay(RunDisplay):
    """The display of a trial: its line is the search's, and all else is only in its log."""

    def __init__(self, search: SearchDisplay, run: str, tasks: Callable[[], tuple[int, int] | None]) -> None:
        super().__init__(tasks, Console(quiet=True))
        self._search, self._trial = search, run

    def __enter__(self) -> TrialDisplay:
        self._live = None  # the search has it
        self._poller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self._poller.join(timeout=5)
        self._search.line_of(self._trial, None)

    def _show(self, line: str, now: bool = False) -> None:
        self._search.line_of(self._trial, line)
