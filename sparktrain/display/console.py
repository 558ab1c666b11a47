"""Shows a run's progress: one live line, or plain lines where there is no terminal or notebook."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping

from rich.console import Console
from rich.live import Live
from rich.text import Text

from sparktrain.display.figures import figure
from sparktrain.display.launcher_link import use_launchers_streams
from sparktrain.display.notebook import CellLine, in_notebook
from sparktrain.display.run_progress import RunProgress
from sparktrain.interfaces.messages import EpochEnd, Log, Message
from sparktrain.runs.log import RunLog

_PLAIN_EVERY = 10.0  # seconds between plain lines of the same phase


def make_console() -> Console:
    """Return a console on standard error; under the launcher, on the launcher's, as spark-submit redirects the program's."""
    use_launchers_streams()
    return Console(stderr=True)


def show_warnings() -> None:
    """Print the warnings of the package's logger to standard error, in a command, which has no logging of its own."""
    assert logging.lastResort is not None
    logging.getLogger("sparktrain").addHandler(logging.lastResort)  # which is added once, however often it is asked for


_shown: list[RunDisplay] = []  # those of this process that are open; the first one may have the live line
_showing = threading.Lock()


class RunDisplay:
    """A context manager that shows a run's progress on a console and collects its log.

    Of several at the same time, the first has the live line, the others print plain lines, and all lines name their run.

    Args:
        tasks: returns (done, all) of Spark's running tasks; None if Spark is gone.
        console: the console; standard error if left out, so that standard output has only the result's line.

    Attributes:
        log: every message except transient progress lines.
        progress: the run's progress.
        run: the run's id, once it is known.
    """

    run = ""

    def __init__(self, tasks: Callable[[], tuple[int, int] | None], console: Console | None = None) -> None:
        self.console = console or make_console()
        self.log = RunLog()
        self.progress = RunProgress()
        self._tasks = tasks
        self._live: Live | CellLine | None = None
        if self._terminal:
            self._live = Live("", console=self.console, refresh_per_second=4, transient=True)
        elif console is None and in_notebook():
            self._live = CellLine()
        self._lock = threading.Lock()
        self._plain_at = 0.0
        self._line = ""
        self._closed = threading.Event()
        self._poller = threading.Thread(target=self._poll, name="progress", daemon=True)

    @property
    def _terminal(self) -> bool:
        return self.console.is_terminal

    def __enter__(self) -> RunDisplay:
        with _showing:
            if _shown:
                self._live = None
            _shown.append(self)
        if self._live is not None:
            self._live.start()
        self._poller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self._poller.join(timeout=5)
        if self._live is not None:
            self._live.stop()
        with _showing:
            _shown.remove(self)

    @property
    def _whose(self) -> str:
        return f"{self.run}: " if len(_shown) > 1 and self.run else ""

    def step(self, text: str) -> None:
        """Show that a step of the preparation begins."""
        self.log.add(text)
        self.progress.step(text)
        self._show(text, now=True)

    def note(self, text: str) -> None:
        """Show a message that stays on the screen, and log it."""
        self.log.add(text)
        self.console.print(Text(self._whose + text), soft_wrap=True)

    def tidy(self, action: Callable[[], object], otherwise: str) -> None:
        """Run a cleanup action, and only note its failure.

        Args:
            otherwise: the message to show if the action fails.
        """
        try:
            action()
        except Exception as error:  # a storage or a JVM that is gone must not hide why the run ended
            self.note(f"{otherwise}: {error}")

    def message(self, part: int, message: Message) -> None:
        """Show and log a message of a part's worker."""
        before = self.progress.phase
        self.progress.message(part, message)
        if self.progress.phase != before:
            self.log.add(f"workers: {self.progress.phase}")
        rank = self.progress.rank(part)
        if isinstance(message, Log):
            worker = f"[part {part}] " if rank is None else f"[{rank}] "
            self.log.add(worker + message.text)
            self.console.print(Text.assemble(self._whose, (worker, "cyan"), message.text), soft_wrap=True)
        elif isinstance(message, EpochEnd) and rank == 0:
            self.note(f"epoch {message.epoch}: {_metrics(message.logs)} · {message.seconds:.1f} s")
        self._show(self.progress.line())

    def _poll(self) -> None:
        """Show the progress of Spark's stages until the first worker reports."""
        while not self._closed.wait(0.5):
            preparing = self.progress.preparing()
            if preparing is None:
                continue
            step, since = preparing
            counted = self._tasks()
            if counted is None:
                return  # the run itself reports that
            done, total = counted
            tasks = f" · {done} of {total} tasks" if total else ""
            self._show(f"{step}{tasks} · {time.monotonic() - since:.0f} s")

    def _show(self, line: str, now: bool = False) -> None:
        if self._live is not None:
            self._live.update(Text(self._whose + line))
            return
        with self._lock:
            due = now or time.monotonic() - self._plain_at >= _PLAIN_EVERY
            if not due or line == self._line:
                return
            self._plain_at, self._line = time.monotonic(), line
        self.console.print(Text(self._whose + line), soft_wrap=True)


def _metrics(logs: Mapping[str, float]) -> str:
    return " ".join(f"{name} {figure(value)}" for name, value in logs.items())
