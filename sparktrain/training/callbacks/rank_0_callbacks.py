"""Shares the learning rates that callbacks set which run on rank 0 alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import keras

from sparktrain.interfaces.collective import Collective
from sparktrain.models.errors import TrainingError
from sparktrain.models.optimizers import optimizers_of


class Rank0Callbacks:
    """Gives all workers the learning rates that callbacks on rank 0 set when training, epochs and validations begin and end.

    Args:
        model: the model being trained.
        collective: the workers.
        callbacks: this worker's callbacks; those with `only_rank_0 = True` run on rank 0 alone.
    """

    def __init__(self, model: keras.Model, collective: Collective, callbacks: Sequence[keras.callbacks.Callback]) -> None:
        self._model, self._collective = model, collective
        self._alone = {id(each) for each in callbacks if collective.size > 1 and getattr(each, "only_rank_0", False)}
        self._anywhere: bool | None = None  # whether rank 0 has one; None before the workers have communicated

    def share_rates(self) -> None:
        """Set this worker's learning rates to rank 0's, if callbacks run there alone. Collective."""
        if self._collective.size == 1:
            return
        if self._anywhere is None:
            self._anywhere = any(self._collective.gather(bool(self._alone)))
        if not self._anywhere:
            return
        own = self._rates()
        for rate, value in zip(self._variables(), self._collective.broadcast(own)):
            rate.assign(value)

    @contextmanager
    def within_step(self, callback: keras.callbacks.Callback) -> Iterator[None]:
        """Run a callback's batch hook within a context, and refuse that one on rank 0 alone sets a learning rate there.

        Raises:
            TrainingError: it has set one, which the other workers wouldn't get between steps.
        """
        if id(callback) not in self._alone:
            yield
            return
        before = self._rates()
        yield
        if self._rates() != before:
            raise TrainingError(
                f"training.callbacks: {type(callback).__name__} has only_rank_0 = True and sets the learning rate after a step, "
                "where the other workers' would stay as it was: leave only_rank_0 out, so that it runs on every worker, and let "
                "it write files only where SPARKTRAIN_RANK is 0; or set the rate as an epoch begins or ends"
            )

    def _rates(self) -> list[float]:
        return [float(rate.numpy()) for rate in self._variables()]

    def _variables(self) -> list[keras.Variable]:
        rates = [each.learning_rate for each in optimizers_of(self._model)]  # with a schedule it is no variable
        return list({id(rate): rate for rate in rates if isinstance(rate, keras.Variable)}.values())
