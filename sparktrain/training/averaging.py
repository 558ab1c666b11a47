"""Gradient averaging by rows: what makes the steps of many workers the steps of one.

A worker's gradient is the mean over its own rows of the step. Worker i with n_i rows and gradient g_i takes part with
n_i * g_i, and all of them apply (sum of n_i g_i) / (sum of n_i), the mean over every row of the step. That is exact for
losses that are means over rows; gradients are averaged before the optimizer clips or accumulates them.

The user's optimizer and model stay what they are: the averaging hangs on the two instances while an `Averaging` is entered,
so custom training steps, several steps an execution and gradient accumulation all pass through it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import keras
import tensorflow as tf

from sparktrain.interfaces.collective import Collective
from sparktrain.models.errors import TrainingError
from sparktrain.models.optimizers import optimizer_variables, optimizers_of, wrappers_of
from sparktrain.training.data_dependence import moved_by_data
from sparktrain.training.devices import means_on_each, replicas
from sparktrain.training.means import means
from sparktrain.training.warmup import Warmup

SEED = "seed_generator_state"  # Keras's name for the state of a layer's random numbers
_ACCUMULATING = (
    "the optimizer has gradient_accumulation_steps, with which Keras can't train over several devices of a worker: leave "
    "it out and take a larger batch_size (each device has its share of it), or give each worker one device"
)


class Averaging:
    """Lets every optimizer of a model apply the gradient of all workers' rows, while it is entered.

    It may be entered again and again, and then goes on with the training and test functions that were traced in it before;
    those that the model traces outside of it are never used inside, nor the other way round.

    Args:
        model: compiled and built, with the state that a first step creates (see `create_state`).
        collective: the workers; with one of them the model is left alone.
        every_step: whether gradients are averaged; else each step is the worker's own.
        empty_steps: whether some step may give this worker no row. Such a step changes nothing here but by the
            others' gradients, and what every step changes whatever its rows: metrics and statistics stay as they were.
        empty_validation: whether this worker may evaluate a batch without rows.
        warmup: of the learning rate, or None.
        note: called with a sentence on what is done otherwise than users may expect.
    """

    def __init__(
        self,
        model: keras.Model,
        collective: Collective,
        *,
        every_step: bool,
        empty_steps: bool,
        empty_validation: bool,
        warmup: Warmup | None,
        note: Callable[[str], None],
    ) -> None:
        self._model = model
        self._alone = collective.size == replicas() == 1
        self._functions: dict[str, Any] = {"train_function": None, "test_function": None}
        self._shadows: list[tuple[Any, str, Callable[..., Any]]] = []
        if self._alone:
            return
        # Of each device by itself
        rows = tf.Variable(
            0.0,
            trainable=False,
            name="rows_of_this_step",
            synchronization=tf.VariableSynchronization.ON_READ,
            aggregation=tf.VariableAggregation.SUM,
        )
        own_step, own_test_step = model.train_step, model.test_step

        def train_step(data: Any) -> Any:
            count = rows_of(data)
            rows.assign(tf.cast(count, tf.float32))
            if warmup is not None:
                warmup.step()
            if not empty_steps:
                return own_step(data)
            return _unless_empty(own_step, data, count, model, lambda: kept_of_step(model, every_step), every_step)

        def test_step(data: Any) -> Any:
            return _unless_empty(own_test_step, data, rows_of(data), model, lambda: state_of(model), False)

        if every_step or replicas() > 1:
            self._shadows += _hooked_optimizers(model, rows, collective if every_step else None, note)
        if replicas() > 1:
            # It takes a batch of its own, of equal parts; `create_state` has done what it is for
            self._shadows.append((model, "_maybe_symbolic_build", lambda **batch: None))
        self._shadows.append((model, "train_step", train_step))
        if empty_validation:
            self._shadows.append((model, "test_step", test_step))

    def __enter__(self) -> Averaging:
        with ExitStack() as stack:
            if not self._alone:
                self._enter(stack)
            self._open = stack.pop_all()
        return self

    def _enter(self, stack: ExitStack) -> None:
        model = self._model
        for shadow in self._shadows:
            stack.enter_context(shadowed(*shadow))
        if replicas() > 1:
            stack.enter_context(means_on_each())
            model.steps_per_execution = 1  # Keras's loop of several steps fails on the iterators of several devices
        stack.callback(setattr, model, "jit_compile", model.jit_compile)
        model.jit_compile = False  # XLA can't compile a collective
        for name, function in self._functions.items():
            setattr(model, name, function)
            stack.callback(self._leave, name)

    def _leave(self, name: str) -> None:
        self._functions[name] = getattr(self._model, name)
        setattr(self._model, name, None)

    def __exit__(self, *_: object) -> None:
        self._open.close()


def trained_variables(model: keras.Model) -> list[keras.Variable]:
    """What a local step moves: the trainable weights and the optimizers' floating-point state."""
    optimizers = optimizers_of(model)
    # The same on all workers, a rate would only lose bits as a mean.
    rates = {id(optimizer.learning_rate) for optimizer in optimizers}
    found = [*model.trainable_variables, *optimizer_variables(model)]
    floats = {id(v): v for v in found if keras.backend.is_float_dtype(v.dtype)}
    return [variable for key, variable in floats.items() if key not in rates]


