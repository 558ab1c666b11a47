"""Multiplies the learning rate by the number of workers, with a linear warm-up.

Goyal et al. 2017, "Accurate, Large Minibatch SGD" (arXiv:1706.02677), 2.1 and 2.2: k workers make steps of k times the
rows, so the rate is multiplied by k, rising linearly from the single worker's rate during the warm-up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import keras
import numpy as np

from sparktrain.models.errors import TrainingError


class Warmup:
    """Scales the learning rate of optimizers, as a part of the training step.

    Args:
        optimizers: built optimizers, each with a learning rate that is a plain number.
        size: the number of workers, by which the rate is multiplied in the end.
        steps: steps of the warm-up; 0 to scale at once.

    Raises:
        TrainingError: a learning rate follows a schedule, which can't be scaled from outside.
    """

    def __init__(self, optimizers: Sequence[keras.optimizers.Optimizer], size: int, steps: int) -> None:
        for optimizer in optimizers:
            if not isinstance(optimizer.learning_rate, keras.Variable):
                raise TrainingError(
                    f"training.scale_learning_rate can't scale the learning rate of {type(optimizer).__name__}: it "
                    "follows a schedule. Scale the schedule in the model's builder and leave scale_learning_rate out, "
                    "or give the optimizer a plain number"
                )
        self._size = size
        self._steps = steps
        # Counted on one of several devices
        self._step = keras.Variable(0.0, trainable=False, name="warmup_step", aggregation="only_first_replica")
        # An optimizer and its wrapper (loss scaling) share a rate
        each = {id(optimizer.learning_rate): optimizer for optimizer in optimizers}.values()
        self._rates = [(optimizer, float(optimizer.learning_rate.numpy())) for optimizer in each]

    def step(self) -> None:
        """Set the rate of the step that begins. After the warm-up, the rate is left to the user's callbacks."""
        step = self._step.value
        share = keras.ops.minimum(step / self._steps, 1.0) if self._steps else 1.0
        warm = step > self._steps
        for optimizer, rate in self._rates:
            scaled = rate * (1.0 + (self._size - 1.0) * share)
            optimizer.learning_rate = keras.ops.where(warm, optimizer.learning_rate.value, scaled)
        self._step.assign_add(1.0)

    def state_dict(self) -> dict[str, int]:
        """Return `steps`, how many are made."""
        return {"steps": int(self._step.numpy())}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        self._step.assign(float(state["steps"]))

    def undo(self) -> None:
        """Divide the optimizers' rates by their current scale, after the last step.

        So the saved model has the rate of a single worker, and the next run that loads it doesn't scale it twice. Changes that
        callbacks have made to the rate are kept in proportion.
        """
        # For the step that was set last
        share = min(max(float(self._step.numpy()) - 1.0, 0.0) / self._steps, 1.0) if self._steps else 1.0
        factor = 1.0 + (self._size - 1.0) * share if self._step.numpy() else 1.0
        for optimizer, rate in self._rates:
            now = float(optimizer.learning_rate.numpy())
            # Exactly the original rate if no callback has changed it
            optimizer.learning_rate = rate if np.float32(now) == np.float32(rate * factor) else now / factor

    def note(self) -> str:
        """Return a note on the scaling, for the run's summary."""
        rates = ", ".join(f"{rate:g} to {rate * self._size:g}" for _, rate in self._rates)
        return (
            f"learning rate scaled by {self._size} workers, from {rates} over {self._steps} steps; "
            "the saved model's optimizer has the rate of one worker, so a run that continues from this model scales it again"
        )
