"""Counts the rows of a model's steps while they run."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import keras
import tensorflow as tf

from sparktrain.training.method_override import shadowed
from sparktrain.training.tensorflow.averaging import rows_of


class RowCounts:
    """A context manager that counts the rows of a model's training and test steps.

    Args:
        model: the model.
    """

    def __init__(self, model: keras.Model) -> None:
        self._model = model
        self._training, self._test, self._last = (
            tf.Variable(0, dtype=tf.int64, trainable=False, name=name) for name in ("trained", "tested", "last")
        )
        own_step, own_test_step = model.train_step, model.test_step

        def train_step(data: Any) -> Any:
            rows = tf.cast(rows_of(data), tf.int64)
            self._last.assign(rows)
            self._training.assign_add(rows)
            return own_step(data)

        def test_step(data: Any) -> Any:
            self._test.assign_add(tf.cast(rows_of(data), tf.int64))
            return own_test_step(data)

        self._shadows = {"train_step": train_step, "test_step": test_step}

    def __enter__(self) -> RowCounts:
        self._open = ExitStack()
        for name, function in self._shadows.items():
            self._open.enter_context(shadowed(self._model, name, function))
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    @property
    def training(self) -> int:
        """Rows of all training steps so far."""
        return int(self._training.numpy())

    @property
    def test(self) -> int:
        """Rows of all test steps so far."""
        return int(self._test.numpy())

    @property
    def last(self) -> int:
        """Rows of the last training step."""
        return int(self._last.numpy())
