"""What the Spark side asks of an engine: how the workers of one attempt come together."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Callable, Mapping


@dataclass(frozen=True)
class Place:
    """Where one worker runs. Ranks are ordered by host, so workers of a host are neighbours."""

    rank: int
    size: int
    host: str          # the address by which the other executors reach this host
    local_rank: int    # this worker's number among those of its host
    local_size: int
    cross_rank: int    # this host's number among the hosts that have a worker of this local_rank
    cross_size: int


class Launch(ABC):
    """One engine's Spark side. It lives in the Spark task, never imports TensorFlow, and is used once."""

    @abstractmethod
    def join(self, place: Place, gather: Callable[[str], list[str]]) -> Mapping[str, str]:
        """Bring this worker together with the others.

        Args:
            place: where this worker runs.
            gather: hands a string of every worker to every worker, in the order of their ranks. All workers
                must call it the same number of times.

        Returns:
            What the engine's collective needs to know in the child: it becomes the child's environment.
        """

    @abstractmethod
    def close(self) -> None:
        """End whatever `join` started. Safe to call twice, or when `join` never ran."""
