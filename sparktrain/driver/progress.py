"""What a person sees while a run goes on: one live line, or plain lines where there is no terminal or notebook."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Callable, Mapping

from py4j.protocol import Py4JError
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from sparktrain.driver.handover import use_launchers_streams
from sparktrain.driver.log import RunLog
from sparktrain.driver.notebook import CellLine, in_notebook
from sparktrain.driver.standing import Standing, figure
from sparktrain.interfaces.messages import EpochEnd, Log, Message

if TYPE_CHECKING:   # the tables are shown without Spark, too
    from pyspark import SparkContext

_PLAIN_EVERY = 10.0   # seconds between plain lines of the same phase


def make_console() -> Console:
    """Standard error, also under the launcher's spark-submit, which gives a Python program's to standard output."""
    use_launchers_streams()
    return Console(stderr=True)


class Watch:
    """Tells a console how a run goes. Use it as a context manager.

    Args:
        context: whose stages the preparation's line counts.
        console: where to; standard error, so that standard output keeps the result's line.

    Attributes:
        log: the lines of what was told, but for those that another takes the place of.
        standing: where the run stands.
    """

    def __init__(self, context: SparkContext, console: Console | None = None) -> None:
        self.console = console or make_console()
        self.log = RunLog()
        self.standing = Standing()
        self._context = context
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

    def __enter__(self) -> Watch:
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
        self.standing.step(text)
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
        except Exception as error:   # of a storage or a JVM that is gone: it must not hide why the run ended
            self.note(f"{otherwise}: {error}")

    def message(self, part: int, message: Message) -> None:
        """What a worker told."""
        before = self.standing.phase
        self.standing.message(part, message)
        if self.standing.phase != before:
            self.log.add(f"workers: {self.standing.phase}")
        rank = self.standing.rank(part)
        if isinstance(message, Log):
            worker = f"[part {part}] " if rank is None else f"[{rank}] "
            self.log.add(worker + message.text)
            self.console.print(Text.assemble((worker, "cyan"), message.text), soft_wrap=True)
        elif isinstance(message, EpochEnd) and rank == 0:
            self.note(f"epoch {message.epoch}: {_metrics(message.logs)} · {message.seconds:.1f} s")
        self._show(self.standing.line())

    def _poll(self) -> None:
        """Spark's own stages, while no worker speaks."""
        while not self._closed.wait(0.5):
            preparing = self.standing.preparing()
            if preparing is None:
                continue
            step, since = preparing
            try:
                tracker = self._context.statusTracker()
                stages = [tracker.getStageInfo(stage) for stage in tracker.getActiveStageIds()]
            except Py4JError:
                return   # the JVM is gone, which the run itself tells
            done, total = (sum(getattr(s, name) for s in stages if s) for name in ("numCompletedTasks", "numTasks"))
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


def counted(number: int, noun: str) -> str:
    """A number and what it counts: 1 worker, 2 workers."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def show_end(console: Console, summary: Mapping[str, object], output: str) -> None:
    """Show the table at a run's end, and where its model is on a line that can be copied whole."""
    console.print(end_table(summary))
    console.print(f"The model is at {output}/model.keras", soft_wrap=True, markup=False, highlight=False)


def end_table(summary: Mapping[str, object], output: str | None = None) -> Table:
    """The table at a run's end; with where the run is, where that is given."""
    table = Table(show_header=False, title=f"run {summary['run']}", title_justify="left")
    table.add_column()
    table.add_column(overflow="fold")   # a path is copied whole
    table.add_row("rows", f"{summary['rows']:,} training, {summary['validation_rows']:,} validation")
    table.add_row("training", f"{summary['rows_per_second']:,.0f} rows/s by {counted(summary['workers'], 'worker')}, {summary['engine']}")
    for phase, seconds in summary["seconds"].items():
        table.add_row(f"  {phase}", f"{seconds:.1f} s")
    table.add_row("held back by", str(summary["held_back_by"]))
    for name, value in summary["metrics"].items():
        table.add_row(Text(name), figure(value))
    for note in summary["notes"]:
        table.add_row("note", Text(note))   # it may have brackets, which rich takes for markup
    if output is not None:
        table.add_row("path", Text(output))
    return table
