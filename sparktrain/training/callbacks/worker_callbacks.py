"""Runs callbacks in a fit of many workers: all see the metrics over all rows, and all workers stop together."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import keras

from sparktrain.interfaces.collective import Collective
from sparktrain.interfaces.messages import EpochEnd, Message, Progress
from sparktrain.models.errors import TrainingError
from sparktrain.training.callbacks.callback_memory import CallbackMemories
from sparktrain.training.callbacks.rank_0_callbacks import Rank0Callbacks
from sparktrain.training.callbacks.stop_request import StopRequest, first_reason
from sparktrain.training.callbacks.time_limit import TimeLimit
from sparktrain.training.framework import framework
from sparktrain.training.local_steps import LocalSteps
from sparktrain.training.metrics.counted_batches import CountedBatches
from sparktrain.training.metrics.log_numbers import finite, numbers
from sparktrain.training.metrics.metrics import GlobalMetrics
from sparktrain.training.metrics.statistics import Statistics
from sparktrain.training.state.checkpoints import Checkpoints
from sparktrain.training.state.consistency import Consistency
from sparktrain.training.state.stateful import Moment

_PROGRESS_SECONDS = 0.25
_BATCH_HOOKS = {
    "on_train_batch_begin": "on_batch_begin",
    "on_train_batch_end": "on_batch_end",
    "on_test_batch_begin": None,
    "on_test_batch_end": None,
}


class WorkerCallbacks(keras.callbacks.CallbackList):
    """Keras's list of callbacks, with communication between the workers before and after the callbacks run.

    Callbacks see an epoch's logs over all workers' rows; after they have run, a stop that any worker's callback asked for
    applies to all. A stop within an epoch takes effect at its end, as the other workers' next step waits for this one.
    At batches only callbacks with batch hooks are called: Keras would read the logs of every step for none.

    Args:
        callbacks: the callbacks.
        model: the model being trained.
        collective: the workers.
        feeding: this worker's batches.
        report: called with progress (a few times a second at most) and the ends of epochs.
        epochs: the number of epochs to train.
        local_steps: averages the workers' weights; None if gradients are averaged at every step.
        time_limit: the time limit; None for none.
        stop_request: whether the driver has asked for the end of training, as this worker knows it.

    Attributes:
        metrics: reads the model's metrics over all workers.
        consistency: compares the workers' models.
        memories: the callbacks' state.
        statistics: the statistics of the model's batches; None for a single worker with a single device.
        checkpoints: writes checkpoints after and within epochs, and has the state that training resumes from; None for none.
        epochs_done: how many epochs are complete.
        ended: whether no further epoch is to be trained.
        stopped_early: whether training ended before its last epoch.
        stop_note: a note for the user if the driver's request ended the training; else None.
    """

    def __init__(
        self,
        callbacks: list[keras.callbacks.Callback],
        *,
        model: keras.Model,
        collective: Collective,
        feeding: CountedBatches,
        report: Callable[[Message], None],
        epochs: int,
        local_steps: LocalSteps | None,
        time_limit: TimeLimit | None = None,
        stop_request: StopRequest | None = None,
    ) -> None:
        super().__init__(callbacks, add_history=True, model=model, verbose=0, epochs=epochs, steps=feeding.steps)
        self.checkpoints: Checkpoints | None = None
        self.metrics = GlobalMetrics(model, collective)
        self.consistency = Consistency(model, collective)
        self._of_rank_0 = Rank0Callbacks(model, collective, self.callbacks)
        self._collective = collective
        self._feeding = feeding
        self._report = report
        self._epochs = epochs
        self._local_steps = local_steps
        # The results of a custom training step are those of one device of one worker
        self._partial = collective.size > 1 or framework().replicas() > 1
        self.statistics = Statistics(model, collective) if self._partial else None
        self.memories = CallbackMemories(self.callbacks)
        self._listeners = {hook: [c for c in self.callbacks if _listens(c, hook)] for hook in _BATCH_HOOKS}
        self._time_limit = time_limit
        self._stop_request = stop_request or StopRequest()
        self.stop_note: str | None = None
        self._epoch = self._step = self.epochs_done = 0
        self._begun = False
        self._kept_at = 0  # the step of this epoch that the last checkpoint was written at
        self._train_state: list[Any] | None = None
        self._train_results: dict[str, float] = {}
        self._numbers: dict[str, float] = {}  # the logs last reported
        self._stop_asked = self._stopped = False
        self._began = self._next_progress = 0.0
        self._epoch_seconds = 0.0
        self.ended, self.stopped_early = epochs <= 0, False

    def state_dict(self) -> dict[str, Any]:
        """Return `stopped`: whether a callback has asked for a stop; `averaged`: the names of metrics that are no sums; and
        `epoch_seconds`: how long the last epoch took."""
        return {"stopped": self._stopped, "averaged": sorted(self.metrics.averaged), "epoch_seconds": self._epoch_seconds}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore a state, at the epoch and the step that the batches begin with."""
        self._epoch, self._step = self._feeding.epoch, self._feeding.begin
        self.epochs_done = self._epoch
        self._stopped, self._epoch_seconds = state["stopped"], state["epoch_seconds"]
        self.metrics.averaged = set(state["averaged"])
        if self._stopped or self.epochs_done >= self._epochs:  # the callback that asked for the stop isn't called again
            self._end(early=self.epochs_done < self._epochs)

    def _load(self, moment: Moment) -> None:
        if self.checkpoints is not None:
            self.checkpoints.state.load(moment)

    def _end(self, early: bool) -> None:
        self.ended, self.stopped_early = True, early

    def look_at_limits(self) -> None:
        """End a training that resumes between epochs if the time limit allows no further epoch, or the driver asks for the end.

        Collective.
        """
        if self.ended or not self.epochs_done:  # a training that begins makes one epoch at least
            return
        late = self._time_limit is not None and self._epoch_seconds > 0 and self._out_of_time()
        told = self._collective.gather((late, self._stop_request.reason))
        asked = self._note_stop([reason for _, reason in told])
        if asked or any(late for late, _ in told):
            self._end(early=True)

    def _note_stop(self, told: list[str | None]) -> bool:
        """Return whether any worker was asked for the end of training, and note the reason if epochs are left."""
        reason = first_reason(told)
        if reason is not None and self.epochs_done < self._epochs:
            self.stop_note = f"stopped after epoch {self.epochs_done} of {self._epochs}: {reason}"
        return reason is not None

    def _out_of_time(self) -> bool:
        return self._time_limit is not None and self._time_limit.over(self.epochs_done, self._epochs, self._epoch_seconds)

    @property
    def rows(self) -> int:
        """The number of rows trained on so far."""
        return self._feeding.rows_until(self._epoch, self._step)

    @property
    def steps(self) -> int:
        """The number of steps made so far."""
        return self._epoch * self._feeding.steps + self._step

    def on_train_begin(self, logs: Any = None) -> None:
        if self._begun:  # the rest of an interrupted epoch was a separate fit
            return
        self._begun = True
        super().on_train_begin(logs)
        self.memories.begin()
        if self.statistics is not None:
            self.statistics.begin()
            self.metrics.look_at_states(self._feeding.sample)
        self._load(Moment.TRAINING_BEGUN)
        if self.ended:  # no further epoch will begin
            self._load(Moment.BETWEEN_EPOCHS)
        self._of_rank_0.share_rates()
        self.consistency.compare("before the first step")

    def on_train_end(self, logs: Any = None) -> None:
        if self.ended:
            super().on_train_end(logs)
            self.consistency.compare("at the end of training")

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._epoch, self._step = epoch, self._feeding.begin
        self._kept_at = self._step
        self._feeding.epoch = epoch
        self._began = time.monotonic()
        self._train_state = None
        self._train_results = {}
        if not self._step:
            self._load(Moment.BETWEEN_EPOCHS)
        super().on_epoch_begin(epoch, logs)
        if self._step:
            self._load(Moment.WITHIN_EPOCH)
        self._of_rank_0.share_rates()

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        for callback in self._listeners["on_train_batch_begin"]:
            with self._of_rank_0.within_step(callback):
                callback.on_train_batch_begin(self._feeding.begin + batch, logs=None)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        batch += self._feeding.begin
        self._end_step(batch, logs)
        averaged = self._local_steps is None or self._local_steps.due(self._step)
        if (
            averaged
            and self._step < self._feeding.steps
            and self.checkpoints is not None
            and self.checkpoints.due(self._step, self._kept_at)
        ):
            self._kept_at = self._step
            self._keep(self._step)

    def _end_step(self, batch: int, logs: Any) -> None:
        self._step = min(batch + 1, self._feeding.steps)
        if self._local_steps is not None and self._local_steps.due(self._step):
            self._local_steps.average(self.rows)
        now = time.monotonic()
        listeners = self._listeners["on_train_batch_end"]
        if now < self._next_progress and not listeners:
            return
        plain = numbers(logs or {})
        for callback in listeners:
            with self._of_rank_0.within_step(callback):
                callback.on_train_batch_end(batch, logs=plain)
        if self.model.stop_training and self._collective.size > 1:
            self._stop_asked = True
            self.model.stop_training = False
        if now >= self._next_progress:
            if self._feeding.rows_of(self._step):
                self._check(plain, f"by step {self._step}")
            self._numbers = plain
            self._tell(now)

    def on_test_begin(self, logs: Any = None) -> None:
        self._check_steps()
        # Keras resets the metrics for the validation before it ends the epoch.
        self._train_results = self.metrics.results()
        if self.statistics is not None:
            self._train_state = self.metrics.state()
            self.statistics.average(self._feeding.epoch_rows)
        super().on_test_begin(logs)

    def on_test_batch_begin(self, batch: int, logs: Any = None) -> None:
        for callback in self._listeners["on_test_batch_begin"]:
            callback.on_test_batch_begin(batch, logs=None)

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        for callback in self._listeners["on_test_batch_end"]:
            callback.on_test_batch_end(batch, logs=numbers(logs or {}))
        now = time.monotonic()
        if now >= self._next_progress:
            self._tell(now)  # a long validation is no stall

    def _tell(self, now: float) -> None:
        self._next_progress = now + _PROGRESS_SECONDS
        self._report(Progress(self._epoch + 1, self._epochs, self._step, self._feeding.steps, self.rows, self._numbers))

    def on_test_end(self, logs: dict[str, Any]) -> None:
        own = numbers(logs)
        if self._partial:
            own = self.metrics.over_workers(own, self.metrics.state(), self._feeding.validation_rows)
        _replace(logs, own)
        super().on_test_end(logs)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
        self._check_steps()
        # Keras continues with this dictionary, so changes in it are seen by all callbacks. A metric whose result is its own
        # variable has the validation's value by now.
        plain = numbers(logs)
        variables = numbers({name: value for name, value in logs.items() if isinstance(value, keras.Variable)})
        _replace(logs, plain | {name: self._train_results.get(name, value) for name, value in variables.items()})
        if self.statistics is not None:
            if self._train_state is None:
                self.statistics.average(self._feeding.epoch_rows)
            state = self.metrics.state() if self._train_state is None else self._train_state
            own = {name: value for name, value in logs.items() if not name.startswith("val_")}
            logs.update(self.metrics.over_workers(own, state, self._feeding.epoch_rows))
        self._check(logs, "at its end")
        super().on_epoch_end(epoch, logs)
        self._of_rank_0.share_rates()
        self.epochs_done = epoch + 1
        self._epoch_seconds = time.monotonic() - self._began
        own_stop = bool(self.model.stop_training or self._stop_asked)
        reason = self._stop_request.reason
        ends = own_stop or reason is not None or self.epochs_done == self._epochs
        late = self._time_limit is not None and not ends and self._out_of_time()
        told = self._collective.gather((own_stop, late, reason, self.consistency.digest()))
        own_stops, lates, reasons, digests = map(list, zip(*told, strict=True))
        self.consistency.hold(digests, f"after epoch {epoch + 1}")
        # What the driver asks for isn't in the state: a run that is resumed later goes on
        self._stopped = any(own_stops)
        asked = not self._stopped and self._note_stop(reasons)
        self.model.stop_training = self._stopped or asked or any(lates)
        if self.model.stop_training or self.epochs_done == self._epochs:
            self._end(early=self.epochs_done < self._epochs)
        self._report(EpochEnd(epoch + 1, self._epoch_seconds, dict(logs)))
        self._keep(0)

    def _keep(self, step: int) -> None:
        if self.checkpoints is not None:
            self.checkpoints.save(self._epoch if step else self.epochs_done, step)

    def _check_steps(self) -> None:
        """Raise TrainingError if an epoch had too few steps: the other workers wait for this one in the next step."""
        if self._collective.size > 1 and self._step < self._feeding.steps:
            raise TrainingError(
                f"this worker's data ended after {self._step} of {self._feeding.steps} steps of epoch {self._epoch + 1}, and all workers "
                "have to make the same number: set steps_per_epoch so that the data of every worker has enough batches, or let "
                "it repeat (.repeat())"
            )

    def _check(self, logs: dict[str, Any], where: str) -> None:
        if not finite(logs):
            raise TrainingError(
                f"the loss became {logs['loss']} in epoch {self._epoch + 1}, seen {where}: a smaller learning rate, "
                "clipping (the optimizer's clipnorm) or inputs of a smaller scale most often help"
            )


def _replace(logs: dict[str, Any], by: Mapping[str, float]) -> None:
    logs.clear()
    logs.update(by)


def _listens(callback: keras.callbacks.Callback, hook: str) -> bool:
    names = [hook, *filter(None, [_BATCH_HOOKS[hook]])]
    return any(
        getattr(getattr(callback, name), "__func__", None) is not getattr(keras.callbacks.Callback, name) for name in names
    )
