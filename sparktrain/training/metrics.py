"""Computes metrics over all workers' rows, from the states of Keras's metrics.

A metric's state is a sum over rows (an AUC has counts at its thresholds, a mean its total and count). The states are summed
over the workers and the result is read from the sum, so that it is the metric over all rows and not a mean of the workers'
metrics.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from sparktrain.interfaces.collective import Collective
from sparktrain.training.averaging import shadowed
from sparktrain.training.devices import copies, replicas
from sparktrain.training.metric_states import declares_sums, has_unproven, leaves, prove_sums, unproven

_NEAR = 1e-6  # the relative tolerance within which a log counts as its metric's result


class GlobalMetrics:
    """Reads a model's metrics over all workers.

    Args:
        model: the model being trained; its metrics need not be built.
        collective: the workers.

    Attributes:
        averaged: the names of metrics that aren't sums, and so were averaged by rows.
    """

    def __init__(self, model: keras.Model, collective: Collective) -> None:
        self._model = model
        self._collective = collective
        self.averaged: set[str] = set()
        self._no_sums: set[int] = set()  # ids of metrics

    def look_at_states(self, sample: Callable[[], Any]) -> None:
        """Find out which of the users' metrics are sums over rows; the others will be averaged. Collective.

        Args:
            sample: returns a batch of this worker's rows; None if it has none.
        """
        if not has_unproven(self._model):
            return
        batch = sample()
        told = self._collective.gather(None if batch is None else prove_sums(self._model, batch))
        proofs = list(zip(*(each for each in told if each is not None))) or [()] * len(unproven(self._model))
        for metric, verdicts in zip(unproven(self._model), proofs):
            if False in verdicts or True not in verdicts:
                self._no_sums.add(id(metric))

    def state(self) -> list[np.ndarray]:
        """Return this worker's current metric states."""
        return [variable.numpy() for variable in self._variables()]

    def over_workers(self, logs: Mapping[str, float], state: list[np.ndarray], rows: int) -> dict[str, float]:
        """Return logs over all workers' rows. Collective.

        Args:
            logs: Keras's logs on this worker.
            state: this worker's metric states at the time of the logs, from `state`.
            rows: how many rows they are over.

        Returns:
            The values over all workers' rows by the same names, the same on every worker.
        """
        variables = self._variables()
        now = self.state()
        _assign(variables, state)
        own = self.results()
        told = self._collective.gather((rows, dict(logs), own, state))
        summed = [_added(variable, [each[3][i] for each in told]) for i, variable in enumerate(variables)]
        _assign(variables, summed)
        results = self.results()
        _assign(variables, now)
        no_sums = self._results_of_no_sums()
        return {name: self._value(name, told, {} if name in no_sums else results) for name in logs}

    def _value(self, name: str, told: list[tuple[int, dict, dict, list]], results: dict[str, float]) -> float:
        is_result = name in results and all(
            name in own and (replicas() > 1 or np.isclose(logs[name], own[name], rtol=_NEAR, atol=0, equal_nan=True))
            for _, logs, own, _ in told
        )
        if is_result:
            return results[name]
        self.averaged.add(name)
        of = [(rows, logs[name]) for rows, logs, _, _ in told if rows]
        # A custom step's result for a last batch without rows is NaN; if training diverged, all workers have NaN, as they have
        # the same weights.
        known = [(rows, value) for rows, value in of if np.isfinite(value)] or of
        return float(np.average([value for _, value in known], weights=[rows for rows, _ in known]))

    def _variables(self) -> list[keras.Variable]:
        """Return the states that may be summed."""
        every = [v for metric in leaves(self._model) for v in metric.variables if self._summable(metric)]
        return list({id(variable): variable for variable in every}.values())

    def results(self) -> dict[str, float]:
        """Return this worker's current results, by the names of `numbers`."""
        return numbers(self._model.get_metrics_result())

    def _summable(self, metric: keras.metrics.Metric) -> bool:
        return declares_sums(metric) and id(metric) not in self._no_sums

    def _results_of_no_sums(self) -> set[str]:
        """Return the names of results whose metric's state isn't a sum."""
        apart = [metric for metric in leaves(self._model) if not self._summable(metric)]
        told = [self._results_with(apart, value) for value in (0.0, 1.0)]
        return {name for name, value in told[0].items() if told[1][name] != value}

    def _results_with(self, metrics: list[keras.metrics.Metric], value: float) -> dict[str, float]:
        """Return the results, with those of some metrics replaced by a value."""
        with ExitStack() as stack:
            for metric in metrics:
                result = keras.tree.map_structure(lambda each: np.full(np.shape(each), value), metric.result())
                stack.enter_context(shadowed(metric, "result", lambda result=result: result))
            return self.results()


def _added(variable: keras.Variable, values: list[np.ndarray]) -> np.ndarray:
    wide = np.float64 if np.issubdtype(values[0].dtype, np.floating) else np.int64
    return np.sum([value.astype(wide) for value in values], axis=0).astype(values[0].dtype)


def _assign(variables: list[keras.Variable], values: list[np.ndarray]) -> None:
    for variable, value in zip(variables, values):
        first, *others = copies(variable)  # the value is the sum of the copies; TensorFlow would divide it, integers too
        first.assign(value)
        for copy in others:
            copy.assign(np.zeros_like(value))


def number(value: Any) -> float:
    """Return the value of a scalar tensor, a variable (also one that is mirrored over devices) or a number."""
    return float(value) if isinstance(value, (int, float)) else float(_array(value).reshape(()))


def numbers(logs: Mapping[str, Any]) -> dict[str, float]:
    """Return Keras's logs as plain numbers, in the order of their names.

    Nested logs are flattened; an array, such as an F1Score's result by Keras's default, becomes `f1_score_0`, `f1_score_1`
    and so on, one with several axes `name_0_0`.
    """
    plain: dict[str, float] = {}
    for name, value in sorted(logs.items()):
        if isinstance(value, dict):
            plain.update(numbers(value))
        elif isinstance(value, (int, float)) or (array := _array(value)).size == 1:
            plain[name] = number(value)
        else:
            plain.update({"_".join(map(str, (name, *place))): float(each) for place, each in np.ndenumerate(array)})
    return plain


def shaped(logs: Mapping[str, Any], plain: Mapping[str, float]) -> dict[str, Any]:
    """Return numbers in the structure of Keras's logs.

    Args:
        logs: Keras's logs.
        plain: the numbers by the names that `numbers` uses.

    Returns:
        The logs' structure, with NumPy arrays in place of arrays.
    """
    told: dict[str, Any] = {}
    for name, value in logs.items():
        if isinstance(value, dict):
            told[name] = shaped(value, plain)
        elif name in plain:
            told[name] = plain[name]
        else:
            shape = _array(value).shape
            every = [plain["_".join(map(str, (name, *place)))] for place in np.ndindex(shape)]
            told[name] = np.array(every, np.float32).reshape(shape)
    return told


def _array(value: Any) -> np.ndarray:
    return np.asarray(tf.convert_to_tensor(value))


def finite(logs: Mapping[str, Any]) -> bool:
    """Return whether the training loss, if there is one, is finite."""
    return "loss" not in logs or bool(np.isfinite(logs["loss"]))
