"""Tracks a run's progress from the messages of its preparation and its workers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from sparktrain.display.figures import place
from sparktrain.interfaces.messages import Filling, Joined, Message, Phase, Progress
from sparktrain.runs.json_text import without_nan

_ORDER = ("start", "fill", "join", "build", "train", "run", "save", "done")  # a worker's phases


class RunProgress:
    """Thread-safe progress of a run, updated from worker messages and read by the console and the status writer.

    Attributes:
        phase: the step of the preparation, or the phase of the slowest worker.
        on_phase: called with each phase as it is entered, in the thread that records it.
    """

    def __init__(self) -> None:
        self.phase = ""
        self.on_phase: Callable[[str], object] = lambda phase: None
        self._lock = threading.Lock()
        self._since = time.monotonic()
        self._ranks: dict[int, int] = {}
        self._filling: dict[int, Filling] = {}
        self._progress: dict[int, Progress] = {}
        self._phases: dict[int, str] = {}
        self._training_since: float | None = None

    def step(self, text: str) -> None:
        """Record that a step of the preparation begins."""
        with self._lock:
            self.phase, self._since = text, time.monotonic()
        self.on_phase(text)

    def message(self, part: int, message: Message) -> None:
        """Record a message of a part's worker."""
        with self._lock:
            if isinstance(message, Joined):
                self._ranks[part] = message.rank
            elif isinstance(message, Filling):
                self._filling[part] = message
            elif isinstance(message, Phase):
                self._phases[part] = message.name
                self.phase = min(self._phases.values(), key=_ORDER.index)
                if message.name in ("train", "run") and self._training_since is None:
                    self._training_since = time.monotonic()
            elif isinstance(message, Progress):
                self._progress[part] = message
            phase = self.phase
        if isinstance(message, Phase):
            self.on_phase(phase)

    def rank(self, part: int) -> int | None:
        """Return the rank of a part's worker; None while it isn't known."""
        with self._lock:
            return self._ranks.get(part)

    def preparing(self) -> tuple[str, float] | None:
        """Return the step of the preparation and its start (monotonic seconds); None before it and once workers report."""
        with self._lock:
            return (self.phase, self._since) if self.phase and not self._phases else None

    def line(self) -> str:
        """Return a line on the workers' progress, for people."""
        with self._lock:
            if self._progress:
                return training_line(self._progress, self._training_seconds())
            phases = set(self._phases.values())
            rows = sum(filling.rows for filling in self._filling.values())
            size = sum(filling.bytes for filling in self._filling.values())
            if phases <= {"start", "fill"}:
                of = sum(filling.bytes_in_all or 0 for filling in self._filling.values())
                whole = f" of about {of / 1e6:,.0f}" if of else ""
                return f"filling: {rows:,} rows, {size / 1e6:,.0f}{whole} MB in segments"
            return f"{rows:,} rows in segments; workers: {', '.join(sorted(phases))}"

    def content(self) -> dict[str, Any]:
        """Return the progress for status.json: `phase`; during training also epoch, step, their totals, rows_per_second, loss."""
        with self._lock:
            if not self._progress:
                return {"phase": self.phase}
            slowest, rate = _pace(self._progress, self._training_seconds())
            return {
                "phase": self.phase,
                "epoch": slowest.epoch,
                "of_epochs": slowest.epochs,
                "step": slowest.step,
                "of_steps": slowest.steps,
                "rows_per_second": rate and round(rate, 1),
                "loss": without_nan(slowest.logs.get("loss")),
            }

    def _training_seconds(self) -> float:
        assert self._training_since is not None  # a worker reports its phase before its progress
        return time.monotonic() - self._training_since


def _pace(progress: Mapping[int, Progress], seconds: float) -> tuple[Progress, float | None]:
    """Return the progress of the slowest worker, and rows/s over all workers."""
    slowest = min(progress.values(), key=lambda p: (p.epoch, p.step))
    return slowest, sum(p.rows for p in progress.values()) / seconds if seconds > 0 else None


def training_line(progress: Mapping[int, Progress], seconds: float) -> str:
    """Return a line with the slowest worker's epoch, step and loss, the rows/s of all workers, and the time left.

    Args:
        progress: the newest progress message of each part.
        seconds: the time since training began.
    """
    slowest, rate = _pace(progress, seconds)
    done = (slowest.epoch - 1 + slowest.step / max(1, slowest.steps)) / max(1, slowest.epochs)
    left = f"{seconds * (1 - done) / done:,.0f} s left" if done > 0 else ""
    return " · ".join(
        filter(None, [*place(slowest.epoch, slowest.epochs, slowest.step, slowest.steps, rate, slowest.logs.get("loss")), left])
    )
