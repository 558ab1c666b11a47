"""Which metrics keep sums over rows, which may be added up over the workers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from sparktrain.training.devices import copies

_SAME = 1e-3  # relatively; far above what rounding does to a sum of a batch, far below what a maximum or a mean is off


def leaves(model: keras.Model) -> Iterator[keras.metrics.Metric]:
    """The metrics of a model, those of compile() by themselves."""
    for metric in model.metrics:
        # Keras keeps the metrics of compile() in one container that is a metric itself.
        yield from metric.metrics if _of_keras(metric) and hasattr(metric, "metrics") else [metric]


def declares_sums(metric: keras.metrics.Metric) -> bool:
    """Whether a metric's variables are sums by what they say; Keras's default, so one of a user's own says it unasked."""
    return all(variable.aggregation == "sum" for variable in metric.variables)


def has_unproven(model: keras.Model) -> bool:
    """Whether a metric of the user's own, in compile() or on the model, has yet to show that it keeps sums."""
    container = getattr(model, "_compile_metrics", None)
    given = [getattr(container, name, None) for name in ("_user_metrics", "_user_weighted_metrics")]
    every = [*keras.tree.flatten(given), *leaves(model)]
    return any(isinstance(metric, keras.metrics.Metric) and _unproven(metric) for metric in every)


def prove_sums(model: keras.Model, batch: Any) -> list[bool | None]:
    """Evaluate a batch in pieces and see which metrics of the user's own behave as sums over rows.

    A sum is 0 before the first row, that of two pieces is the sum of both, and that of one piece, twice, is twice its own.

    Args:
        model: compiled and built, between epochs; its metrics begin anew.
        batch: what a step of the model takes, of at least one row.

    Returns:
        Of each such metric, in the order of the model's: True, False, or None where the evaluation doesn't touch it.
    """
    rows = len(keras.tree.flatten(batch)[0])
    half = max(1, rows // 2)
    first = keras.tree.map_structure(lambda values: values[:half], batch)
    second = keras.tree.map_structure(lambda values: values[rows - half : rows], batch)
    step = tf.function(lambda piece: tf.distribute.get_strategy().run(model.test_step, args=(piece,)))
    own = [(copy, copy.numpy()) for variable in model.non_trainable_variables for copy in copies(variable)]

    def states(*pieces: Any) -> list[np.ndarray]:
        model.reset_metrics()
        for piece in pieces:
            step(piece)
        return [
            np.concatenate([np.ravel(variable.numpy()).astype(np.float64) for variable in metric.variables] or [np.zeros(0)])
            for metric in leaves(model)
            if _unproven(metric)
        ]

    states(first)  # so that all of them have their variables
    try:
        tried = zip(states(), states(first), states(second), states(first, second), states(first, first), strict=True)
        return [_is_sum(*each) for each in tried]
    finally:
        model.reset_metrics()
        for copy, value in own:  # seeds and statistics are training's
            copy.assign(value)


def unproven(model: keras.Model) -> list[keras.metrics.Metric]:
    """The metrics that `prove_sums` is about, in its order."""
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