def create_state(model: keras.Model, batch_spec: Any) -> None:
    """Trace a training step, so that metrics and optimizer variables exist before the first one runs.

    Args:
        model: compiled and built; nothing of it changes but that its state exists.
        batch_spec: the structure of tf.TensorSpec of a batch.
    """
    if replicas() > 1:
        model._symbolic_build(data_batch=batch_spec)  # as Keras does itself under a strategy
    elif not model.run_eagerly:
        tf.function(model.train_step).get_concrete_function(batch_spec)


def rows_of(data: Any) -> tf.Tensor:
    """How many rows a batch has: int32, in the graph."""
    first = next(leaf for leaf in keras.tree.flatten(data) if leaf is not None)
    if isinstance(first, tf.SparseTensor):
        return tf.cast(first.dense_shape[0], tf.int32)
    return first.nrows(tf.int32) if isinstance(first, tf.RaggedTensor) else tf.shape(first)[0]


def _unless_empty(
    step: Callable[[Any], Any],
    data: Any,
    count: tf.Tensor,
    model: keras.Model,
    variables: Callable[[], list[keras.Variable]],
    with_others: bool,
) -> Any:
    """Run a step, and where the batch has no row keep the variables as they were before it.

    Means over no rows are not numbers; they must not reach what is kept. What doesn't depend on the rows changes as it does
    on the other workers, where the step is made `with_others`. Metrics are each device's own, and what is trained
    has the rows of all of them; the rest, such as statistics, stays where any of them has no row.
    """
    kept = variables()
    before = [tf.identity(variable.value) for variable in kept]
    result = step(data)
    if with_others and replicas() == 1:
        by_rows = moved_by_data(data, kept)
        restored = [place for place, each in enumerate(kept) if id(each) in by_rows or each.name == SEED]
        kept, before = [kept[place] for place in restored], [before[place] for place in restored]
    anywhere = everywhere = count > 0
    if replicas() > 1:
        some = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, tf.cast(count > 0, tf.int32))
        anywhere, everywhere = some > 0, some == replicas()
    moved = {id(variable): count > 0 for metric in model.metrics for variable in metric.variables}
    moved |= {id(variable): anywhere for variable in trained_variables(model)}
    for variable, value in zip(kept, before):
        variable.assign(tf.where(moved.get(id(variable), everywhere), variable.value, value))
    return result if replicas() == 1 else keras.tree.map_structure(lambda told: _of_rows(told, count), result)


