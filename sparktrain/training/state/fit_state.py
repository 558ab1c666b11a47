"""Everything of a fit that has state, in the order in which a resumed fit loads it."""

from __future__ import annotations

from collections.abc import Mapping

import keras

from sparktrain.training.batches.dataset import Feeding
from sparktrain.training.callbacks.worker_callbacks import WorkerCallbacks
from sparktrain.training.local_steps import LocalSteps
from sparktrain.training.state.model_variables import SEED
from sparktrain.training.state.stateful import FitState, Kind, Moment, Part, Stateful
from sparktrain.training.state.variable_state import DeviceCopies, LearningRates, ModelVariables
from sparktrain.training.warmup import Warmup

_BEGUN, _BETWEEN, _WITHIN = Moment.TRAINING_BEGUN, Moment.BETWEEN_EPOCHS, Moment.WITHIN_EPOCH


def fit_state(
    model: keras.Model,
    feeding: Feeding,
    warmup: Warmup | None,
    local_steps: LocalSteps | None,
    callbacks: WorkerCallbacks,
    events: Stateful | None,
) -> FitState:
    """Return the state of a fit: the one list that checkpoints are written from and resumed by.

    Args:
        model: compiled and built.
        feeding: this worker's batches.
        warmup: the warm-up of the learning rate, which has read the rate that the model was built with; None for none.
        local_steps: the averaging of weights; None for none.
        callbacks: the callbacks of the fit.
        events: the one of them that writes event files; None for none.
    """

    def part(name: str, of: Stateful | None, kind: Kind, *moments: Moment) -> list[Part]:
        return [] if of is None else [Part(name, of, kind, frozenset(moments))]

    return FitState(
        [
            # First, as all else belongs to a model with these weights.
            *part("variable", ModelVariables(model), Kind.SHARED, Moment.BUILT),
            *part("batches", feeding, Kind.DERIVED, Moment.BUILT),
            *part("warmup", warmup, Kind.DERIVED, Moment.BUILT),
            *part("local_steps", local_steps, Kind.DERIVED, Moment.BUILT),
            # After the batches, whose epoch and step it counts from.
            *part("facts", callbacks, Kind.SHARED, Moment.BUILT),
            # Twice within an epoch, as callbacks reset their state, and set rates, in on_epoch_begin, too.
            *part("callbacks", callbacks.memories, Kind.OWN, _BEGUN, _WITHIN),
            *part("learning_rates", LearningRates(model), Kind.HELD, _BEGUN, _WITHIN),
            # After the callbacks, of which Keras's History has the epochs that it writes again.
            *part("events", events, Kind.DERIVED, _BEGUN),
            # As late as can be, as code of the user's that runs before may draw numbers or evaluate the model.
            *part("seed", DeviceCopies(lambda: _seeds(model)), Kind.OWN, _BETWEEN, _WITHIN),
            # Between epochs metrics are reset, and statistics are the same on all workers.
            *part("metric", DeviceCopies(lambda: _metric_variables(model)), Kind.OWN, _WITHIN),
            *part("statistics", callbacks.statistics, Kind.OWN, _WITHIN),
        ]
    )


def position(feeding: Feeding, epoch: int, step: int) -> Mapping[str, int]:
    """Return the state that all parts of the kind DERIVED load.

    Args:
        feeding: this worker's batches.
        epoch: how many epochs are complete.
        step: how many steps of the next epoch are complete.

    Returns:
        `epoch` and `step`; `steps`: all steps so far; `rows`: this worker's rows of them.
    """
    steps, rows = epoch * feeding.steps + step, feeding.rows_until(epoch, step)
    return {"epoch": epoch, "step": step, "steps": steps, "rows": rows}


def _seeds(model: keras.Model) -> list[keras.Variable]:
    return [each for each in model.non_trainable_variables if each.name == SEED]


def _metric_variables(model: keras.Model) -> list[keras.Variable]:
    """Return the metrics' variables, which exist once the first step was traced."""
    return list({id(each): each for metric in model.metrics for each in metric.variables}.values())
