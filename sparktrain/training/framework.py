"""What training asks of the framework beneath Keras: its tensors, datasets, devices, and compiled steps.

A framework is a package of this room, named as Keras's backend is, that has the functions of `Framework`: `tensorflow/` for
TensorFlow. Only there is the framework imported.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import keras
import numpy as np

from sparktrain.interfaces.collective import Collective
from sparktrain.models.errors import TrainingError

if TYPE_CHECKING:
    from sparktrain.training.warmup import Warmup

Kinds = Sequence[tuple[tuple[int, ...], Any]]  # the (shape of a row, dtype) of each leaf of a batch


@functools.cache
def framework() -> Framework:
    """Return the framework that Keras trains with in this process.

    Raises:
        TrainingError: it is one that this room has no package for.
    """
    name = f"sparktrain.training.{keras.config.backend()}"
    if importlib.util.find_spec(name) is None:
        raise TrainingError(
            f"Keras's backend is {keras.config.backend()} here (KERAS_BACKEND, or ~/.keras/keras.json), and sparktrain trains with "
            "tensorflow: set KERAS_BACKEND=tensorflow on the executors, or leave it out"
        )
    return cast(Framework, importlib.import_module(name))


class RowCounter(Protocol):
    """Counts the rows of a model's steps while it is entered."""

    @property
    def training(self) -> int:
        """Rows of all training steps so far."""

    @property
    def test(self) -> int:
        """Rows of all test steps so far."""

    @property
    def last(self) -> int:
        """Rows of the last training step."""

    def __enter__(self) -> Any: ...

    def __exit__(self, *_: object) -> None: ...


class Framework(Protocol):
    """The functions of a framework's package."""

    # Devices

    def split_cpu(self) -> None:
        """Split the CPU into SPARKTRAIN_VIRTUAL_CPUS devices, to test without GPUs; called before the framework is used."""

    def tell_of_unseen_gpus(self) -> None:
        """Print a warning if the framework doesn't see GPUs that this worker was given (CUDA_VISIBLE_DEVICES)."""

    def device_scope(self, engine: str) -> AbstractContextManager[Any]:
        """Return the context in which a worker of an engine builds and trains its model, on as many devices as that has."""

    def replicas(self) -> int:
        """Return how many copies of the model, each on its device, take part in a step of this process."""

    def copies(self, variable: keras.Variable) -> list[Any]:
        """Return each device's copy of a variable, which has `numpy()` and can be assigned to separately."""

    # Batches

    def dataset(
        self,
        fetch: Callable[[Any], list[np.ndarray]],
        structure: Any,
        kinds: Kinds,
        rows: int | None,
        first: int,
        end: int | None,
    ) -> Any:
        """Return a dataset of batches, which reads ahead and can be passed over repeatedly.

        Args:
            fetch: returns the arrays of a batch by its number, an int or NumPy's, in the order of the leaves. It is called in any thread with
                `first`, `first + 1`, and so on, and so again in each pass.
            structure: the structure of a batch.
            kinds: the (shape of a row, dtype) of each leaf.
            rows: the rows of every batch; None if they differ.
            first: the number of the first batch.
            end: the number behind that of the last one; None if there is no end.
        """

    def for_devices(self, batches: Any) -> Any:
        """Return a dataset whose elements have one batch of another dataset's for each device."""

    def batch_spec(self, structure: Any, kinds: Kinds, rows: int | None) -> Any:
        """Return the structure, shapes and dtypes of a batch of `dataset`."""

    def zeros(self, shape: tuple[int, ...], dtype: str) -> Any:
        """Return a tensor of zeros, or of empty strings for the dtype `string`."""

    # Steps

    def create_state(self, model: keras.Model, batch_spec: Any) -> None:
        """Trace a training step, so that metrics and optimizer variables exist before the first step runs.

        Args:
            model: compiled and built; its values don't change.
            batch_spec: the structure, shapes and dtypes of a batch.
        """

    def Averaging(
        self,
        model: keras.Model,
        collective: Collective,
        *,
        every_step: bool,
        empty_steps: bool,
        empty_validation: bool,
        warmup: Warmup | None,
        note: Callable[[str], None],
    ) -> AbstractContextManager[Any]:
        """Return a context in which every optimizer of a model applies the gradient of all workers' rows.

        Args:
            model: compiled and built, with the state that a first step creates (see `create_state`).
            collective: the workers; with one worker, on one device, the model is left unchanged.
            every_step: whether gradients are averaged; else each worker makes its own steps.
            empty_steps: whether some step may give this worker no rows. Such a step applies only the other workers' gradients
                and changes that don't depend on rows: metrics and statistics stay unchanged.
            empty_validation: whether this worker may evaluate a batch without rows.
            warmup: the warm-up of the learning rate, whose `step` begins each step, or None.
            note: called with a sentence if something is done differently than users may expect.
        """

    def weight_average(self, model: keras.Model, collective: Collective) -> Callable[[int], None]:
        """Return the function that averages the workers' weights and optimizer state by rows. Collective.

        It is called with the rows that this worker has trained on since the last time. Integers become rank 0's.
        """

    def test_step(self, model: keras.Model) -> Callable[[Any], Any]:
        """Return a model's test step, compiled, as a function of a batch."""

    def RowCounts(self, model: keras.Model) -> RowCounter:
        """Return the counter of the rows of a model's training and test steps."""

    # Values

    def average(self, values: Any, rows: Any, collective: Collective) -> Any:
        """Return the mean of the workers' values weighted by rows: see `Worker.average`. Collective."""

    def fingerprint(self, variable: keras.Variable) -> bytes:
        """Return an 8-byte hash of a variable's values, computed at the speed of memory."""

    def EventWriter(self, folder: Path) -> Any:
        """Return a callback, with state, that writes each epoch's metrics for TensorBoard, to `train/` and `validation/`."""

    # Data of the user's own

    def look_at(self, x: Any, y: Any, sample_weight: Any, batch_size: int | None, own: Any, validation_split: float = 0.0) -> Any:
        """Inspect the data of a call of fit or evaluate, without losing a batch of it, and return it as `GivenBatches`.

        Args:
            x, y, sample_weight, batch_size, validation_split: the call's arguments.
            own: this worker's `OwnRows`, which the data may be a dataset of; None if it has none.

        Raises:
            TrainingError: there is no data.
        """

    def in_model_s_structure(self, dataset: Any, model: keras.Model, own: Any) -> Any:
        """Return a dataset of this worker's rows in the structure of the model's inputs and outputs.

        Several features are a dict by name; if the model's inputs have other names, they are matched in their order. Several
        labels are a tuple; if the model's outputs are a dict, they are matched in its order. Other data is returned as it is.
        """

    def spec_of(self, value: Any) -> Any:
        """Return the shape, with any number of rows, and the dtype of an array; None for None."""

    def rows_in(self, batch: Any) -> int:
        """Return how many rows a batch of arrays or tensors has."""

    def symbolic_inputs(self, spec: Any) -> Any:
        """Return the inputs of a batch as keras.KerasTensor, to build a model by; None if they aren't known."""
