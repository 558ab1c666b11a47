"""A training loop of the user's own: what his function gets of the workers, the rows and the averaging."""

from __future__ import annotations

import errno
import hashlib
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import cloudpickle
import keras
import tensorflow as tf

from sparktrain.feed import Shard
from sparktrain.interfaces.collective import Collective
from sparktrain.interfaces.messages import Finished, Message, Order, returned_name
from sparktrain.models.errors import TrainingError
from sparktrain.training.distributed_model import DistributedModel
from sparktrain.training.layer_state import adapt
from sparktrain.training.means import means
from sparktrain.training.output import open_output
from sparktrain.training.own_rows import OwnRows
from sparktrain.training.phases import Phases
from sparktrain.training.sources import function


def run(order: Order, shard: Shard, collective: Collective, report: Callable[[Message], None]) -> Finished:
    """Call the user's function with this worker, and leave what it returns on the storage.

    Args:
        order: whose model is the function; its output is where `returned-RANK.pickle` goes.
        shard: this worker's rows.
        collective: joined already.
        report: takes phases, progress and epochs' ends.

    Raises:
        Whatever the function raises.
    """
    phases = Phases(report)
    phases.enter("run")
    output = open_output(order)
    keras.utils.set_random_seed(order.seed)
    worker = Worker(order, shard, collective, report)
    with _files_are_shared(worker):
        value = function(order.model, "the function given to sparktrain.run")(worker, **order.model.args)
    phases.enter("save")
    with tempfile.TemporaryDirectory() as folder:
        local = Path(folder, returned_name(collective.rank))
        with local.open("wb") as file:
            cloudpickle.dump(value, file)
        with local.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        output.persistent().upload(local, local.name)
    return Finished(history={}, rows=worker.rows, steps=worker.steps, seconds=phases.seconds(), returned_sha256=digest)


class FileTaken(OSError):
    """Another worker writes the file that this one would write."""


@contextmanager
def _files_are_shared(worker: Worker) -> Iterator[None]:
    """Tell who should write, where workers get into each other's way."""
    try:
        yield
    except OSError as error:
        taken = error.errno in (errno.EAGAIN, errno.EEXIST) or re.search("unable to (lock|synchronously)", str(error), re.I)
        if worker.size == 1 or not taken:
            raise
        raise FileTaken(
            f"{str(error).rstrip('.')}. Every one of the {worker.size} workers runs this function: write a file only where worker.rank == 0, "
            "or under a name of each worker's own (worker.rank in it)"
        ) from error


