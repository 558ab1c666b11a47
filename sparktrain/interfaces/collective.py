"""What training asks of the workers' collective, whichever engine brings it."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any


class PeerLost(RuntimeError):
    """A collective operation failed because another worker is gone.

    It is an echo, never a cause: whoever reports it waits for the peer's own failure to be told first.
    """


class Collective(ABC):
    """The workers of one attempt, seen from one of them.

    Every method that moves data is collective: all workers must call it, in the same order. A worker that
    never does leaves the others waiting until the task kills them.

    Attributes:
        rank: this worker's number, 0 to size - 1; rank 0 saves and reports.
        size: how many workers there are.
    """

    rank: int
    size: int

    @abstractmethod
    def sum_in_graph(self, tensors: Sequence[Any]) -> list[Any]:
        """Sum each tensor over all workers, inside a TensorFlow graph.

        Args:
            tensors: dense floating-point tensors, the same shapes and dtypes on every worker.

        Returns:
            Tensors of the same shapes and dtypes. With one worker, the tensors themselves.
        """

    @abstractmethod
    def gather_in_graph(self, tensor: Any, counts: Any) -> Any:
        """Put every worker's tensor one behind the other, in the order of their ranks, inside a TensorFlow graph.

        Args:
            tensor: [rows of this worker, ...], numbers; alike on every worker but for the rows.
            counts: the rows of every worker, int32 [size], the same everywhere; some may be 0.

        Returns:
            A tensor [rows of all workers, ...] of the same dtype. With one worker, the tensor itself.
        """

    @abstractmethod
    def gather(self, value: Any) -> list[Any]:
        """Hand every worker's value, any picklable object, to every worker, in the order of their ranks.

        Raises:
            PeerLost: another worker is gone.
        """

    @abstractmethod
    def broadcast(self, value: Any) -> Any:
        """Hand rank 0's value, any picklable object (NumPy arrays included), to every worker.

        Raises:
            PeerLost: another worker is gone.
        """

    @abstractmethod
    def is_echo(self, error: BaseException) -> bool:
        """Whether an exception that came out of training only says that another worker is gone."""

    @abstractmethod
    def close(self) -> None:
        """Leave the collective. Safe to call twice, and when a peer is gone."""


class TimedCollective(Collective):
    """A collective of which another thread may ask for how long it has been waiting.

    Args:
        inner: the one that does it all.
    """

    def __init__(self, inner: Collective) -> None:
        self.rank, self.size = inner.rank, inner.size
        self._inner = inner
        self._since: float | None = None

    @property
    def waiting(self) -> float:
        """Seconds since the call began that has not returned yet; 0 where there is none, or it is inside of a graph."""
        since = self._since
        return 0.0 if since is None else time.monotonic() - since

    @contextmanager
    def _timed(self) -> Iterator[None]:
        self._since = time.monotonic()
        try:
            yield
        finally:
            self._since = None

    def sum_in_graph(self, tensors: Sequence[Any]) -> list[Any]:
        with self._timed():
            return self._inner.sum_in_graph(tensors)

    def gather_in_graph(self, tensor: Any, counts: Any) -> Any:
        with self._timed():
            return self._inner.gather_in_graph(tensor, counts)

    def gather(self, value: Any) -> list[Any]:
        with self._timed():
            return self._inner.gather(value)

    def broadcast(self, value: Any) -> Any:
        with self._timed():
            return self._inner.broadcast(value)

    def is_echo(self, error: BaseException) -> bool:
        return self._inner.is_echo(error)

    def close(self) -> None:
        self._inner.close()


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """An exception, and those that it came from."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
