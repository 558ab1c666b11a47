"""Runs the Keras fit of a worker, together with the other workers."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from sparktrain.feed import MORE_LABEL, Shard, dtype_name
from sparktrain.interfaces.checkpoints import Checkpoint
from sparktrain.interfaces.collective import Collective
from sparktrain.interfaces.messages import Finished, Message, Order
from sparktrain.interfaces.training_spec import Fit
from sparktrain.models.custom_objects import recorded
from sparktrain.models.optimizers import optimizers_of
from sparktrain.storage import Folder
from sparktrain.training.batches.dataset import LABEL, Feeding
from sparktrain.training.batches.labels import check_labels, label_template
from sparktrain.training.callbacks.callback_files import keep_files
from sparktrain.training.callbacks.stop_request import StopRequest
from sparktrain.training.callbacks.time_limit import TimeLimit
from sparktrain.training.callbacks.user_callbacks import MonitorNamed, job_callbacks, user_callbacks
from sparktrain.training.callbacks.worker_callbacks import WorkerCallbacks
from sparktrain.training.framework import framework
from sparktrain.training.learning_rate import set_learning_rate
from sparktrain.training.local_steps import LocalSteps
from sparktrain.training.method_override import shadowed
from sparktrain.training.metrics.statistics import seed_worker, start_alike, unsynchronized
from sparktrain.training.model import build, build_variables, input_template, refuse_stateful
from sparktrain.training.output import open_output
from sparktrain.training.phases import Phases
from sparktrain.training.saving import MODEL, refuse_unsavable, save
from sparktrain.training.signature import signature_of
from sparktrain.training.state.checkpoints import Checkpoints
from sparktrain.training.state.fit_state import fit_state
from sparktrain.training.state.resume import resume
from sparktrain.training.warmup import Warmup


def train(
    order: Order,
    shard: Shard,
    collective: Collective,
    report: Callable[[Message], None],
    stop_request: StopRequest | None = None,
) -> Finished:
    """Build the user's model, train it on this worker's rows together with the other workers, and save it at rank 0.

    With one worker it is the plain Keras fit of the same batches. With more, every step applies the gradient over all
    workers' rows, every epoch's metrics are over all rows, and all workers end with the same weights.

    Args:
        order: how to train, and where rank 0 writes `model.keras` and `logs/`.
        shard: this worker's rows.
        collective: the workers, connected already.
        report: called with phases, progress and the ends of epochs.
        stop_request: whether the driver asks for the end of training after the current epoch; may change at any time.

    Returns:
        The message that ends the training, with the seconds of the phases build, train and save.

    Raises:
        BadInput: the rows don't fit the model.
        TrainingError: the user's code or configuration can't be trained.
        PeerLost: another worker is gone.
    """
    with framework().device_scope(order.spec.engine):
        return _train(order, shard, collective, report, stop_request)


def _train(
    order: Order,
    shard: Shard,
    collective: Collective,
    report: Callable[[Message], None],
    stop_request: StopRequest | None,
) -> Finished:
    phases = Phases(report)
    phases.enter("build")
    output = open_output(order, asked=collective.rank == 0 and not order.spec.fit.rehearsal)
    model = build(order.spec.model, order.spec.seed, order.spec.output.hadoop)
    if order.spec.fit.learning_rate is not None:
        set_learning_rate(model, order.spec.fit.learning_rate)
    feeding = _prepare(model, order, shard, collective)
    with tempfile.TemporaryDirectory() as folder:
        fitting = _Fitting(order, model, feeding, collective, output, Path(folder) / "logs", report, stop_request)
        phases.enter("train")
        done = fitting.run()
        size, digest, custom, signature = 0, "", {}, {}
        if collective.rank == 0 and not order.spec.fit.rehearsal:
            phases.enter("save")
            size, digest = save(model, Path(folder), output)
            signature = signature_of(model, feeding.template, shard)
            custom = recorded(model, Path(folder, MODEL), (order.spec.model.function or "").partition(":")[0])
            keep_files(fitting.user_callbacks, output.persistent())
    return Finished(
        history=done.history,
        rows=done.rows,
        steps=done.steps,
        seconds=phases.seconds(),
        epochs=done.epochs,
        stopped_early=done.stopped_early,
        best_epoch=done.best_epoch,
        notes=done.notes,
        parameters=model.count_params(),
        model_bytes=size,
        model_sha256=digest,
        custom_objects=custom,
        signature=signature,
        inputs={name: [list(shape), dtype_name(dtype)] for name, (shape, dtype) in shard.inputs.items()},
    )


def _prepare(model: keras.Model, order: Order, shard: Shard, collective: Collective) -> Feeding:
    """Check the rows against the model, give all workers the same initial weights, and return this worker's batches."""
    refuse_stateful(model)
    more = [name for name in shard.inputs if name.startswith(MORE_LABEL)]
    inputs = {name: kind for name, kind in shard.inputs.items() if name not in more}
    template = input_template(model, inputs, order.spec.fit.inputs_named)
    labels = label_template(model, more, order.spec.fit.label, order.spec.fit.outputs)
    build_variables(model, template, shard)
    if collective.rank == 0:
        refuse_unsavable(model)
    kinds = {LABEL: shard.label, **{name: shard.inputs[name] for name in more}}
    check_labels(model, labels, kinds, {LABEL: shard.label_range, **shard.more_label_ranges})
    feeding = Feeding(
        shard,
        template,
        labels,
        batch_size=order.spec.fit.batch_sizes[order.part],
        class_weight=order.spec.fit.class_weight,
        validates=any(collective.gather(shard.validation_rows)),
        one_step=order.spec.fit.rehearsal,
    )
    replicas = framework().replicas()
    if replicas > 1 or (collective.size > 1 and any(collective.gather(feeding.empty_steps))):
        framework().create_state(model, feeding.batch_spec)  # on all workers, as their models are compared
    start_alike(model, collective)
    if collective.size > 1 or replicas > 1:
        seed_worker(model, order.spec.seed, order.part)
    return feeding