class Worker:
    """One of the workers that run a function together.

    Whatever moves data between them (`distribute`, `adapt`, `average`, `broadcast`, `gather`, and a distributed model's fit,
    evaluate, train_on_batch and test_on_batch) must be called by all of them, in the same order. docs/own-loops.md has it all.

    Attributes:
        rank: this worker's number, 0 to size - 1.
        size: how many there are.
    """

    def __init__(self, order: Order, shard: Shard, collective: Collective, report: Callable[[Message], None]) -> None:
        self.rank, self.size = collective.rank, collective.size
        self._order, self._collective, self._report = order, collective, report
        self._own = OwnRows(shard, collective.size, order.fit.labelled) if order.fit.has_rows else None
        self._distributed: dict[int, DistributedModel] = {}  # by the model's id, which is its own while it is kept

    @property
    def rows(self) -> int:
        """Training rows that `dataset` has handed out so far."""
        return 0 if self._own is None else self._own.rows

    @property
    def steps(self) -> int:
        """Batches that it has handed out so far."""
        return 0 if self._own is None else self._own.steps

    def dataset(self, batch_size: int) -> tf.data.Dataset:
        """This worker's training rows; every pass is the next epoch, in an order of its own.

        Args:
            batch_size: rows of a batch on this worker, at most.

        Returns:
            A tf.data.Dataset of (inputs, label), of (inputs, label, weight) where a weight was named, or of the inputs
            where no label was. inputs: an array [rows, ...] for one feature, else a dict of them by name; a column of single
            numbers is [rows, 1]. label: [rows, ...], of single numbers [rows]; of several labels a tuple. weight: float32
            [rows]. It has the same number of batches on every worker, so a worker with fewer rows has some smaller ones, or
            some without rows.
        """
        return self._rows().training(batch_size)

    def validation(self, batch_size: int) -> tf.data.Dataset:
        """This worker's validation rows, in a fixed order, as `dataset` gives them; one batch of no rows where it has none."""
        return self._rows().validation(batch_size)

    def distribute(self, model: keras.Model) -> keras.Model:
        """Give all workers rank 0's weights, and let the model train on the rows of all. Collective.

        Its fit, train_on_batch, test_on_batch and evaluate then are for all workers to call: at every step the gradient of
        all workers' rows is applied, metrics are of all rows, and a fit stops on all workers together. fit and evaluate take
        `dataset(…)`, what its map, prefetch, cache or repeat make of it, or data of your own in as many batches on every
        worker. predict stays each worker's own. An uncompiled model's gradients are for `average`.

        Returns:
            The model itself.

        Raises:
            TrainingError: the workers have different models, or layers that were adapted to different rows.
        """
        known = self._distributed.get(id(model))
        if known is None:
            known = DistributedModel(model, self._collective, self._own, self._report, self._order.seed, self._order.part)
            self._distributed[id(model)] = known
        known.start()
        return model

    def adapt(self, layer: keras.Layer, data: Any) -> keras.Layer:
        """Adapt a preprocessing layer to the rows of all workers, as one process with all of them would. Collective.

        Args:
            layer: StringLookup, IntegerLookup, TextVectorization, Normalization or Discretization.
            data: this worker's part: batches of the one array that the layer is for (of a tuple the first part is taken), such as
                `dataset(1024).map(lambda inputs, *_: inputs["text"])`, or an array. A pass over `dataset` counts as no epoch.

        Returns:
            The layer itself.

        Raises:
            TrainingError: another layer, or batches of something else.
        """
        with self._own.peek() if self._own is not None else nullcontext():
            adapt(layer, data, self._collective)
        return layer

    def average(self, values: Any, rows: Any = 1) -> Any:
        """The mean of the workers' values, weighted by rows: of gradients, losses, whatever is a mean over rows.

        Args:
            values: tensors, arrays or numbers in any structure, alike on all workers; None stays None.
            rows: how many rows this worker's values are of; a worker with 0 has no part in the mean.

        Returns:
            Tensors in the same structure, in the graph where this is called in one: of the values' dtypes, and float64 for
            whole numbers and truth values, whose mean is neither. The gradient of an embedding, a tf.IndexedSlices, is one again:
            the looked-up rows of all workers.
        """
        leaves = keras.tree.flatten(values)
        tensors = [None if leaf is None else _floating(leaf) for leaf in leaves]
        return keras.tree.pack_sequence_as(values, means(tensors, tf.cast(rows, tf.float32), self._collective))

    def broadcast(self, value: Any) -> Any:
        """Rank 0's value, any picklable object, on every worker."""
        return self._collective.broadcast(value)

    def gather(self, value: Any) -> list[Any]:
        """Every worker's value, any picklable object, in the order of their ranks."""
        return self._collective.gather(value)

    def _rows(self) -> OwnRows:
        if self._own is None:
            raise TrainingError("sparktrain.run was called without `data`, so its workers have no rows: name a frame")
        return self._own


def _floating(value: Any) -> tf.Tensor | tf.IndexedSlices:
    if isinstance(value, tf.IndexedSlices):
        return value
    whole = isinstance(value, (bool, int))
    # 2**31 and more would be too large for TensorFlow's own choice
    tensor = tf.constant(value, tf.float64) if whole else tf.convert_to_tensor(value)
    return tensor if tensor.dtype.is_floating or tensor.dtype.is_complex else tf.cast(tensor, tf.float64)
