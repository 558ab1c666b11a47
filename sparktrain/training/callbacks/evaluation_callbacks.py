"""Runs callbacks in an evaluation of many workers: all see the metrics over all rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import keras

from sparktrain.training.framework import RowCounter
from sparktrain.training.metrics.log_numbers import numbers, shaped
from sparktrain.training.metrics.metrics import GlobalMetrics

_SIGN_SECONDS = 1.0  # between two signs of progress


class EvaluationCallbacks(keras.callbacks.CallbackList):
    """Keras's list of callbacks, which see an evaluation's logs over all workers' rows.

    Args:
        callbacks: the callbacks.
        model: the model that is evaluated.
        metrics: reads the model's metrics over all workers.
        counts: the counts of rows of the model's steps.
        sign: called once a second while batches are evaluated.
    """

    def __init__(
        self,
        callbacks: Sequence[keras.callbacks.Callback],
        model: keras.Model,
        metrics: GlobalMetrics,
        counts: RowCounter,
        sign: Callable[[], None],
    ) -> None:
        super().__init__(callbacks, model=model, verbose=0, epochs=1, steps=None)
        self._metrics, self._counts, self._sign = metrics, counts, sign

    def on_test_begin(self, logs: Any = None) -> None:
        self._first, self._next_sign = self._counts.test, time.monotonic() + _SIGN_SECONDS
        super().on_test_begin(logs)

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        super().on_test_batch_end(batch, logs)
        if time.monotonic() >= self._next_sign:  # a long evaluation is no stall
            self._next_sign = time.monotonic() + _SIGN_SECONDS
            self._sign()

    def on_test_end(self, logs: dict[str, Any]) -> None:
        state, rows = self._metrics.state(), self._counts.test - self._first
        logs.update(shaped(logs, self._metrics.over_workers(numbers(logs), state, rows)))  # Keras returns this very dictionary
        super().on_test_end(logs)
