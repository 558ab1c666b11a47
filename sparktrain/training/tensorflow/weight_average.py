"""Averages the weights of all workers' models, compiled into one function."""

from __future__ import annotations

from collections.abc import Callable

import keras
import tensorflow as tf

from sparktrain.interfaces.collective import Collective
from sparktrain.models.optimizers import optimizer_variables
from sparktrain.training.state.model_variables import trained_variables
from sparktrain.training.tensorflow.means import means


def weight_average(model: keras.Model, collective: Collective) -> Callable[[int], None]:
    """See `Framework.weight_average`."""

    @tf.function
    def average(rows: tf.Tensor) -> None:
        variables = trained_variables(model)  # now, as the first step has created all of them
        averaged = means([variable.value for variable in variables], rows, collective)
        for variable, value in zip(variables, averaged):
            variable.assign(value)
        # Integers, such as the steps since the last overflow in half precision, become rank 0's
        counts = [each for each in optimizer_variables(model) if not keras.backend.is_float_dtype(each.dtype)]
        own = [tf.cast(variable.value, tf.float64) for variable in counts]
        for variable, value in zip(counts, means(own, float(collective.rank == 0), collective)):
            variable.assign(tf.cast(tf.round(value), variable.value.dtype))

    return lambda rows: average(tf.constant(rows, tf.float32))
