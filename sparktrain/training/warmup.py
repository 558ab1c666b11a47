"""The learning rate times the number of workers, reached linearly.

Goyal et al. 2017, "Accurate, Large Minibatch SGD" (arXiv:1706.02677), 2.1 and 2.2: k workers make steps of k times the
rows, so the rate is multiplied by k, growing from the single worker's rate in equal amounts at every step of the
warm-up.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from sparktrain.models.errors import TrainingError


class Warmup:
    """Scales the learning rate of the given optimizers, inside the training step's graph.

    Args:
        optimizers: built; each with a learning rate that is a plain number.
        size: how many workers there are: what the rate is multiplied by in the end.
        steps: of the warm-up; 0 scales at once.

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
        # Of several devices one counts
        once = tf.VariableAggregation.ONLY_FIRST_REPLICA
        self._step = tf.Variable(0.0, trainable=False, name="warmup_step", aggregation=once)
        # Two optimizers, one in the other (loss scaling), have one rate
        each = {id(optimizer.learning_rate): optimizer for optimizer in optimizers}.values()
        self._rates = [(optimizer, float(optimizer.learning_rate.numpy())) for optimizer in each]

    def step(self) -> None:
        """Set the rate of the step that begins. Once warm, the rate is left to the user's callbacks."""
        share = tf.minimum(self._step / self._steps, 1.0) if self._steps else tf.constant(1.0)
        warm = self._step > self._steps
        for optimizer, rate in self._rates:
            scaled = rate * (1.0 + (self._size - 1.0) * share)
            optimizer.learning_rate = tf.where(warm, optimizer.learning_rate.value, scaled)
        self._step.assign_add(1.0)

    def skip(self, steps: int) -> None:
        """Go on as after so many steps."""
        self._step.assign(float(steps))

    def undo(self) -> None:
        """Give the optimizers the rate of a single worker again, after the last step.

        So the model that is saved goes on by itself as it would have without the other workers, and is scaled to as many as
        there are, and not once more, by the next run that loads it. What callbacks have made of the rate stays, as a share.
        """
        # The step that was set up last
        share = min(max(float(self._step.numpy()) - 1.0, 0.0) / self._steps, 1.0) if self._steps else 1.0
        factor = 1.0 + (self._size - 1.0) * share if self._step.numpy() else 1.0
        for optimizer, rate in self._rates:
            now = float(optimizer.learning_rate.numpy())
            # To the bit where nobody has changed it
            optimizer.learning_rate = rate if np.float32(now) == np.float32(rate * factor) else now / factor

    def note(self) -> str:
        """What was done, for the run's summary."""
        rates = ", ".join(f"{rate:g} to {rate * self._size:g}" for _, rate in self._rates)
        return (
            f"learning rate scaled by {self._size} workers, from {rates} over {self._steps} steps; "
            "the saved model's optimizer has the rate of one worker, so a run that goes on with it scales it anew"
        )
