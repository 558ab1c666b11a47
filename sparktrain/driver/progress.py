"""What a person sees while a run goes on: one live line, or plain lines where there is no terminal or notebook."""

from __future__ import annotations

import os
import threading
import time
from typing import Callable, Mapping

from py4j.protocol import Py4JError
from pyspark import SparkContext
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from sparktrain.driver.notebook import CellLine, in_notebook
from sparktrain.interfaces.messages import EpochEnd, Filling, Joined, Log, Message, Phase, Progress

_PLAIN_EVERY = 10.0   # seconds between plain lines of the same phase


def make_console() -> Console:
    """Standard error, or the terminal behind it: spark-submit gives a Python program pipes, and the launcher names it."""
    terminal = os.environ.get("SPARKTRAIN_TERMINAL")
    if terminal is None:
        return Console(stderr=True)
    try:
        file = open(terminal, "w")   # for as long as the process lives
        width = os.get_terminal_size(file.fileno()).columns
    except OSError:   # another user's, or gone by now
        return Console(stderr=True)
    return Console(file=file, force_terminal=True, width=width or None)   # some terminals call themselves 0 wide


class Watch:
    """Tells a console how a run goes. Use it as a context manager.

    Args:
        context: whose stages the preparation's line counts.
        console: where to; standard error, so that standard output keeps the result's line.
    """

    def __init__(self, context: SparkContext, console: Console | None = None) -> None:
        self.console = console or make_console()
        self._context = context
        self._live: Live | CellLine | None = None
        if self._terminal:
            self._live = Live("", console=self.console, refresh_per_second=4, transient=True)
        elif console is None and in_notebook():
            self._live = CellLine()
        self._lock = threading.Lock()
        self._step = ""
        self._since = time.monotonic()
        self._plain_at = 0.0
        self._line = ""
        self._ranks: dict[int, int] = {}
        self._filling: dict[int, Filling] = {}
        self._progress: dict[int, Progress] = {}
        self._phases: dict[int, str] = {}
        self._training_since: float | None = None
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
        with self._lock:
            self._step, self._since = text, time.monotonic()
        self._show(text, now=True)

    def note(self, text: str) -> None:
        """Something that stays on the screen."""
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
        with self._lock:
            if isinstance(message, Joined):
                self._ranks[part] = message.rank
            elif isinstance(message, Filling):
                self._filling[part] = message
            elif isinstance(message, Phase):
                self._phases[part] = message.name
                if message.name in ("train", "run") and self._training_since is None:
                    self._training_since = time.monotonic()
            elif isinstance(message, Progress):
                self._progress[part] = message
            rank = self._ranks.get(part)
        if isinstance(message, Log):
            worker = f"[part {part}] " if rank is None else f"[{rank}] "
            self.console.print(Text.assemble((worker, "cyan"), message.text), soft_wrap=True)
        elif isinstance(message, EpochEnd) and rank == 0:
            self.note(f"epoch {message.epoch}: {_metrics(message.logs)} · {message.seconds:.1f} s")
        self._show(self._workers_line())

    def _workers_line(self) -> str:
        with self._lock:
            if self._progress:
                return training_line(self._progress, time.monotonic() - self._training_since)
            phases = set(self._phases.values())
            rows = sum(filling.rows for filling in self._filling.values())
            size = sum(filling.bytes for filling in self._filling.values())
            if phases <= {"start", "fill"}:
                of = sum(filling.bytes_in_all or 0 for filling in self._filling.values())
                whole = f" of about {of / 1e6:,.0f}" if of else ""
                return f"filling: {rows:,} rows, {size / 1e6:,.0f}{whole} MB in segments"
            return f"{rows:,} rows in segments; workers: {', '.join(sorted(phases))}"

    def _poll(self) -> None:
        """Spark's own stages, while no worker speaks."""
        while not self._closed.wait(0.5):
            with self._lock:
                preparing, since = self._step, self._since
                if self._phases or not preparing:
                    continue
            try:
                tracker = self._context.statusTracker()
                stages = [tracker.getStageInfo(stage) for stage in tracker.getActiveStageIds()]
            except Py4JError:
                return   # the JVM is gone, which the run itself tells
            done, total = (sum(getattr(s, name) for s in stages if s) for name in ("numCompletedTasks", "numTasks"))
            tasks = f" · {done} of {total} tasks" if total else ""
            self._show(f"{preparing}{tasks} · {time.monotonic() - since:.0f} s")

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


def training_line(progress: Mapping[int, Progress], seconds: float) -> str:
    """Epoch, step, rows/s over all workers, loss, time left.

    Args:
        progress: the newest of each part.
        seconds: since training began.
    """
    slowest = min(progress.values(), key=lambda p: (p.epoch, p.step))
    rows = sum(p.rows for p in progress.values())
    done = (slowest.epoch - 1 + slowest.step / max(1, slowest.steps)) / max(1, slowest.epochs)
    left = f"{seconds * (1 - done) / done:,.0f} s left" if done > 0 else ""
    loss = f"loss {slowest.logs['loss']:.4f}" if "loss" in slowest.logs else ""
    rate = f"{rows / seconds:,.0f} rows/s" if seconds > 0 else ""
    return " · ".join(
        filter(None, [f"epoch {slowest.epoch}/{slowest.epochs}", f"step {slowest.step}/{slowest.steps}", rate, loss, left])
    )


def _metrics(logs: Mapping[str, float]) -> str:
    return " ".join(f"{name} {value:.4f}" for name, value in logs.items())


def end_table(summary: Mapping[str, object], output: str | None) -> Table:
    """The table at a run's end."""
    table = Table(show_header=False, title=f"run {summary['run']}", title_justify="left")
    table.add_column()
    table.add_column(overflow="fold")   # a path is copied whole
    table.add_row("rows", f"{summary['rows']:,} training, {summary['validation_rows']:,} validation")
    table.add_row("training", f"{summary['rows_per_second']:,.0f} rows/s by {summary['workers']} worker(s), {summary['engine']}")
    for phase, seconds in summary["seconds"].items():
        table.add_row(f"  {phase}", f"{seconds:.1f} s")
    table.add_row("held back by", str(summary["held_back_by"]))
    for name, value in summary["metrics"].items():
        table.add_row(Text(name), f"{value:.4f}")
    for note in summary["notes"]:
        table.add_row("note", Text(note))   # it may have brackets, which rich takes for markup
    table.add_row("path", Text(output or "-"))
    return table
