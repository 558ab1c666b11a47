"""The interface between the Spark side and an engine: how the workers of one attempt are connected."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

Returned = TypeVar("Returned")


class EngineRefused(ValueError):
    """Raised where an engine can't work with the Spark application's settings; the message says how to submit."""


class LaunchFailed(RuntimeError):
    """Raised where the workers can't be connected, for a reason that isn't the user's code."""


@dataclass(frozen=True)
class Place:
    """One worker's rank and host. Ranks are ordered by host, so that workers of a host are neighbours.

    Attributes:
        rank, size: the worker's rank and the number of workers.
        host: the address at which the other executors reach this host.
        local_rank, local_size: the worker's number among those of its host, and how many there are.
        cross_rank, cross_size: the host's number among the hosts with a worker of this local_rank, and how many there are.
    """

    rank: int
    size: int
    host: str
    local_rank: int
    local_size: int
    cross_rank: int
    cross_size: int


class Executors(ABC):
    """The executors of the Spark application, as an engine may use them: to run a function once on each.

    Attributes:
        context: Spark's context, to read from.
        together: whether driver and executors are one process (local[N]), where each worker counts as an executor.
    """

    context: Any
    together: bool

    @property
    @abstractmethod
    def count(self) -> int:
        """The number of executors now."""

    @abstractmethod
    def run(self, function: Callable[[int], Returned], description: str) -> list[Returned]:
        """Call a function once on each executor, all at the same time, and wait for the results.

        Waits until every executor has room, whatever else runs in the application.

        Args:
            function: a picklable function, called with 0 to count - 1.
            description: the job's description in Spark's UI.

        Returns:
            The return values, in the order of the numbers.

        Raises:
            LaunchFailed: the job failed; the message has Spark's reason.
        """

    @abstractmethod
    def cancel(self) -> None:
        """Cancel every `run` of this object, if there is any, and nothing else in the application."""


class Launch(ABC):
    """An engine's Spark side. It is used once, in a Spark task, and never imports TensorFlow."""

    @classmethod
    @contextmanager
    def brought_up(cls, executors: Executors, timeout: float, note: Callable[[str], None]) -> Iterator[Callable[[], Launch]]:
        """Run an engine's services on the executors while one attempt lasts; called on the driver. Most engines need none.

        Args:
            executors: the application's executors.
            timeout: seconds to wait for room on them.
            note: called with a message if the cleanup at the end fails, which is no failure of the attempt.

        Yields:
            A picklable function that makes each task's own `Launch`.

        Raises:
            EngineRefused: the application's settings don't allow it.
            LaunchFailed: it failed for another reason.
        """
        yield cls

    @abstractmethod
    def join(self, place: Place, segments: str, gather: Callable[[str], list[str]]) -> Mapping[str, str]:
        """Connect this worker with the others.

        Args:
            place: this worker's rank and host.
            segments: the folder of this worker's segments.
            gather: exchanges strings: given this worker's, it returns every worker's, by rank. All workers must call it
                the same number of times.

        Returns:
            Environment variables for the child process, which the engine's collective reads.

        Raises:
            LaunchFailed: the engine's service on this executor doesn't answer.
        """

    @abstractmethod
    def close(self) -> None:
        """End what `join` started. May be called twice, or if `join` never ran."""
