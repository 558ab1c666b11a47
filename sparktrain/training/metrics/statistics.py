"""Keeps all workers' models the same beside the trained weights: their initial values, and the statistics of batches."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence

import keras
import numpy as np

from sparktrain.interfaces.collective import Collective
from sparktrain.models.errors import TrainingError
from sparktrain.models.optimizers import optimizer_variables
from sparktrain.training.arrays import restore
from sparktrain.training.framework import framework
from sparktrain.training.state.model_variables import SEED

_TOGETHER = 64 << 20  # bytes


def start_alike(model: keras.Model, collective: Collective) -> None:
    """Give every worker rank 0's weights and optimizer state, except for seeds. Collective.

    Raises:
        TrainingError: the workers built different models.
    """
    if collective.size == 1:
        return
    variables = [variable for variable in [*model.variables, *optimizer_variables(model)] if variable.name != SEED]
    shapes = collective.gather([tuple(variable.shape) for variable in variables])
    if any(other != shapes[0] for other in shapes):
        raise TrainingError(
            "the model's builder made different models on different workers: "
            f"{_count(shapes)} variables of their own shapes. It must depend on nothing but its args"
        )
    take_rank_0s(variables, collective)


def take_rank_0s(variables: Sequence[keras.Variable], collective: Collective) -> None:
    """Set variables, which must have the same shapes on all workers, to rank 0's values. Collective."""
    for some in _batches(variables):
        if len(some) == 1:
            _send(some[0], collective)
            continue
        values = collective.broadcast([variable.numpy() for variable in some] if collective.rank == 0 else None)
        if collective.rank != 0:
            for variable, value in zip(some, values):
                variable.assign(value)


def _batches(variables: Sequence[keras.Variable]) -> Iterator[list[keras.Variable]]:
    """Yield groups of variables to send together: many small ones, or a large one by itself."""
    some: list[keras.Variable] = []
    size = 0
    for variable in variables:
        own = int(np.prod(variable.shape)) * np.dtype(keras.backend.standardize_dtype(variable.dtype)).itemsize
        if own > _TOGETHER:
            yield [variable]
            continue
        some.append(variable)
        size += own
        if size >= _TOGETHER:
            yield some
            some, size = [], 0
    if some:
        yield some


def _send(variable: keras.Variable, collective: Collective) -> None:
    """Set a variable to rank 0's value, in pieces, so that memory is needed for little more than one copy."""
    value = np.array(variable.numpy())
    for own, theirs in pieces_of_rank_0(value, collective):
        own[:] = theirs
    if collective.rank != 0:
        variable.assign(value)


def pieces_of_rank_0(value: np.ndarray, collective: Collective) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield flat pieces of this worker's array, each with rank 0's piece. Collective."""
    flat = value.reshape(-1)
    step = max(1, _TOGETHER // value.itemsize)
    for first in range(0, len(flat), step):
        own = flat[first : first + step]
        yield own, collective.broadcast(own if collective.rank == 0 else None)


def _count(shapes: list[list]) -> str:
    return ", ".join(f"worker {rank} has {len(each)}" for rank, each in enumerate(shapes))


def seed_worker(model: keras.Model, seed: int, part: int) -> None:
    """Seed random numbers (dropout, augmentation) differently for this worker and each of its devices.

    They are the same in every attempt. Otherwise all devices would drop the same units of their rows.
    """
    keras.utils.set_random_seed(_own_seed(seed, part))
    for variable in model.non_trainable_variables:
        if variable.name == SEED:
            for device, copy in enumerate(framework().copies(variable)):
                own = _own_seed(seed, part, *([device] if device else []))
                state = copy.numpy()
                copy.assign(np.array([(int(state[0]) + own) & 0x7FFFFFFF, state[1]], dtype=state.dtype))


def unsynchronized(model: keras.Model, collective: Collective) -> list[str]:
    """Return a note on layers with synchronized=True, which normalise by the rows of one worker only."""
    names = [layer.name for layer in model._flatten_layers() if getattr(layer, "synchronized", False)]
    if collective.size == 1 or not names:
        return []
    return [
        f"synchronized=True of {', '.join(names)} holds for the devices of one worker: each worker normalises by its own "
        "rows of a step, and the moving statistics are averaged at each epoch's end"
    ]


def _own_seed(*of: int) -> int:
    return int(np.random.SeedSequence(of).generate_state(1, np.uint32)[0]) & 0x7FFFFFFF


class Statistics:
    """Keeps the statistics that training collects without gradients (BatchNormalization's) the same on all workers.

    Each worker collects them over its own rows, each of its devices over its part of every step; at an epoch's end those that
    have changed are set to the mean over the devices and over the workers, weighted by rows. So the model that is validated,
    and saved, is the same everywhere.

    Args:
        model: built, and the same on all workers.
        collective: the workers.
    """

    def __init__(self, model: keras.Model, collective: Collective) -> None:
        self._collective = collective
        self._variables = [v for v in model.non_trainable_variables if keras.backend.is_float_dtype(v.dtype)]
        self.begin()

    def begin(self) -> None:
        """Take the statistics as the same on all workers."""
        self._known = self._digests()

    def average(self, rows: int) -> None:
        """Average the statistics over the workers. Collective. `rows` is this worker's number of rows since the last call."""
        if not self._variables:  # the same on all workers, as the model is
            return
        moved = {index: _value(self._variables[index]) for index in self._moved()}
        contributions = [(weight, values) for weight, values in self._collective.gather((rows, moved)) if weight]
        for index in sorted({index for _, values in contributions for index in values}):
            both = [(weight, values[index]) for weight, values in contributions if index in values]
            mean = np.average([value.astype(np.float64) for _, value in both], axis=0, weights=[w for w, _ in both])
            self._variables[index].assign(mean.astype(both[0][1].dtype))
        self.begin()

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return the statistics that changed since the last average, by number of the variable and of the device, as `0-1`."""
        return {
            f"{index}-{device}": copy.numpy()
            for index in self._moved()
            for device, copy in enumerate(framework().copies(self._variables[index]))
        }

    def load_state_dict(self, state: Mapping[str, np.ndarray]) -> None:
        for name, value in state.items():
            index, device = map(int, name.split("-"))
            restore(framework().copies(self._variables[index])[device], value)
            self._known[index] = None  # counts as changed

    def _moved(self) -> list[int]:
        return [index for index, (old, new) in enumerate(zip(self._known, self._digests())) if old != new]

    def _digests(self) -> list[int | None]:
        return [zlib.crc32(np.ascontiguousarray(_value(variable)).tobytes()) for variable in self._variables]


def _value(variable: keras.Variable) -> np.ndarray:
    """Return the mean over this worker's devices, whose numbers of rows differ by at most one a step."""
    first, *others = (copy.numpy() for copy in framework().copies(variable))
    return np.mean([first, *others], axis=0, dtype=np.float64).astype(first.dtype) if others else first
