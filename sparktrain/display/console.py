"""Shows a run's progress: one live line, or plain lines where there is no terminal or notebook."""

from __future__ import annotations

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
    """Standard error, also under the launcher's spark-submit, which gives a Python program's to standard output."""
    use_launchers_streams()
    return Console(stderr=True)


class RunDisplay:
    """Tells a console how a run goes. Use it as a context manager.

    Args:
        tasks: asked how many of Spark's tasks are done, and of how many; None where Spark is gone.
        console: where to; standard error, so that standard output keeps the result's line.

    Attributes:
        log: the lines of what was told, but for those that another takes the place of.
        standing: where the run stands.
    """

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
        if self._live is not None:
            self._live.start()
        self._poller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self._poller.join(timeout=5)
        if self._live is not None:
            self._live.stop()

    def step(self, text: str) -> None:
        """A step of the preparation began."""
        self.log.add(text)
        self.progress.step(text)
        self._show(text, now=True)

    def note(self, text: str) -> None:
        """Something that stays on the screen."""
        self.log.add(text)
        self.console.print(Text(text), soft_wrap=True)

    def tidy(self, action: Callable[[], object], otherwise: str) -> None:
        """Tidy up at a run's end.

        Args:
            otherwise: what to say where that fails.
        """
        try:
            action()
        except Exception as error:  # of a storage or a JVM that is gone: it must not hide why the run ended
            self.note(f"{otherwise}: {error}")

    def message(self, part: int, message: Message) -> None:
        """What a worker told."""
        before = self.progress.phase
        self.progress.message(part, message)
        if self.progress.phase != before:
            self.log.add(f"workers: {self.progress.phase}")
        rank = self.progress.rank(part)
        if isinstance(message, Log):
            worker = f"[part {part}] " if rank is None else f"[{rank}] "
            self.log.add(worker + message.text)
            self.console.print(Text.assemble((worker, "cyan"), message.text), soft_wrap=True)
        elif isinstance(message, EpochEnd) and rank == 0:
            self.note(f"epoch {message.epoch}: {_metrics(message.logs)} · {message.seconds:.1f} s")
        self._show(self.progress.line())

    def _poll(self) -> None:
        """Spark's own stages, while no worker speaks."""
        while not self._closed.wait(0.5):
            preparing = self.progress.preparing()
            if preparing is None:
                continue
            step, since = preparing
            counted = self._tasks()
            if counted is None:
                return  # the run itself tells of it
            done, total = counted
            tasks = f" · {done} of {total} tasks" if total else ""
            self._show(f"{step}{tasks} · {time.monotonic() - since:.0f} s")

    def _show(self, line: str, now: bool = False) -> None:
        if self._live is not None:
            self._live.update(Text(line))
            return
        with self._lock:
            due = now or time.monotonic() - self._plain_at >= _PLAIN_EVERY
            if not due or line == self._line:
                return
            self._plain_at, self._line = time.monotonic(), line
        self.console.print(Text(line), soft_wrap=True)


def _metrics(logs: Mapping[str, float]) -> str:
    return " ".join(f"{name} {figure(value)}" for name, value in logs.items())
