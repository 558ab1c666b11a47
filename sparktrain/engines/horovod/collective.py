"""Horovod's collective, in the child: sums inside TensorFlow's graph, and objects between the workers."""

from __future__ import annotations

import weakref
from typing import Any, Callable, Iterator, Mapping, Sequence, TypeVar

import horovod.tensorflow as hvd
import numpy
import tensorflow as tf
from horovod.common.exceptions import HorovodInternalError

from sparktrain.interfaces.collective import Collective, PeerLost
from sparktrain.interfaces.objects import exchange

_T = TypeVar("_T")
_LOST = ("connection", "shut down", "aborted", "read timeout", "broken pipe", "gloo", "timed out")
_OURS = ("mismatched", "duplicate", "invalid")   # what Horovod says of a wrong call, not of a lost peer


class EngineCollective(Collective):
    """Joins Horovod's workers from the environment that the launch made."""

    def __init__(self) -> None:
        hvd.init()
        self.rank = hvd.rank()
        self.size = hvd.size()
        self._sums: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
        self._open = True

    def sum_in_graph(self, tensors: Sequence[Any]) -> list[Any]:
        """See `Collective.sum_in_graph`. Each tensor is one all-reduce: flatten many small ones into one before."""
        if self.size == 1:
            return list(tensors)
        return [self._sum(tensor) for tensor in tensors]

    def _sum(self, tensor: tf.Tensor) -> tf.Tensor:
        # Workers match their operations by name, so names may not depend on how often a graph was traced.
        number = 0
        if not tf.executing_eagerly():
            graph = tf.compat.v1.get_default_graph()
            number = self._sums.get(graph, 0)
            self._sums[graph] = number + 1
        name = f"sparktrain.sum.{number}.{tensor.dtype.name}.{tensor.shape.num_elements()}"
        return hvd.allreduce(tensor, op=hvd.Sum, name=name, ignore_name_scope=True)

    def gather(self, value: Any) -> list[Any]:
        return self._exchange({self.rank: value}, self.size)

    def broadcast(self, value: Any) -> Any:
        return self._exchange({0: value} if self.rank == 0 else {}, 1)[0]

    def _exchange(self, own: Mapping[int, Any], count: int) -> list[Any]:
        # Horovod's own ways for objects count bytes in 32 bits.
        if self.size == 1:
            return [own[place] for place in range(count)]
        return self._told(lambda: exchange(own, count, self._object_sum))

    def _object_sum(self, words: numpy.ndarray) -> numpy.ndarray:
        with tf.device("/CPU:0"):
            return hvd.allreduce(tf.constant(words), op=hvd.Sum, name=f"sparktrain.object.{len(words)}").numpy()

    def _told(self, operation: Callable[[], _T]) -> _T:
        try:
            return operation()
        except Exception as error:
            if self.is_echo(error):
                raise PeerLost("another worker is gone") from error
            raise

    def is_echo(self, error: BaseException) -> bool:
        return any(_says_lost(cause) for cause in _causes(error))

    def close(self) -> None:
        if self._open:
            self._open = False
            hvd.shutdown()


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _says_lost(error: BaseException) -> bool:
    if isinstance(error, PeerLost):
        return True
    if not isinstance(error, (HorovodInternalError, tf.errors.OpError)):
        return False
    text = str(error).lower()
    if any(word in text for word in _OURS) or "horovod" not in text + type(error).__name__.lower():
        return False
    return any(word in text for word in _LOST)
