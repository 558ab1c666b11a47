"""Small functions of TensorFlow's tensors and compiled steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from sparktrain.training.tensorflow.devices import copies


def zeros(shape: tuple[int, ...], dtype: str) -> tf.Tensor:
    """See `Framework.zeros`."""
    return tf.zeros(shape, dtype)


def fingerprint(variable: keras.Variable) -> bytes:
    """See `Framework.fingerprint`."""
    return tf.fingerprint(tf.reshape(tf.convert_to_tensor(copies(variable)[0]), [1, -1])).numpy().tobytes()


def test_step(model: keras.Model) -> Callable[[Any], Any]:
    """See `Framework.test_step`."""
    return tf.function(lambda batch: tf.distribute.get_strategy().run(model.test_step, args=(batch,)))
