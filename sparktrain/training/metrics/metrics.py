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

from sparktrain.interfaces.collective import Collective
from sparktrain.training.framework import framework
from sparktrain.training.method_override import shadowed
from sparktrain.training.metrics.log_numbers import numbers
from sparktrain.training.metrics.metric_states import declares_sums, has_unproven, leaves, prove_sums, unproven

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
        by_rank = self._collective.gather(None if batch is None else prove_sums(self._model, batch))
        proofs = list(zip(*(each for each in by_rank if each is not None))) or [()] * len(unproven(self._model))
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
        by_rank = self._collective.gather((rows, dict(logs), own, state))
        summed = [_added(variable, [each[3][i] for each in by_rank]) for i, variable in enumerate(variables)]
        _assign(variables, summed)
        results = self.results()
        _assign(variables, now)
        no_sums = self._results_of_no_sums()
        return {name: self._value(name, by_rank, {} if name in no_sums else results) for name in logs}

    def _value(self, name: str, by_rank: list[tuple[int, dict, dict, list]], results: dict[str, float]) -> float:
        is_result = name in results and all(
            name in own and (framework().replicas() > 1 or np.isclose(logs[name], own[name], rtol=_NEAR, atol=0, equal_nan=True))
            for _, logs, own, _ in by_rank
        )
        if is_result:
            return results[name]
        self.averaged.add(name)
        of = [(rows, logs[name]) for rows, logs, _, _ in by_rank if rows]
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
        no_sums = [metric for metric in leaves(self._model) if not self._summable(metric)]
        results = [self._results_with(no_sums, value) for value in (0.0, 1.0)]
        return {name for name, value in results[0].items() if results[1][name] != value}

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
        # The value is the sum of the copies; TensorFlow would divide it, integers too
        first, *others = framework().copies(variable)
        first.assign(value)
        for copy in others:
            copy.assign(np.zeros_like(value))
