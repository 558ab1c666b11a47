"""Saves and restores the state that differs between workers: random numbers and, within an epoch, metrics and statistics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import keras
import numpy as np
import tensorflow as tf

from sparktrain.training.arrays import restore
from sparktrain.training.averaging import SEED
from sparktrain.training.devices import copies
from sparktrain.training.statistics import Statistics


class OwnState:
    """Saves one worker's own state, by name, and restores it.

    Args:
        model: a built model.
        statistics: the statistics of its batches; None for a single worker with a single device.
    """

    def __init__(self, model: keras.Model, statistics: Statistics | None) -> None:
        self._model, self._statistics = model, statistics

    def taken(self, within_epoch: bool) -> dict[str, np.ndarray]:
        """Return the random number state of each layer and device, by name.

        Args:
            within_epoch: whether to include the metrics and batch statistics so far; between epochs metrics are reset, and
                statistics are the same on all workers. The metrics must be built (see `averaging.create_state`).
        """
        state = {name: copy.numpy() for name, copy in self._variables(within_epoch)}
        if within_epoch and self._statistics is not None:
            for index, values in self._statistics.moved().items():
                state.update({f"statistics-{index}-{device}": value for device, value in enumerate(values)})
        return state

    def bring_back(self, state: Mapping[str, np.ndarray], within_epoch: bool) -> None:
        """Restore a state from `taken`."""
        for name, copy in self._variables(within_epoch):
            restore(copy, state[name])
        moved: dict[int, list[np.ndarray]] = {}
        for name, value in state.items():
            kind, index, *_ = name.split("-")
            if kind == "statistics":
                moved.setdefault(int(index), []).append(value)
        if self._statistics is not None:
            self._statistics.go_on(moved)

    def _variables(self, within_epoch: bool) -> Iterator[tuple[str, tf.Variable]]:
        kinds = {"seed": [each for each in self._model.non_trainable_variables if each.name == SEED]}
        if within_epoch:
            every = {id(each): each for metric in self._model.metrics for each in metric.variables}
            kinds["metric"] = list(every.values())
        for kind, variables in kinds.items():
            for index, variable in enumerate(variables):
                for device, copy in enumerate(copies(variable)):
                    yield f"{kind}-{index}-{device}", copy
