"""Sets the learning rate that a job asks for."""

from __future__ import annotations

import keras

from sparktrain.models.errors import TrainingError
from sparktrain.models.optimizers import optimizers_of


def set_learning_rate(model: keras.Model, rate: float) -> None:
    """Set the learning rate of all optimizers of a model.

    Raises:
        TrainingError: the model has no optimizer, or one whose learning rate follows a schedule.
    """
    optimizers = optimizers_of(model)
    if not optimizers:
        raise TrainingError(f"training.learning_rate: {rate:g} came, and the model has no optimizer. Remove it")
    for optimizer in optimizers:
        if not isinstance(optimizer.learning_rate, keras.Variable):
            raise TrainingError(
                f"training.learning_rate can't set the learning rate of {type(optimizer).__name__}: it follows a schedule. Give the "
                "optimizer a plain number, or set the schedule in the model's builder and leave learning_rate out"
            )
        optimizer.learning_rate = rate
