"""The interface of the workers' collective, which each engine implements for training."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any


class PeerLost(RuntimeError):
    """Raised by a collective operation that failed because another worker is gone.

    It is an echo, never a root cause: the driver waits for the other worker's own failure.
    """


class Collective(ABC):
    """The collective of the workers of one attempt, as one worker uses it.

    Every method that moves data is collective: all workers must call it, in the same order. If one never does, the others
    wait until their tasks kill them.

    Attributes:
        rank: this worker's rank, 0 to size - 1; rank 0 saves and reports.
        size: the number of workers.
    """

    rank: int
    size: int

    @abstractmethod
    def sum_tensors(self, tensors: Sequence[Any]) -> list[Any]:
        """Sum each tensor over all workers.

        Like `gather_tensors` it takes and returns tensors of the framework that trains, and may be called where the framework
        records a step to run it many times: then the tensors have no values yet, and each run of the step sums anew.

        Args:
            tensors: dense floating-point tensors, the same shapes and dtypes on every worker.

        Returns:
            Tensors of the same shapes and dtypes. With one worker, the tensors themselves.
        """

    @abstractmethod
    def gather_tensors(self, tensor: Any, counts: Any) -> Any:
        """Concatenate every worker's tensor along the first axis, by rank.

        Args:
            tensor: [rows of this worker, ...], of numbers; the same dtype and other dimensions on every worker.
            counts: the rows of every worker, int32 [size], the same everywhere; some may be 0.

        Returns:
            A tensor [rows of all workers, ...] of the same dtype. With one worker, the tensor itself.
        """

    @abstractmethod
    def gather(self, value: Any) -> list[Any]:
        """Return every worker's value, any picklable object, by rank, on every worker.

        Raises:
            PeerLost: another worker is gone.
        """

    @abstractmethod
    def broadcast(self, value: Any) -> Any:
        """Return rank 0's value, any picklable object (NumPy arrays included), on every worker.

        Raises:
            PeerLost: another worker is gone.
        """

    @abstractmethod
    def is_echo(self, error: BaseException) -> bool:
        """Return whether an exception raised in training only means that another worker is gone."""

    @abstractmethod
    def close(self) -> None:
        """Leave the collective. May be called twice, and when another worker is gone."""


class TimedCollective(Collective):
    """A collective that measures, for other threads, how long the current call has been waiting.

    Args:
        inner: the collective that all calls are delegated to.
    """

    def __init__(self, inner: Collective) -> None:
        self.rank, self.size = inner.rank, inner.size
        self._inner = inner
        self._since: float | None = None

    @property
    def waiting(self) -> float:
        """Seconds since the current call began; 0 if there is none, or the call is inside a recorded step."""
        since = self._since
        return 0.0 if since is None else time.monotonic() - since

    @contextmanager
    def _timed(self) -> Iterator[None]:
        self._since = time.monotonic()
        try:
            yield
        finally:
            self._since = None

    def sum_tensors(self, tensors: Sequence[Any]) -> list[Any]:
        with self._timed():
            return self._inner.sum_tensors(tensors)

    def gather_tensors(self, tensor: Any, counts: Any) -> Any:
        with self._timed():
            return self._inner.gather_tensors(tensor, counts)

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
    """Yield an exception and the exceptions that it was raised from."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
