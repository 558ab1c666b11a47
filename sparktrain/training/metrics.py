"""Metrics over all workers' rows, from the states that Keras's metrics keep.

A metric's state is a sum over rows (an AUC keeps counts at its thresholds, a mean its total and count). The states are
added up over the workers and the result is read from the sum, so it is the metric of all rows and not a mean of the
workers' metrics.
"""

from __future__ import annotations

from typing import Any, Iterator, Mapping

import keras
import numpy as np
import tensorflow as tf

from sparktrain.interfaces.collective import Collective
from sparktrain.training.devices import copies, replicas

_NEAR = 1e-6   # a log this near, relatively, to its metric's result is that result


class GlobalMetrics:
    """Reads a model's metrics over all workers.

    Args:
        model: the one being trained; its metrics may still be unbuilt.
        collective: the workers.
    """

    def __init__(self, model: keras.Model, collective: Collective) -> None:
        self._model = model
        self._collective = collective
        self.averaged: set[str] = set()   # names that could only be averaged by rows

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
        return {name: self._value(name, told, results) for name in logs}

    def _value(self, name: str, told: list[tuple[int, dict, dict, list]], results: dict[str, float]) -> float:
        is_result = all(
            name in own and (replicas() > 1 or np.isclose(logs[name], own[name], rtol=_NEAR, atol=0, equal_nan=True))
            for _, logs, own, _ in told
        )
        if is_result and name not in self._unsummable():
            return results[name]
        self.averaged.add(name)
        of = [(rows, logs[name]) for rows, logs, _, _ in told if rows]
        # What a step of the user's own told of a last batch without rows is no number; one that training lost is none
        # on any worker, as all have the same weights.
        known = [(rows, value) for rows, value in of if np.isfinite(value)] or of
        return float(np.average([value for _, value in known], weights=[rows for rows, _ in known]))

    def _variables(self) -> list[keras.Variable]:
        """The states that may be added up."""
        every = [v for metric in _leaves(self._model) for v in metric.variables if _summable(metric)]
        return list({id(variable): variable for variable in every}.values())

    def results(self) -> dict[str, float]:
        """This worker's single-number results, as they are now."""
        return {name: number(value) for name, value in self._model.get_metrics_result().items() if np.ndim(value) == 0}

    def _unsummable(self) -> set[str]:
        """The names of results whose metric keeps something else than sums."""
        marks = {}
        for metric in _leaves(self._model):
            if not _summable(metric):
                metric.__dict__["result"] = lambda: None
                marks[id(metric)] = metric
        try:
            return {name for name, value in self._model.get_metrics_result().items() if value is None}
        finally:
            for metric in marks.values():
                del metric.__dict__["result"]


def _leaves(model: keras.Model) -> Iterator[keras.metrics.Metric]:
    for metric in model.metrics:
        # Keras keeps the metrics of compile() in one container that is a metric itself.
        inner = getattr(metric, "metrics", None)
        yield from inner if inner else [metric]


def _summable(metric: keras.metrics.Metric) -> bool:
    return all(variable.aggregation == "sum" for variable in metric.variables)


def _added(variable: keras.Variable, values: list[np.ndarray]) -> np.ndarray:
    wide = np.float64 if np.issubdtype(values[0].dtype, np.floating) else np.int64
    return np.sum([value.astype(wide) for value in values], axis=0).astype(values[0].dtype)


def _assign(variables: list[keras.Variable], values: list[np.ndarray]) -> None:
    for variable, value in zip(variables, values):
        first, *others = copies(variable)   # of which it is the sum; TensorFlow would divide, integers too
        first.assign(value)
        for copy in others:
            copy.assign(np.zeros_like(value))


def number(value: Any) -> float:
    """Of a tensor, a variable (one that several devices share, too) or a plain number."""
    return float(value) if isinstance(value, (int, float)) else float(tf.convert_to_tensor(value))


def finite(logs: Mapping[str, Any]) -> bool:
    """Whether the training loss, if there is one, is a number."""
    return "loss" not in logs or bool(np.isfinite(logs["loss"]))
