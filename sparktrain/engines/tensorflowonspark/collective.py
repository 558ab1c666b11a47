"""TensorFlow's own collectives in the child process: sums inside TensorFlow's graph, and objects between the workers."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Sequence
from typing import Any

import numpy
import tensorflow as tf

from sparktrain.engines.numbering import Numbering
from sparktrain.interfaces.collective import PeerLost, causes
from sparktrain.interfaces.objects import SummingCollective
from sparktrain.known_messages.tensorflow import PEER_LOST, WRONG_CALL

_GROUP = 7_301  # any number that nothing else in this process uses
_OBJECTS = 7_302  # another group, as objects stay on the CPU
_POWERS = [1 << bits for bits in range(31)]


class EngineCollective(SummingCollective):
    """The workers of TF_CONFIG, an environment variable from the launch."""

    def __init__(self, every_step: bool) -> None:
        config = json.loads(os.environ["TF_CONFIG"])
        self.rank = config["task"]["index"]
        self.size = len(config["cluster"]["worker"])
        self._numbers = Numbering()
        if self.size > 1:
            # Its construction starts TensorFlow's collectives between the workers; it isn't used for training, which Keras 3
            # doesn't support. It also makes the workers monitor each other, so that a lost one is noticed in idle times.
            self._strategy = tf.distribute.MultiWorkerMirroredStrategy()
        self._device = "/GPU:0" if tf.config.list_logical_devices("GPU") else "/CPU:0"
        if self.rank == 0 and self.size > 1 and self._device == "/GPU:0":
            print(
                "gradients go through the hosts' memory between workers: TensorFlow's collectives are used as they come; "
                "engine: horovod with NCCL avoids it (docs/clusters.md)",
                flush=True,
            )

    def sum_tensors(self, tensors: Sequence[Any]) -> list[Any]:
        """See `Collective.sum_tensors`. Each tensor is an all-reduce: concatenate many small ones before."""
        if self.size == 1:
            return list(tensors)
        return [self._sum(tensor) for tensor in tensors]

    def _sum(self, tensor: tf.Tensor) -> tf.Tensor:
        # Workers match their operations by number, and an operation must always have the same shape.
        place = self._numbers.next()
        with tf.device(self._device):
            return self._reduce(tensor, _GROUP, f"{place} {tensor.dtype.name} {tensor.shape.as_list()}")

    def gather_tensors(self, tensor: Any, counts: Any) -> Any:
        """See `Collective.gather_tensors`.

        An operation must always have the same shape, with as many rows of each worker: so rows are padded to the next power of
        two of the most that a worker has, with a separate operation for each power.
        """
        if self.size == 1:
            return tensor
        name = f"gather {self._numbers.next()} {tensor.dtype.name}"
        power = tf.searchsorted(_POWERS, tf.reduce_max(counts)[None])[0]
        rows = tf.gather(_POWERS, power)
        rest = [[0, 0]] * (tensor.shape.rank - 1)
        with tf.device(self._device):
            gathered = tf.raw_ops.CollectiveGatherV2(
                input=tf.pad(tensor, [[0, rows - tf.shape(tensor)[0]], *rest]),
                group_size=self.size,
                group_key=_GROUP,
                instance_key=(zlib.crc32(name.encode()) >> 1 & ~0x1F) + power,
                ordering_token=[],
            )
        each = tf.reshape(gathered, tf.concat([[self.size, rows], tf.shape(tensor)[1:]], axis=0))
        return tf.boolean_mask(each, tf.sequence_mask(counts, rows))

    def _reduce(self, tensor: tf.Tensor, group: int, name: str) -> tf.Tensor:
        return tf.raw_ops.CollectiveReduceV2(
            input=tensor,
            group_size=self.size,
            group_key=group,
            instance_key=zlib.crc32(name.encode()) >> 1,
            ordering_token=[],
            merge_op="Add",
            final_op="Id",
        )

    def add(self, words: numpy.ndarray) -> numpy.ndarray:
        with tf.device("/CPU:0"):
            return self._reduce(tf.constant(words), _OBJECTS, f"object {len(words)}").numpy()

    def is_echo(self, error: BaseException) -> bool:
        return any(_says_lost(cause) for cause in causes(error))

    def close(self) -> None:
        """Do nothing: TensorFlow's server lives as long as its process, and the other workers don't need it."""


def _says_lost(error: BaseException) -> bool:
    if isinstance(error, PeerLost):
        return True
    if not isinstance(error, tf.errors.OpError):
        return False
    text = str(error)
    return PEER_LOST.find(text) is not None and WRONG_CALL.find(text) is None
