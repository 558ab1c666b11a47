"""A training loop of the user's own: what his function gets of the workers, the rows and the averaging."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path
from typing import Any, Callable, Iterator

import cloudpickle
import keras
import tensorflow as tf

from sparktrain.feed import Batch, Shard
from sparktrain.interfaces.collective import Collective
from sparktrain.interfaces.messages import Finished, Message, Order, Phase, returned_name
from sparktrain.training.averaging import averaging, create_state
from sparktrain.training.callbacks import WorkerCallbacks
from sparktrain.training.dataset import Feeding
from sparktrain.training.errors import TrainingError
from sparktrain.training.means import means
from sparktrain.training.model import refuse_other_inputs
from sparktrain.training.output import open_output
from sparktrain.training.phases import Phases
from sparktrain.training.sources import function
from sparktrain.training.statistics import seed_worker, start_alike


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


class Worker:
    """One of the workers that run a function together.

    Whatever moves data between them (`distribute`, `average`, `broadcast`, `gather`, and the fit of a distributed
    model) must be called by all of them, in the same order.

    Attributes:
        rank: this worker's number, 0 to size - 1.
        size: how many there are.
        rows: training rows that `dataset` has handed out so far.
        steps: batches that it has handed out so far.
    """

    def __init__(
        self, order: Order, shard: Shard, collective: Collective, report: Callable[[Message], None]
    ) -> None:
        self.rank, self.size = collective.rank, collective.size
        self.rows = self.steps = 0
        self._order, self._shard, self._collective, self._report = order, shard, collective, report
        # By the dataset's id, which is its own while the object is kept
        self._handed_out: dict[int, tuple[tf.data.Dataset, _Passes]] = {}

    def dataset(self, batch_size: int) -> tf.data.Dataset:
        """This worker's training rows; every pass is an epoch, in an order of its own.

        Args:
            batch_size: rows of a batch on this worker, at most.

        Returns:
            A tf.data.Dataset of (inputs, label), of (inputs, label, weight) where a weight was named, or of the inputs
            where no label was: an array for one feature, else a dict by name. It has the same number of batches on
            every worker, so a worker with fewer rows has some smaller ones, or some without rows.
        """
        passes = self._passes(batch_size)
        return self._hand_out(passes.training(), passes)

    def validation(self, batch_size: int) -> tf.data.Dataset:
        """This worker's validation rows, in a fixed order, as `dataset` gives them."""
        passes = self._passes(batch_size)
        return self._hand_out(passes.validation(), passes)

    def distribute(self, model: keras.Model) -> keras.Model:
        """Give all workers rank 0's weights; and let a compiled model train on the rows of all.

        The fit of a compiled model then takes `dataset(…)`, applies at every step the gradient of all workers' rows,
        shows the metrics of all rows, and stops on all workers together. An uncompiled model's gradients are for
        `average`.

        Returns:
            The model itself.
        """
        if model.compiled and model.built and not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        start_alike(model, self._collective)
        if self.size > 1:
            seed_worker(model, self._order.seed, self._order.part)
        if model.compiled:
            own_fit = model.fit
            # Not by setattr: Keras would track it
            model.__dict__["fit"] = lambda *given, **words: self._fit(model, own_fit, *given, **words)
            if self.size > 1:
                model.__dict__["train_on_batch"] = _refuse_train_on_batch
        return model

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

    def _passes(self, batch_size: int) -> _Passes:
        if not self._order.fit.has_rows:
            raise TrainingError("sparktrain.run was called without `data`, so its workers have no rows: name a frame")
        sizes = (batch_size,) * self.size
        shard = Shard(
            self._shard.folders, self._shard.filled, self._shard.agreement, self._shard.part, self._shard.seed, sizes
        )
        return _Passes(self, shard, batch_size)

    def _hand_out(self, dataset: tf.data.Dataset, passes: _Passes) -> tf.data.Dataset:
        if not self._order.fit.labelled:
            dataset = dataset.map(lambda inputs, *_: inputs)
        self._handed_out[id(dataset)] = dataset, passes
        return dataset

    def _fit(self, model: keras.Model, own_fit: Callable[..., Any], x: Any = None, **words: Any) -> Any:
        _, feeding = self._handed_out.get(id(x), (None, None))
        if feeding is None:
            raise TrainingError(
                f"a distributed model's fit takes worker.dataset(batch_size), and {type(x).__name__} came: the rows of "
                "all workers have to come in the same number of batches"
            )
        _, validation = self._handed_out.get(id(words.get("validation_data")), (None, None))
        feeding.validation_rows = 0 if validation is None else validation.validation_rows
        if not model.built:
            raise TrainingError("the distributed model isn't built yet: give it a keras.Input, or call it once before")
        refuse_other_inputs(model, list(self._shard.inputs))
        if any(self._collective.gather(feeding.empty_steps)):
            create_state(model, feeding.batch_spec)
            start_alike(model, self._collective)
        epochs = words.pop("epochs", 1)
        callbacks = WorkerCallbacks(
            list(words.pop("callbacks", None) or ()),
            model=model,
            collective=self._collective,
            feeding=feeding,
            report=self._report,
            epochs=epochs,
            local_steps=None,
        )
        with averaging(
            model,
            self._collective,
            every_step=True,
            empty_steps=feeding.empty_steps,
            empty_validation=feeding.empty_validation,
            warmup=None,
            note=lambda text: print(text, flush=True) if self.rank == 0 else None,
        ):
            words = {"verbose": 0, **words, "shuffle": False}
            self._report(Phase("train"))   # steps are to be expected, and a stall is looked for
            try:
                return own_fit(x, epochs=epochs, callbacks=callbacks, **words)
            finally:
                self._report(Phase("run"))


def _floating(value: Any) -> tf.Tensor | tf.IndexedSlices:
    if isinstance(value, tf.IndexedSlices):
        return value
    whole = isinstance(value, (bool, int))
    # 2**31 and more would be too large for TensorFlow's own choice
    tensor = tf.constant(value, tf.float64) if whole else tf.convert_to_tensor(value)
    return tensor if tensor.dtype.is_floating or tensor.dtype.is_complex else tf.cast(tensor, tf.float64)


def _refuse_train_on_batch(*given: Any, **words: Any) -> None:
    raise TrainingError(
        "train_on_batch of a distributed model would train this worker's copy alone, and the workers' weights would part: call "
        "its fit with worker.dataset(batch_size), or take a tf.GradientTape and apply worker.average(gradients, rows=...)"
    )


class _Passes(Feeding):
    """Batches for a loop of the user's: each pass over them is the next epoch."""

    def __init__(self, worker: Worker, shard: Shard, batch_size: int) -> None:
        names = list(shard.inputs)
        super().__init__(
            shard,
            names[0] if len(names) == 1 else {name: name for name in names},
            batch_size=batch_size,
            class_weight=None,
            validates=shard.validation_rows > 0,
            one_step=False,
        )
        self._worker, self._labelled = worker, worker._order.fit.labelled
        self._next = 0

    def sample(self) -> Any:
        batch = super().sample()
        return batch if batch is None or self._labelled else batch[0]

    def _training_batches(self, epoch: int) -> Iterator[Batch]:
        self._next += 1
        for batch in super()._training_batches(self._next - 1):
            self._worker.rows += len(batch.label)
            self._worker.steps += 1
            yield batch