@dataclass(frozen=True)
class _Done:
    history: dict[str, list[float]]
    epochs: int
    steps: int
    rows: int
    stopped_early: bool
    best_epoch: int | None
    notes: list[str]


class _Fitting:
    """A call of Keras's fit, with the order's callbacks, checkpoints, averaging and limits."""

    def __init__(
        self,
        order: Order,
        model: keras.Model,
        feeding: Feeding,
        collective: Collective,
        output: Folder,
        logs: Path,
        report: Callable[[Message], None],
        stop_request: StopRequest | None,
    ) -> None:
        self._fit: Fit = order.spec.fit
        self._model = model
        self._feeding = feeding
        self._collective = collective
        self._noted = unsynchronized(model, collective)
        self._warmup = self._make_warmup()
        self._local_steps = self._make_local_steps()
        asked, self._best = job_callbacks(self._fit)
        self.user_callbacks = user_callbacks(self._fit, order.spec.output.hadoop, collective.rank, collective.size)
        self._callbacks: list[keras.callbacks.Callback] = [
            MonitorNamed([callback.monitor for callback in asked]),
            *asked,
            *self.user_callbacks,
        ]
        events = framework().EventWriter(logs) if collective.rank == 0 and not self._fit.rehearsal else None
        if events is not None:
            self._callbacks.append(events)
        self._time_limit = TimeLimit(order.ends_at, self._fit.then) if order.ends_at is not None else None
        self._epochs = 1 if self._fit.rehearsal else self._fit.epochs
        self._listening = WorkerCallbacks(
            self._callbacks,
            model=model,
            collective=collective,
            feeding=feeding,
            report=report,
            epochs=self._epochs,
            local_steps=self._local_steps,
            time_limit=self._time_limit,
            stop_request=stop_request,
        )
        self._state = fit_state(model, feeding, self._warmup, self._local_steps, self._listening, events)
        keep = 0 if self._fit.rehearsal else self._fit.keep_checkpoints
        self._checkpoints = self._listening.checkpoints = Checkpoints(
            self._state, collective, order.part, output, keep, self._fit.checkpoint_steps, report, feeding.rows_by_part
        )
        self._unread: list[str] = []
        if self._fit.resume is not None:
            self._resume(order.part, output, self._fit.resume)

    def _resume(self, part: int, output: Folder, newest: Checkpoint) -> None:
        if not all(optimizer.built for optimizer in optimizers_of(self._model)):
            framework().create_state(self._model, self._feeding.batch_spec)  # for optimizers beside the compiled one
        checkpoint, self._unread = resume(
            self._state, self._model, self._feeding, self._collective, part, output, newest, self._fit.whole
        )
        if checkpoint is not None and checkpoint.step:
            framework().create_state(self._model, self._feeding.batch_spec)  # metrics, whose state is loaded as the epoch begins

    def _make_warmup(self) -> Warmup | None:
        if self._fit.warmup_epochs is None or self._collective.size == 1:
            return None
        steps = round(self._fit.warmup_epochs * self._feeding.steps)
        return Warmup(optimizers_of(self._model), self._collective.size, steps)

    def _make_local_steps(self) -> LocalSteps | None:
        if self._fit.average == "step" or self._collective.size == 1:
            return None
        every = None if self._fit.average == "epoch" else int(self._fit.average)
        return LocalSteps(self._model, self._collective, every, self._feeding.steps)

    def run(self) -> _Done:
        callbacks, epochs = self._listening, self._epochs
        with (
            framework().Averaging(
                self._model,
                self._collective,
                every_step=self._local_steps is None,
                empty_steps=self._feeding.empty_steps,
                empty_validation=self._feeding.empty_validation,
                warmup=self._warmup,
                note=self._noted.append,
            ),
            _finalized_once(self._model.optimizer, callbacks),
        ):
            if self._feeding.begin:  # the rest of an interrupted epoch
                self._run_keras(callbacks, callbacks.epochs_done + 1)
                self._feeding.epoch, self._feeding.begin = callbacks.epochs_done, 0
                if not callbacks.ended:
                    self._run_keras(callbacks, epochs)
            else:
                callbacks.look_at_limits()
                # If nothing is left to train, a fit without epochs runs what Keras does at its end.
                self._run_keras(callbacks, callbacks.epochs_done if callbacks.ended else epochs)
        self._checkpoints.wait()
        if self._warmup is not None:
            self._warmup.undo()
        return _Done(
            history=_plain(self._model.history.history),
            epochs=callbacks.epochs_done,
            steps=callbacks.steps,
            rows=callbacks.rows,
            stopped_early=callbacks.stopped_early,
            best_epoch=None if self._best is None else self._best.best_epoch + 1,
            notes=self._notes(callbacks),
        )

    def _run_keras(self, callbacks: WorkerCallbacks, epochs: int) -> None:
        try:
            self._model.fit(
                self._feeding.training(),
                epochs=epochs,
                initial_epoch=callbacks.epochs_done,
                steps_per_epoch=self._feeding.steps - self._feeding.begin,
                validation_steps=self._feeding.validation_steps,
                validation_data=self._feeding.validation() if self._feeding.validates else None,
                callbacks=callbacks,
                shuffle=False,
                verbose=0,
            )
        except Exception as error:
            if self._feeding.error is not None:
                raise self._feeding.error from error
            raise

    def _notes(self, callbacks: WorkerCallbacks) -> list[str]:
        notes = list(self._unread)
        if self._time_limit is not None and self._time_limit.note is not None:
            notes.append(self._time_limit.note)
        if callbacks.stop_note is not None:
            notes.append(callbacks.stop_note)
        if self._warmup is not None:
            notes.append(self._warmup.note())
        if callbacks.metrics.averaged:
            names = ", ".join(sorted(callbacks.metrics.averaged))
            notes.append(f"averaged over the workers by rows, for their states are no sums: {names}")
        return [*notes, *dict.fromkeys(self._noted), *callbacks.consistency.notes()]


def _finalized_once(optimizer: keras.optimizers.Optimizer, callbacks: WorkerCallbacks) -> AbstractContextManager[None]:
    """Let an optimizer with use_ema replace the weights by its averages only when training ends; Keras does after each fit."""
    own = optimizer.finalize_variable_values
    return shadowed(optimizer, own.__name__, lambda variables: own(variables) if callbacks.ended else None)


def _plain(history: dict[str, list[Any]]) -> dict[str, list[float]]:
    return {name: [float(value) for value in values] for name, values in history.items()}
