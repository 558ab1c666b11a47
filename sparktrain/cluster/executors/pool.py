"""The executors of one Spark application as a pool, from which its runs lease what they need and to which they give it back.

Only numbers are leased: a worker's task asks for all cores of an executor, so Spark starts it on one where nobody trains.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable
from dataclasses import dataclass

from pyspark import SparkContext

from sparktrain.cluster.executors.executor_requests import ExecutorRequests


@dataclass
class Ticket:
    """One run's place in the pool: it waits for executors as long as it has leased none.

    Attributes:
        who: the run, for others that wait for it.
        priority: the higher, the earlier it is served; runs of the same priority are served in the order in which they came.
        alone: whether the run can't share the application with another.
        leased: how many executors it has leased; None while it waits.
    """

    who: str
    priority: int
    alone: bool
    number: int
    thread: threading.Thread
    leased: int | None = None

    @property
    def order(self) -> tuple[int, int]:
        """The smaller, the earlier it is served."""
        return -self.priority, self.number


@dataclass(frozen=True)
class Others:
    """The other runs of the application, as a run that waits sees them.

    Attributes:
        training: those that have leased executors, with how many.
        before: those that wait and are served before this one, in that order.
        blocking: whether one of them must be served, or end, before this run may take any executor.
    """

    training: tuple[tuple[str, int], ...] = ()
    before: tuple[str, ...] = ()
    blocking: bool = False

    @property
    def busy(self) -> int:
        """How many executors they have leased."""
        return sum(count for _, count in self.training)

    def __str__(self) -> str:
        phrases = [f"run {who} has {count} of them" for who, count in self.training]
        if self.before:
            phrases.append(f"{_listed(self.before)} {'is' if len(self.before) == 1 else 'are'} served before it")
        return ", ".join(phrases)


def _listed(runs: Iterable[str]) -> str:
    *first, last = (f"run {run}" for run in runs)
    return f"{', '.join(first)} and {last}" if first else last


class ExecutorPool:
    """The pool of one application. Its methods may be called from any thread.

    Attributes:
        executors: counts the application's executors, and asks the cluster manager for more or fewer.
    """

    def __init__(self, executors: ExecutorRequests) -> None:
        self.executors = executors
        self._tickets: list[Ticket] = []
        self._numbers = itertools.count()
        self._lock = threading.Lock()

    def enter(self, who: str, priority: int = 0, alone: bool = False) -> Ticket:
        """Let a run of the calling thread wait for executors; `leave` must follow. A run whose thread ends leaves by itself."""
        with self._lock:
            ticket = Ticket(who, priority, alone, next(self._numbers), threading.current_thread())
            self._tickets.append(ticket)
            return ticket

    def leave(self, ticket: Ticket, reset: bool = True) -> None:
        """Give back what a run has leased. May be called twice.

        Args:
            reset: whether the last run that leaves ends the executors beyond those that the application was submitted with.
        """
        with self._lock:
            if ticket not in self._tickets:
                return
            self._tickets.remove(ticket)
            if reset and not self._alive():
                self.executors.reset()

    def wait_again(self, ticket: Ticket) -> None:
        """Give back what a run has leased, and let it wait again, before all runs of its priority that came after it."""
        with self._lock:
            ticket.leased = None

    def others(self, ticket: Ticket) -> Others:
        """Return what a run that waits must know of the others."""
        with self._lock:
            others = [other for other in self._alive() if other is not ticket]
        training = [other for other in others if other.leased is not None]
        waiting = [other for other in others if other.leased is None and other.order < ticket.order]
        return Others(
            tuple((other.who, other.leased) for other in training if other.leased is not None),
            tuple(other.who for other in sorted(waiting, key=lambda other: other.order)),
            blocking=bool(waiting) or any(other.alone or ticket.alone for other in training),
        )

    def runs(self) -> list[str]:
        """Return the runs that wait for executors, or have leased some."""
        with self._lock:
            return [ticket.who for ticket in self._alive()]

    def lease(self, ticket: Ticket, count: int) -> None:
        """Note that a run has leased executors, which only the first of those that wait may do."""
        with self._lock:
            ticket.leased = count

    def _alive(self) -> list[Ticket]:
        self._tickets = [ticket for ticket in self._tickets if ticket.thread.is_alive()]
        return self._tickets


_LOCK = threading.Lock()
_pools: list[ExecutorPool] = []  # of the application that runs: a process has one at a time


def pool_of(context: SparkContext) -> ExecutorPool:
    """Return the pool of the application that runs in this process."""
    with _LOCK:
        if not _pools or _pools[0].executors.context is not context:
            _pools[:] = [ExecutorPool(ExecutorRequests(context))]
        return _pools[0]
