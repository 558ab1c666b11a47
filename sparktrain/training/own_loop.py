"""Runs the user's own training loop in a worker, with access to the rows and the other workers."""

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

from sparktrain.feed import Shard
from sparktrain.interfaces.collective import Collective
from sparktrain.interfaces.messages import Finished, Message, Order, returned_name
from sparktrain.models.errors import TrainingError
from sparktrain.training.batches.own_rows import OwnRows
from sparktrain.training.callbacks.stop_request import StopRequest, first_reason
from sparktrain.training.distributed_model import DistributedModel
from sparktrain.training.framework import framework
from sparktrain.training.output import open_output
from sparktrain.training.phases import Phases
from sparktrain.training.sources import function
from sparktrain.training.state.layer_state import adapt


def run(
    order: Order,
    shard: Shard,
    collective: Collective,
    report: Callable[[Message], None],
    stop_request: StopRequest | None = None,
) -> Finished:
    """Call the user's function with this worker, and write its return value to the storage.

    Args:
        order: its model is the function, and its output the folder for `returned-RANK.pickle`.
        shard: this worker's rows.
        collective: the workers, connected already.
        report: called with phases, progress and the ends of epochs.
        stop_request: whether the driver asks for the end of training after the current epoch; may change at any time.

    Raises:
        Whatever the function raises.
    """
    phases = Phases(report)
    phases.enter("run")
    output = open_output(order)
    keras.utils.set_random_seed(order.spec.seed)
    worker = Worker(order, shard, collective, report, stop_request or StopRequest())
    with _files_are_shared(worker):
        value = function(order.spec.model, "the function given to sparktrain.run")(worker, **order.spec.model.args)
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
    """Raised where another worker is writing the file that this one would write."""


@contextmanager
def _files_are_shared(worker: Worker) -> Iterator[None]:
    """Add advice on who should write a file to errors of workers that write the same one, within a context."""
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
    """The worker that a user's function runs in, one of several that run it together.

    Methods that move data between workers (`distribute`, `adapt`, `average`, `broadcast`, `gather`, `stop_requested`, and a
    distributed model's fit, evaluate, train_on_batch and test_on_batch) must be called by all workers, in the same order. See docs/own-loops.md.

    Attributes:
        rank: this worker's rank, 0 to size - 1.
        size: the number of workers.
    """

    def __init__(
        self,
        order: Order,
        shard: Shard,
        collective: Collective,
        report: Callable[[Message], None],
        stop_request: StopRequest,
    ) -> None:
        self.rank, self.size = collective.rank, collective.size
        self._stop_request = stop_request
        self._order, self._collective, self._report = order, collective, report
        self._own = OwnRows(shard, collective.size, order.spec.fit.labelled) if order.spec.fit.has_rows else None
        self._distributed: dict[int, DistributedModel] = {}  # by the model's id, which is unique while the model is referenced

    @property
    def rows(self) -> int:
        """Training rows that datasets of `dataset` have yielded so far."""
        return 0 if self._own is None else self._own.rows

    @property
    def steps(self) -> int:
        """Training batches that datasets of `dataset` have yielded so far."""
        return 0 if self._own is None else self._own.steps

    def dataset(self, batch_size: int) -> Any:
        """Return a dataset of this worker's training rows; every pass over it is the next epoch, in a new order.

        Args:
            batch_size: the largest number of rows of a batch on this worker.

        Returns:
            A tf.data.Dataset of (inputs, label), of (inputs, label, weight) if a weight was named, or of inputs only if no
            label was. inputs: an array [rows, ...] for one feature, else a dict of them by name; a column of numbers is
            [rows, 1]. label: [rows, ...], for numbers [rows]; a tuple for several labels. weight: float32 [rows]. It has the
            same number of batches on every worker, so that a worker with fewer rows has some smaller or empty ones.
        """
        return self._rows().training(batch_size)

    def validation(self, batch_size: int) -> Any:
        """Return a dataset of this worker's validation rows in a fixed order, like `dataset`; one empty batch if it has none."""
        return self._rows().validation(batch_size)

    def distribute(self, model: keras.Model) -> keras.Model:
        """Give all workers rank 0's weights, and make the model train on the rows of all workers. Collective.

        Its fit, train_on_batch, test_on_batch and evaluate must then be called by all workers: every step applies the gradient
        over all workers' rows, metrics are over all rows, and a fit stops on all workers together. fit and evaluate accept
        `dataset(…)`, what its map, prefetch, cache or repeat make of it, or your own data with the same number of batches on
        every worker. predict is not changed. For an uncompiled model, pass the gradients to `average`.

        Returns:
            The model itself.

        Raises:
            TrainingError: the workers have different models, or layers that were adapted to different rows.
        """
        known = self._distributed.get(id(model))
        if known is None:
            known = DistributedModel(
                model,
                self._collective,
                self._own,
                self._report,
                self._order.spec.seed,
                self._order.part,
                self._stop_request,
            )
            self._distributed[id(model)] = known
        known.start()
        return model

    def adapt(self, layer: keras.Layer, data: Any) -> keras.Layer:
        """Adapt a preprocessing layer to the rows of all workers, as one process with all of them would. Collective.

        Args:
            layer: a StringLookup, IntegerLookup, TextVectorization, Normalization or Discretization.
            data: this worker's data: an array, or batches of the one array that the layer is for (of a tuple the first element),
                such as `dataset(1024).map(lambda inputs, *_: inputs["text"])`. This pass over `dataset` counts as no epoch.

        Returns:
            The layer itself.

        Raises:
            TrainingError: the layer is of another class, or a batch isn't one array.
        """
        with self._own.peek() if self._own is not None else nullcontext():
            adapt(layer, data, self._collective)
        return layer

    def average(self, values: Any, rows: Any = 1) -> Any:
        """Return the mean of the workers' values weighted by rows, for gradients, losses and other means over rows. Collective.

        Args:
            values: tensors, arrays or numbers in any structure, with the same shapes on all workers; None stays None.
            rows: how many rows this worker's values are over; a worker with 0 is ignored.

        Returns:
            Tensors in the same structure, graph tensors within a graph, with the values' dtypes, and float64 for integers and
            booleans. The gradient of an embedding, a tf.IndexedSlices, stays one, with the looked-up rows of all workers.
        """
        return framework().average(values, rows, self._collective)

    def broadcast(self, value: Any) -> Any:
        """Return rank 0's value, any picklable object, on every worker. Collective."""
        return self._collective.broadcast(value)

    def gather(self, value: Any) -> list[Any]:
        """Return every worker's value, any picklable object, by rank. Collective."""
        return self._collective.gather(value)

    def stop_requested(self) -> bool:
        """Return whether the run was asked to stop at its epoch's end (`RunControl.stop`); the same on all workers. Collective.

        A loop asks where it can end, most often after each epoch, and then returns. A distributed model's fit ends by itself.
        """
        return first_reason(self._collective.gather(self._stop_request.reason)) is not None

    def _rows(self) -> OwnRows:
        if self._own is None:
            raise TrainingError("sparktrain.run was called without `data`, so its workers have no rows: name a frame")
        return self._own
