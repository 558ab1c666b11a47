"""The state of variables: those that all workers have alike, those of each worker's devices, and learning rates."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from sparktrain.models.errors import TrainingError
from sparktrain.models.optimizers import optimizer_variables, optimizers_of
from sparktrain.training.arrays import restore, stored
from sparktrain.training.framework import framework


class ModelVariables:
    """The variables of a model and its optimizers: not metrics, which are reset, nor seeds, which differ by worker.

    Args:
        model: compiled and built, with its optimizers.
    """

    def __init__(self, model: keras.Model) -> None:
        self._model = model
        self._arrays: dict[str, np.ndarray] = {}

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return the values by number, until the next call, which reuses their memory."""
        for number, variable in enumerate(self._variables()):
            # Into the last state's memory, as allocating it anew would take longer than copying
            self._arrays[str(number)] = stored(variable.numpy(), into=self._arrays.get(str(number)))
        return dict(self._arrays)

    def load_state_dict(self, state: Mapping[str, np.ndarray]) -> None:
        """Assign values, which may be read from a file one by one.

        Raises:
            TrainingError: they are another model's.
        """
        variables = self._variables()
        if len(state) != len(variables):
            raise TrainingError(f"it holds {len(state)} variables, and the model has {len(variables)}")
        for number, variable in enumerate(variables):
            value = state[str(number)]
            if value.shape != tuple(variable.shape):
                raise TrainingError(
                    f"it holds {variable.path} of shape {list(value.shape)}, and the model's has {list(variable.shape)}"
                )
            restore(variable, value)

    def _variables(self) -> list[keras.Variable]:
        return [*self._model.weights, *optimizer_variables(self._model)]


class DeviceCopies:
    """Variables that differ between workers, and between the devices of one.

    Args:
        variables: returns them.
    """

    def __init__(self, variables: Callable[[], Sequence[keras.Variable]]) -> None:
        self._variables = variables

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return the values by number of the variable and of the device, as `0-1`."""
        return {name: copy.numpy() for name, copy in self._copies()}

    def load_state_dict(self, state: Mapping[str, np.ndarray]) -> None:
        for name, copy in self._copies():
            restore(copy, state[name])

    def _copies(self) -> Iterator[tuple[str, Any]]:
        for index, variable in enumerate(self._variables()):
            for device, copy in enumerate(framework().copies(variable)):
                yield f"{index}-{device}", copy


class LearningRates:
    """The learning rates of a model's optimizers; one that follows a schedule has no state.

    Args:
        model: compiled.
    """

    def __init__(self, model: keras.Model) -> None:
        self._model = model

    def state_dict(self) -> dict[str, float]:
        """Return the rates by the optimizer's number."""
        return {
            str(number): float(optimizer.learning_rate.numpy())
            for number, optimizer in enumerate(optimizers_of(self._model))
            if isinstance(optimizer.learning_rate, keras.Variable)
        }

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        optimizers = list(optimizers_of(self._model))
        for number, rate in state.items():
            optimizers[int(number)].learning_rate = rate
