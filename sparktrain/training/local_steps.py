"""Local steps: each worker trains by itself for a while, then all continue from the mean of their weights.

The mean is weighted by the rows that each worker has trained on since the last one: w = (sum of n_i w_i) / (sum of n_i). The
optimizer's floating-point state (momentum, second moments) is averaged, too, which keeps the linear speed-up of local SGD
with momentum (Yu, Jin and Yang, 2019, arXiv:1905.03817), and makes all workers the same after it.
"""

from __future__ import annotations

import math

import keras
import tensorflow as tf

from sparktrain.interfaces.collective import Collective
from sparktrain.models.optimizers import optimizer_variables
from sparktrain.training.averaging import trained_variables
from sparktrain.training.means import means


class LocalSteps:
    """Averages the workers' weights after every `every` steps, and at every epoch's end.

    Args:
        model: compiled and built, and the same on all workers.
        collective: the workers.
        every: steps between two averages; None to average only at an epoch's end.
        steps: steps of an epoch.
    """

    def __init__(self, model: keras.Model, collective: Collective, every: int | None, steps: int) -> None:
        self._collective = collective
        self._every = min(every or steps, steps)
        self._steps = steps
        self._model = model
        self._averaged_at = 0  # rows that this worker had trained on
        # Keras calls callbacks only between executions.
        model.steps_per_execution = math.gcd(model.steps_per_execution, self._every)
        self._average = tf.function(self._average_in_graph)

    def due(self, step: int) -> bool:
        """Return whether the workers average after a step of an epoch, counted from 1."""
        return step % self._every == 0 or step == self._steps

    def average(self, rows: int) -> None:
        """Average the workers' weights. Collective. `rows` is how many rows this worker has trained on so far."""
        self._average(tf.constant(rows - self._averaged_at, tf.float32))
        self._averaged_at = rows

    def skip(self, rows: int) -> None:
        """Resume after `rows` rows of this worker's, which are averaged into all workers' weights already."""
        self._averaged_at = rows

    def _average_in_graph(self, rows: tf.Tensor) -> None:
        variables = trained_variables(self._model)  # now, as the first step has created all of them
        averaged = means([variable.value for variable in variables], rows, self._collective)
        for variable, value in zip(variables, averaged):
            variable.assign(value)
        # Integers, such as the steps since the last overflow in half precision, become rank 0's
        counts = [each for each in optimizer_variables(self._model) if not keras.backend.is_float_dtype(each.dtype)]
        own = [tf.cast(variable.value, tf.float64) for variable in counts]
        for variable, value in zip(counts, means(own, float(self._collective.rank == 0), self._collective)):
            variable.assign(tf.cast(tf.round(value), variable.value.dtype))
