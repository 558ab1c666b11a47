"""What the Spark side asks of an engine: how the workers of one attempt come together."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

Returned = TypeVar("Returned")


class EngineRefused(ValueError):
    """The Spark application is configured in a way that this engine can't work with; the message says how to submit."""


class LaunchFailed(RuntimeError):
    """The workers can't come together, and not by the user's code; the message says it all."""


@dataclass(frozen=True)
class Place:
    """Where one worker runs. Ranks are ordered by host, so workers of a host are neighbours."""

    rank: int
    size: int
    host: str  # the address by which the other executors reach this host
    local_rank: int  # this worker's number among those of its host
    local_size: int
    cross_rank: int  # this host's number among the hosts that have a worker of this local_rank
    cross_size: int


class Executors(ABC):
    """What an engine may do with the Spark application: one thing, once on each of its executors.

    Attributes:
        context: Spark's context, to read from.
        together: whether they are one process on one machine (local[N]), where each worker counts as one.
    """

    context: Any
    together: bool

    @property
    @abstractmethod
    def count(self) -> int:
        """How many there are now."""

    @abstractmethod
    def run(self, function: Callable[[int], Returned], description: str) -> list[Returned]:
        """Call a function once on each executor, all at the same time, and wait for its end.

        It waits until every executor has room, whatever else runs in the application.

        Args:
            function: what is called, with 0 to count - 1. It is pickled.
            description: for Spark's own pages.

        Returns:
            What it returned on each of them, in the order of the numbers.

        Raises:
            LaunchFailed: with Spark's reason.
        """

    @abstractmethod
    def cancel(self) -> None:
        """End every `run` of this object; safe to call when there is none. Nothing else in the application is touched."""


class Launch(ABC):
    """One engine's Spark side. It lives in the Spark task, never imports TensorFlow, and is used once."""

    @classmethod
    @contextmanager
    def brought_up(cls, executors: Executors, timeout: float, note: Callable[[str], None]) -> Iterator[Callable[[], Launch]]:
        """The driver's part: what stands on the executors while one attempt lasts. Most engines need nothing there.

        Args:
            executors: where.
            timeout: seconds to wait for their room.
            note: told what could not be tidied up at the end, which is no failure of the attempt.

        Yields:
            What makes each task's own `Launch`; it is pickled.

        Raises:
            EngineRefused: the application's settings are the reason.
            LaunchFailed: any other is.
        """
        yield cls

    @abstractmethod
    def join(self, place: Place, segments: str, gather: Callable[[str], list[str]]) -> Mapping[str, str]:
        """Bring this worker together with the others.

        Args:
            place: where this worker runs.
            segments: the folder of this worker's segments.
            gather: hands a string of every worker to every worker, in the order of their ranks. All workers
                must call it the same number of times.

        Returns:
            What the engine's collective needs to know in the child: it becomes the child's environment.

        Raises:
            LaunchFailed: what the engine has on this executor doesn't answer.
        """

    @abstractmethod
    def close(self) -> None:
        """End whatever `join` started. Safe to call twice, or when `join` never ran."""
