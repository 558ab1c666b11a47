"""Exchanges objects between workers by sums of integers alone, which every collective has."""

from __future__ import annotations

import pickle
from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import numpy

from sparktrain.interfaces.collective import Collective, PeerLost

_CHUNK = 1 << 20  # 8-byte words that are summed at once: more is slower and takes more memory


def exchange(own: Mapping[int, Any], count: int, add: Callable[[numpy.ndarray], numpy.ndarray]) -> list[Any]:
    """Send objects, each of which one worker has, to all workers. Collective.

    The bytes of an object are summed with the other workers' zeros, which leaves them unchanged.

    Args:
        own: this worker's objects by their indices among all; picklable.
        count: the number of objects on all workers together.
        add: sums int64 arrays over the workers; called only with lengths that are powers of two, so that there are few
            shapes.

    Returns:
        All objects, by their indices.
    """
    pickles = [pickle.dumps(own[place], protocol=5) if place in own else b"" for place in range(count)]
    lengths = _added(numpy.array([len(data) for data in pickles], numpy.int64), add)
    starts = numpy.concatenate([[0], numpy.cumsum(-(-lengths // 8))])
    words = numpy.zeros(starts[-1], numpy.int64)
    for data, start in zip(pickles, starts):
        words.view(numpy.uint8)[8 * start : 8 * start + len(data)] = numpy.frombuffer(data, numpy.uint8)
    del pickles
    for first in range(0, len(words), _CHUNK):
        words[first : first + _CHUNK] = _added(words[first : first + _CHUNK], add)
    whole = words.data.cast("B")
    return [pickle.loads(whole[8 * start : 8 * start + length]) for start, length in zip(starts, lengths)]


def _added(words: numpy.ndarray, add: Callable[[numpy.ndarray], numpy.ndarray]) -> numpy.ndarray:
    padded = numpy.zeros(1 << (len(words) - 1).bit_length(), numpy.int64)
    padded[: len(words)] = words
    return add(padded)[: len(words)]


class SummingCollective(Collective):
    """A collective that exchanges objects by its sums."""

    @abstractmethod
    def add(self, words: numpy.ndarray) -> numpy.ndarray:
        """Sum int64 arrays, of the same length on all workers, over the workers. Collective."""

    def gather(self, value: Any) -> list[Any]:
        return self._exchange({self.rank: value}, self.size)

    def broadcast(self, value: Any) -> Any:
        return self._exchange({0: value} if self.rank == 0 else {}, 1)[0]

    def _exchange(self, own: Mapping[int, Any], count: int) -> list[Any]:
        if self.size == 1:
            return [own[place] for place in range(count)]
        try:
            return exchange(own, count, self.add)
        except Exception as error:
            if self.is_echo(error):
                raise PeerLost("another worker is gone") from error
            raise
