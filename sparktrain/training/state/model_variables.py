"""The variables of a model by what a step does to them."""

from __future__ import annotations

import keras

from sparktrain.models.optimizers import optimizer_variables, optimizers_of

SEED = "seed_generator_state"  # Keras's name for the state of a layer's random numbers


def trained_variables(model: keras.Model) -> list[keras.Variable]:
    """Return the variables that a local step changes: trainable weights and the optimizers' floating-point state."""
    optimizers = optimizers_of(model)
    # Learning rates are the same on all workers, and averaging them would only lose precision.
    rates = {id(optimizer.learning_rate) for optimizer in optimizers}
    found = [*model.trainable_variables, *optimizer_variables(model)]
    floats = {id(v): v for v in found if keras.backend.is_float_dtype(v.dtype)}
    return [variable for key, variable in floats.items() if key not in rates]


def kept_of_step(model: keras.Model, every_step: bool) -> list[keras.Variable]:
    """Return the variables that a training step without rows must not change: all that it would change by itself."""
    return state_of(model) if every_step else [*state_of(model), *trained_variables(model)]


def state_of(model: keras.Model) -> list[keras.Variable]:
    """Return the variables that a step changes beside trainable weights: metrics, statistics, seeds."""
    metrics = [variable for metric in model.metrics for variable in metric.variables]
    return list({id(variable): variable for variable in [*model.non_trainable_variables, *metrics]}.values())