def _of_rows(told: Any, count: tf.Tensor) -> Any:
    """What a step tells, as the mean over the devices that have rows; what isn't one number stays as it is."""
    value = tf.convert_to_tensor(told)
    if value.shape.rank != 0 or not value.dtype.is_floating:
        return told
    rows = tf.cast(count, value.dtype)
    both = [tf.where(count > 0, value * rows, 0), rows]
    total, of = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, both)
    return tf.math.divide_no_nan(total, of)


def kept_of_step(model: keras.Model, every_step: bool) -> list[keras.Variable]:
    """What a training step without rows leaves as it was: all that it would change by itself."""
    return state_of(model) if every_step else [*state_of(model), *trained_variables(model)]


def state_of(model: keras.Model) -> list[keras.Variable]:
    """What a step changes beside the weights that gradients train: metrics, statistics, seeds."""
    metrics = [variable for metric in model.metrics for variable in metric.variables]
    return list({id(variable): variable for variable in [*model.non_trainable_variables, *metrics]}.values())


def _hooked_optimizers(
    model: keras.Model, rows: tf.Variable, collective: Collective | None, note: Callable[[str], None]
) -> Iterator[tuple[Any, str, Callable[..., Any]]]:
    """What is to be put before methods of the model's optimizers: the instance, the method's name, and the function."""
    applying: Counter[int] = Counter()
    wrappers = wrappers_of(model)
    for optimizer in optimizers_of(model):
        yield optimizer, "apply", _Averaged(optimizer, wrappers[id(optimizer)], applying, rows, collective, note)
        if hasattr(optimizer, "inner_optimizer"):  # it is the inner one of two (loss scaling) that would sum again
            continue
        if replicas() > 1 and optimizer.gradient_accumulation_steps:
            raise TrainingError(_ACCUMULATING)
        # The gradients are sums already.
        yield optimizer, "_all_reduce_sum_gradients", lambda pairs: pairs


class _Averaged:
    """An optimizer's `apply`, of the mean of all workers' gradients.

    Args:
        optimizer: whose; not hooked yet.
        wrappers: ids of the optimizers that hold it.
        applying: how many calls of each optimizer's `apply`, by its id, are under way.
        rows: this worker's of the step.
        collective: the workers; None for this worker's devices alone.
        note: see `averaging`.
    """

    def __init__(
        self,
        optimizer: keras.optimizers.Optimizer,
        wrappers: list[int],
        applying: Counter[int],
        rows: tf.Variable,
        collective: Collective | None,
        note: Callable[[str], None],
    ) -> None:
        self._optimizer, self._own_apply = optimizer, optimizer.apply
        self._wrappers, self._applying = wrappers, applying
        self._rows, self._collective, self._note = rows, collective, note

    def __call__(self, grads: Sequence[Any], trainable_variables: Any = None) -> Any:
        if any(self._applying[each] for each in self._wrappers):  # it is handed what is averaged already
            return self._own_apply(grads, trainable_variables)
        grads = list(grads)
        if replicas() > 1 and any(isinstance(each, tf.IndexedSlices) for each in grads):
            self._note("gradients of embeddings are averaged as whole tables, as workers have several devices")
        averaged = means(grads, self._rows, self._collective)
        if getattr(self._optimizer, "loss_scale_factor", None) is not None:  # Keras can't divide slices by it
            averaged = [tf.convert_to_tensor(each) if isinstance(each, tf.IndexedSlices) else each for each in averaged]
        self._applying[id(self._optimizer)] += 1
        try:
            return self._own_apply(averaged, trainable_variables)
        finally:
            self._applying[id(self._optimizer)] -= 1


@contextmanager
def shadowed(instance: Any, name: str, function: Callable[..., Any]) -> Iterator[None]:
    """Put a function before a method of one instance. Not by setattr: Keras would track it."""
    before = {name: instance.__dict__[name]} if name in instance.__dict__ else {}
    instance.__dict__[name] = function
    try:
        yield
    finally:
        del instance.__dict__[name]
        instance.__dict__.update(before)
