"""Finds the worker that an attempt waits for in vain, by pure decisions from the workers' messages and their times."""

from __future__ import annotations

from dataclasses import dataclass

from sparktrain.interfaces.messages import Alive, EpochEnd, Filling, Message, Phase, Progress

_SILENT = 5.0  # seconds without a sign of life that are no delay any more
_IMPORTS = 60.0  # seconds that the import of a framework may hold up a process's signs, on a slow or busy disk
_COMPILES = 60.0  # seconds that the first step may take, in which the framework compiles it, on a slow or busy machine
_HELD_UP = "it was stopped or is held up in native code, or its node is"


@dataclass(frozen=True)
class Stall:
    """A worker that is waited for in vain.

    Attributes:
        part: the worker's part.
        message: for how long it was waited for, the reason as far as it is known, and what to set.
    """

    part: int
    message: str


@dataclass
class _Worker:
    """What is known of one part's worker; times are seconds of one clock."""

    phase: str
    since: float  # when the phase began, or last made progress
    heard: float  # when its last message arrived
    waiting: float = 0.0  # seconds that it had waited in a collective call at its last sign of life


class Stalls:
    """Collects the workers' messages, and finds a stalled worker when asked, once a second.

    Args:
        parts: the number of workers.
        limit: cluster.stall_timeout, in seconds.
        now: the time, in seconds of the same clock as in the methods.
    """

    def __init__(self, parts: int, limit: float, now: float) -> None:
        self._parts = parts
        self._limit = limit
        self._workers: dict[int, _Worker] = {}
        self._ended: set[int] = set()
        self._joined_at = now  # when the last new task sent its first message
        self._step = now  # when any worker made a step
        self._compiled = False  # whether any worker has made a step since training began

    @property
    def begun(self) -> bool:
        """Whether any task has sent a message."""
        return bool(self._workers)

    def heard(self, part: int, message: Message, now: float) -> None:
        """Record a message of a part's worker."""
        if part not in self._workers:
            self._workers[part] = _Worker("start", now, now)
            self._joined_at = now
        worker = self._workers[part]
        worker.heard = now
        if isinstance(message, Alive):
            worker.waiting = message.waiting
        if isinstance(message, Phase):
            if message.name != "start":  # sent by the training process while its task fills
                worker.phase, worker.since = message.name, now
        elif isinstance(message, Filling):
            worker.since = now
        if isinstance(message, (Progress, EpochEnd, Phase)):
            self._step = now
            self._compiled = not isinstance(message, Phase)

    def ended(self, part: int) -> None:
        """Record that a worker has ended or its task is gone, so that nobody waits for it."""
        self._ended.add(part)

    def find(self, now: float) -> Stall | None:
        """Return the worker that is waited for in vain; None if there is none."""
        at_work = {part: worker for part, worker in self._workers.items() if part not in self._ended}
        return (
            self._missing(now)
            or self._in_training(at_work, now)
            or self._silent(at_work, now)
            or self._without_rows(at_work, now)
            or self._in_collective(at_work)
        )

    def _missing(self, now: float) -> Stall | None:
        missing = [part for part in range(self._parts) if part not in self._workers]
        waited = now - self._joined_at
        if not self._workers or not missing or waited <= self._limit:
            return None
        return self._stall(
            missing[0],
            f"{len(missing)} of {self._parts} tasks have not begun {waited:.0f} s after the others",
            "Spark starts all at once, so their executors' Python is held up or can't reach the driver: see their logs",
        )

    def _in_training(self, at_work: dict[int, _Worker], now: float) -> Stall | None:
        training = [part for part, worker in at_work.items() if worker.phase == "train"]
        waited = now - self._step
        if not training or waited <= (self._limit if self._compiled else max(self._limit, _COMPILES)):
            return None
        part = min(training, key=lambda part: at_work[part].heard)
        silent = now - at_work[part].heard
        why = (
            f"this one has given no sign of life for {silent:.0f} s: {_HELD_UP}"
            if silent > _SILENT
            else "all still give signs of life, so one of them waits for what never comes"
        )
        return self._stall(part, f"no worker has made a step for {waited:.0f} s", why, "if a step may take that long")

    def _silent(self, at_work: dict[int, _Worker], now: float) -> Stall | None:
        for part, worker in at_work.items():
            silent = now - worker.heard
            if silent > (max(self._limit, _IMPORTS) if worker.phase in ("start", "fill") else self._limit):
                return self._stall(
                    part,
                    f"this worker has given no sign of life for {silent:.0f} s in its phase {worker.phase!r}",
                    _HELD_UP,
                    "if native code may hold it up for that long",
                )
        return None

    def _without_rows(self, at_work: dict[int, _Worker], now: float) -> Stall | None:
        for part, worker in at_work.items():
            waited = now - worker.since
            if worker.phase == "fill" and waited > self._limit:
                return self._stall(
                    part,
                    f"no rows have come to this worker for {waited:.0f} s",
                    "Spark's executor gives no more of them: see its log",
                    "if rows may take that long",
                )
        return None

    def _in_collective(self, at_work: dict[int, _Worker]) -> Stall | None:
        """Find a worker that holds up a collective call in the user's own loop."""
        running = {part: worker for part, worker in at_work.items() if worker.phase == "run"}
        waiting = [part for part, worker in running.items() if worker.waiting > self._limit]
        if not waiting:
            return None
        waited = min(running[part].waiting for part in waiting)
        part = min(running, key=lambda part: running[part].waiting)
        if part in waiting:
            return self._stall(
                part,
                f"all workers have waited for each other for {waited:.0f} s",
                "they are in different collective calls, or one has returned without its part in them; all must "
                "make the same ones in the same order",
            )
        return self._stall(
            part,
            f"{len(waiting)} worker(s) have waited for {waited:.0f} s in a collective call (average, broadcast, gather, "
            "adapt, distribute, or a distributed model's fit, evaluate or train_on_batch)",
            "this one is alive and does not make that call; all workers must make the same ones in the same order",
            "if it may come that late",
        )

    def _stall(self, part: int, what: str, why: str, unless: str | None = None) -> Stall:
        advice = "" if unless is None else f". Raise the limit {unless}"
        return Stall(part, f"{what} (cluster.stall_timeout is {self._limit:.0f}): {why}{advice}")
