"""Metrics over all workers' rows, from the states that Keras's metrics keep.

A metric's state is a sum over rows (an AUC keeps counts at its thresholds, a mean its total and count). The states are
added up over the workers and the result is read from the sum, so it is the metric of all rows and not a mean of the
workers' metrics.
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

_NEAR = 1e-6  # a log this near, relatively, to its metric's result is that result


class GlobalMetrics:
    """Reads a model's metrics over all workers.

    Args:
        model: the one being trained; its metrics may still be unbuilt.
        collective: the workers.
    """

    def __init__(self, model: keras.Model, collective: Collective) -> None:
        self._model = model
        self._collective = collective
        self.averaged: set[str] = set()  # names that could only be averaged by rows
        self._no_sums: set[int] = set()  # ids of metrics

    def look_at_states(self, sample: Callable[[], Any]) -> None:
        """Find out which metrics of the user's own keep sums over rows; the others are averaged. Collective.

        Args:
            sample: gives some of this worker's rows as a step takes them, None where it has none.
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
        """This worker's metric states, as they are now."""
        return [variable.numpy() for variable in self._variables()]

    def over_workers(self, logs: Mapping[str, float], state: list[np.ndarray], rows: int) -> dict[str, float]:
        """Turn this worker's logs into those of all workers. Collective.

        Args:
            logs: what Keras logged on this worker.
            state: this worker's metric states at that moment, from `state`.
            rows: how many rows they are of.

        Returns:
            The same names with the values over all workers' rows, the same on every worker.
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
        # What a step of the user's own told of a last batch without rows is no number; one that training lost is none
        # on any worker, as all have the same weights.
        known = [(rows, value) for rows, value in of if np.isfinite(value)] or of
        return float(np.average([value for _, value in known], weights=[rows for rows, _ in known]))

    def _variables(self) -> list[keras.Variable]:
        """The states that may be added up."""
        every = [v for metric in leaves(self._model) for v in metric.variables if self._summable(metric)]
        return list({id(variable): variable for variable in every}.values())

    def results(self) -> dict[str, float]:
        """This worker's results, as they are now, under the names of `numbers`."""
        return numbers(self._model.get_metrics_result())

    def _summable(self, metric: keras.metrics.Metric) -> bool:
        return declares_sums(metric) and id(metric) not in self._no_sums

    def _results_of_no_sums(self) -> set[str]:
        """The names of results whose metric keeps something else than sums: they are what is told of it, whatever that be."""
        apart = [metric for metric in leaves(self._model) if not self._summable(metric)]
        told = [self._results_with(apart, value) for value in (0.0, 1.0)]
        return {name for name, value in told[0].items() if told[1][name] != value}

    def _results_with(self, metrics: list[keras.metrics.Metric], value: float) -> dict[str, float]:
        """The results, if those of some metrics were a value."""
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
        first, *others = copies(variable)  # of which it is the sum; TensorFlow would divide, integers too
        first.assign(value)
        for copy in others:
            copy.assign(np.zeros_like(value))


def number(value: Any) -> float:
    """Of a tensor, a variable (one that several devices share, too) or a plain number."""
    return float(value) if isinstance(value, (int, float)) else float(_array(value).reshape(()))


def numbers(logs: Mapping[str, Any]) -> dict[str, float]:
    """Keras's logs as plain numbers, in the order of their names.

    Nested ones are flattened; what is a number for each class, as an F1Score's result by Keras's default, becomes
    `f1_score_0`, `f1_score_1` and so on, numbers of several axes `name_0_0`.
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
    """Put numbers where they stand in Keras's logs.

    Args:
        logs: Keras's.
        plain: by the names that `numbers` gives what is in them.

    Returns:
        As the logs are, with NumPy arrays where those have arrays.
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
    """Whether the training loss, if there is one, is a number."""
    return "loss" not in logs or bool(np.isfinite(logs["loss"]))
