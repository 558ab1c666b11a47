"""Finds the metrics whose state is a sum over rows, so that it may be summed over the workers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from sparktrain.training.framework import framework

_SAME = 1e-3  # relative tolerance: far above a batch sum's rounding errors, far below the difference of a maximum or a mean


def leaves(model: keras.Model) -> Iterator[keras.metrics.Metric]:
    """Yield the metrics of a model, those of compile() separately."""
    for metric in model.metrics:
        # Keras keeps the metrics of compile() in one container that is a metric itself.
        yield from metric.metrics if _of_keras(metric) and hasattr(metric, "metrics") else [metric]


def declares_sums(metric: keras.metrics.Metric) -> bool:
    """Return whether a metric's variables are declared as sums, which is also Keras's default for users' metrics."""
    return all(variable.aggregation == "sum" for variable in metric.variables)


def has_unproven(model: keras.Model) -> bool:
    """Return whether the model has users' metrics, in compile() or as attributes, that are to be tested for being sums."""
    container = getattr(model, "_compile_metrics", None)
    given = [getattr(container, name, None) for name in ("_user_metrics", "_user_weighted_metrics")]
    every = [*keras.tree.flatten(given), *leaves(model)]
    return any(isinstance(metric, keras.metrics.Metric) and _unproven(metric) for metric in every)


def prove_sums(model: keras.Model, batch: Any) -> list[bool | None]:
    """Evaluate a batch in pieces to find out which of the users' metrics are sums over rows.

    A sum is 0 before the first row, that of two pieces is the sum of both, and that of a piece, twice, is twice its own.

    Args:
        model: compiled and built, between epochs; its metrics are reset.
        batch: a batch of the model with at least one row.

    Returns:
        For each such metric, in the model's order: True, False, or None if the evaluation doesn't change it.
    """
    rows = len(keras.tree.flatten(batch)[0])
    half = max(1, rows // 2)
    first = keras.tree.map_structure(lambda values: values[:half], batch)
    second = keras.tree.map_structure(lambda values: values[rows - half : rows], batch)
    step = framework().test_step(model)
    own = [(copy, copy.numpy()) for variable in model.non_trainable_variables for copy in framework().copies(variable)]

    def states(*pieces: Any) -> list[np.ndarray]:
        model.reset_metrics()
        for piece in pieces:
            step(piece)
        return [
            np.concatenate([np.ravel(variable.numpy()).astype(np.float64) for variable in metric.variables] or [np.zeros(0)])
            for metric in leaves(model)
            if _unproven(metric)
        ]

    states(first)  # so that all variables exist
    try:
        tried = zip(states(), states(first), states(second), states(first, second), states(first, first), strict=True)
        return [_is_sum(*each) for each in tried]
    finally:
        model.reset_metrics()
        for copy, value in own:  # restore seeds and statistics
            copy.assign(value)


def unproven(model: keras.Model) -> list[keras.metrics.Metric]:
    """Return the metrics that `prove_sums` tests, in its order."""
    return [metric for metric in leaves(model) if _unproven(metric)]


def _is_sum(none: np.ndarray, one: np.ndarray, other: np.ndarray, both: np.ndarray, twice: np.ndarray) -> bool | None:
    if none.any():
        return False
    if not both.any():
        return None
    scale = _SAME * (np.abs(one) + np.abs(other)) + np.finfo(np.float32).tiny
    return bool(np.all(np.abs(both - (one + other)) <= scale) and np.all(np.abs(twice - 2 * one) <= scale))


def _unproven(metric: keras.metrics.Metric) -> bool:
    return not _of_keras(metric) and declares_sums(metric)


def _of_keras(metric: keras.metrics.Metric) -> bool:
    return type(metric).__module__.startswith("keras.")
