"""Horovod's collective in the child process: sums inside TensorFlow's graph, and objects between the workers."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import get_native_id
from typing import Any

import horovod.tensorflow as hvd
import numpy
import tensorflow as tf
from horovod.common.exceptions import HorovodInternalError

from sparktrain.engines.numbering import Numbering
from sparktrain.interfaces.collective import PeerLost, causes
from sparktrain.interfaces.objects import SummingCollective
from sparktrain.known_messages.horovod import PEER_LOST, WRONG_CALL

# Milliseconds between Horovod's cycles, in which all workers negotiate what to average. Its default of 1 is as long as a small
# model's whole step; for workers that average rarely, short cycles would only cost time.
_CYCLES = {True: "0.1", False: "5"}


class EngineCollective(SummingCollective):
    """Horovod's workers, joined by the environment variables from the launch."""

    def __init__(self, every_step: bool) -> None:
        os.environ.setdefault("HOROVOD_CYCLE_TIME", _CYCLES[every_step])
        with ThreadPoolExecutor(1) as of_batch_class:
            of_batch_class.submit(_join).result()
        self.rank = hvd.rank()
        self.size = hvd.size()
        self._numbers = Numbering()
        self._open = True
        if self.rank == 0 and self.size > 1 and tf.config.get_visible_devices("GPU") and not hvd.nccl_built():
            print("gradients go through the hosts' memory: this Horovod was built without NCCL (docs/clusters.md)", flush=True)

    def sum_tensors(self, tensors: Sequence[Any]) -> list[Any]:
        """See `Collective.sum_tensors`. Each tensor is an all-reduce: concatenate many small ones before."""
        if self.size == 1:
            return list(tensors)
        return [self._sum(tensor) for tensor in tensors]

    def gather_tensors(self, tensor: Any, counts: Any) -> Any:
        if self.size == 1:
            return tensor
        return hvd.allgather(tensor, name=self._name("gather", tensor), ignore_name_scope=True)

    def _name(self, kind: str, tensor: tf.Tensor) -> str:
        """Return a name for an operation, by which workers match theirs."""
        return f"sparktrain.{kind}.{self._numbers.next()}.{tensor.dtype.name}.{tensor.shape.num_elements()}"

    def _sum(self, tensor: tf.Tensor) -> tf.Tensor:
        name = self._name("sum", tensor)
        return hvd.allreduce(tensor, op=hvd.Sum, name=name, ignore_name_scope=True)

    def add(self, words: numpy.ndarray) -> numpy.ndarray:
        with tf.device("/CPU:0"):
            return hvd.allreduce(tf.constant(words), op=hvd.Sum, name=f"sparktrain.object.{len(words)}").numpy()

    def is_echo(self, error: BaseException) -> bool:
        return any(_says_lost(cause) for cause in causes(error))

    def close(self) -> None:
        if self._open:
            self._open = False
            hvd.shutdown()


def _join() -> None:
    """Join with a thread of Linux's batch scheduling class, which Horovod's threads inherit.

    Each cycle wakes them, and threads of the normal class would preempt the training on its core every time. Those of the
    batch class wait until the core is free, as it is when a step waits for its average.
    """
    with suppress(AttributeError, PermissionError):  # not Linux, or a container that forbids it: only slower
        os.sched_setscheduler(get_native_id(), os.SCHED_BATCH, os.sched_param(0))
    hvd.init()


def _says_lost(error: BaseException) -> bool:
    if isinstance(error, PeerLost):
        return True
    if not isinstance(error, (HorovodInternalError, tf.errors.OpError)):
        return False
    text = str(error)
    if WRONG_CALL.find(text) or "horovod" not in (text + type(error).__name__).lower():
        return False
    return PEER_LOST.find(text) is not None
