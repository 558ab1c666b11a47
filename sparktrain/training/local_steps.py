"""Local steps: each worker trains by itself for a while, then all continue from the mean of their weights.

The mean is weighted by the rows that each worker has trained on since the last one: w = (sum of n_i w_i) / (sum of n_i). The
optimizer's floating-point state (momentum, second moments) is averaged, too, which keeps the linear speed-up of local SGD
with momentum (Yu, Jin and Yang, 2019, arXiv:1905.03817), and makes all workers the same after it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import keras

from sparktrain.interfaces.collective import Collective
from sparktrain.training.framework import framework


class LocalSteps:
    """Averages the workers' weights after every `every` steps, and at every epoch's end.

    Args:
        model: compiled and built, and the same on all workers.
        collective: the workers.
        every: steps between two averages; None to average only at an epoch's end.
        steps: steps of an epoch.
    """

    def __init__(self, model: keras.Model, collective: Collective, every: int | None, steps: int) -> None:
        self._every = min(every or steps, steps)
        self._steps = steps
        self._averaged_at = 0  # rows that this worker had trained on
        # Keras calls callbacks only between executions.
        model.steps_per_execution = math.gcd(model.steps_per_execution, self._every)
        self._average = framework().weight_average(model, collective)

    def due(self, step: int) -> bool:
        """Return whether the workers average after a step of an epoch, counted from 1."""
        return step % self._every == 0 or step == self._steps

    def average(self, rows: int) -> None:
        """Average the workers' weights. Collective. `rows` is how many rows this worker has trained on so far."""
        self._average(rows - self._averaged_at)
        self._averaged_at = rows

    def state_dict(self) -> dict[str, int]:
        """Return `rows`, how many of this worker's rows are averaged into all workers' weights already."""
        return {"rows": self._averaged_at}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        self._averaged_at = state["rows"]
