"""Gradient averaging by rows: what makes the steps of many workers the steps of one.

A worker's gradient is the mean over its own rows of the step. Worker i with n_i rows and gradient g_i takes part with
n_i * g_i, and all of them apply (sum of n_i g_i) / (sum of n_i), the mean over every row of the step. That is exact for
losses that are means over rows; gradients are averaged before the optimizer clips or accumulates them.

The user's optimizer and model stay what they are: the averaging hangs on the two instances while `averaging` is open,
so custom training steps, several steps an execution and gradient accumulation all pass through it.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import Any, Callable, Iterator, Sequence

import keras
import tensorflow as tf

from sparktrain.interfaces.collective import Collective
from sparktrain.training.devices import means_on_each, replicas
from sparktrain.training.errors import TrainingError
from sparktrain.training.warmup import Warmup

_PIECE = 64 << 20   # elements
_ACCUMULATING = (
    "the optimizer has gradient_accumulation_steps, with which Keras can't train over several devices of a worker: leave "
    "it out and take a larger batch_size (each device has its share of it), or give each worker one device"
)


@contextmanager
def averaging(
    model: keras.Model,
    collective: Collective,
    *,
    every_step: bool,
    empty_steps: bool,
    empty_validation: bool,
    warmup: Warmup | None,
) -> Iterator[None]:
    """Let every optimizer of the model apply the gradient of all workers' rows.

    Args:
        model: compiled and built, with the state that a first step creates (see `create_state`).
        collective: the workers; with one of them the model is left alone.
        every_step: whether gradients are averaged; else each step is the worker's own.
        empty_steps: whether some step gives this worker no row. Such a step changes nothing here but by the
            others' gradients: metrics and statistics stay as they were.
        empty_validation: whether this worker has no validation row, and evaluates an empty batch.
        warmup: of the learning rate, or None.
    """
    if collective.size == replicas() == 1:
        yield
        return
    # Of each device by itself
    rows = tf.Variable(0.0, trainable=False, name="rows_of_this_step", synchronization=tf.VariableSynchronization.ON_READ,
                       aggregation=tf.VariableAggregation.SUM)
    among = collective if every_step else None
    own_step = model.train_step

    def train_step(data: Any) -> Any:
        count = _rows_of(data)
        rows.assign(tf.cast(count, tf.float32))
        if warmup is not None:
            warmup.step()
        if not empty_steps:
            return own_step(data)
        return _unless_empty(own_step, data, count, model, lambda: kept_of_step(model, every_step))

    own_test_step = model.test_step

    def test_step(data: Any) -> Any:
        return _unless_empty(own_test_step, data, _rows_of(data), model, lambda: state_of(model))

    jit_compile = model.jit_compile
    with ExitStack() as stack:
        for optimizer in optimizers_of(model) if every_step or replicas() > 1 else ():
            stack.enter_context(shadowed(optimizer, "apply", _averaged(optimizer.apply, rows, among)))
            # The gradients are sums already. It is the inner one of two (loss scaling) that would sum them again.
            updating = getattr(optimizer, "inner_optimizer", optimizer)
            if replicas() > 1 and updating.gradient_accumulation_steps:
                raise TrainingError(_ACCUMULATING)
            stack.enter_context(shadowed(updating, "_all_reduce_sum_gradients", lambda pairs: pairs))
        if replicas() > 1:
            stack.enter_context(means_on_each())
            # It takes a batch of its own, of equal parts; `create_state` has done what it is for
            stack.enter_context(shadowed(model, "_maybe_symbolic_build", lambda **batch: None))
            model.steps_per_execution = 1   # Keras's loop of several steps fails on the iterators of several devices
        stack.enter_context(shadowed(model, "train_step", train_step))
        if empty_validation:
            stack.enter_context(shadowed(model, "test_step", test_step))
        model.jit_compile = False   # XLA can't compile a collective
        stack.callback(setattr, model, "jit_compile", jit_compile)
        for function in ("train_function", "test_function"):   # what was traced before, or in here, is not kept
            setattr(model, function, None)
            stack.callback(setattr, model, function, None)
        yield


def optimizers_of(model: keras.Model) -> list[keras.optimizers.Optimizer]:
    """The optimizer that the model was compiled with, and those that a custom model holds beside it."""
    found = [getattr(model, "optimizer", None), *vars(model).values()]   # an uncompiled model has none
    return list({id(value): value for value in found if isinstance(value, keras.optimizers.Optimizer)}.values())


def trained_variables(model: keras.Model) -> list[keras.Variable]:
    """What a local step moves: the trainable weights and the optimizers' floating-point state."""
    optimizers = optimizers_of(model)
    # The same on all workers, a rate would only lose bits as a mean.
    rates = {id(optimizer.learning_rate) for optimizer in optimizers}
    found = [*model.trainable_variables, *(variable for each in optimizers for variable in each.variables)]
    floats = {id(v): v for v in found if keras.backend.is_float_dtype(v.dtype)}
    return [variable for key, variable in floats.items() if key not in rates]


def create_state(model: keras.Model, batch_spec: Any) -> None:
    """Trace a training step, so that metrics and optimizer variables exist before the first one runs.

    Args:
        model: compiled and built; nothing of it changes but that its state exists.
        batch_spec: the structure of tf.TensorSpec of a batch.
    """
    if replicas() > 1:
        model._symbolic_build(data_batch=batch_spec)   # as Keras does itself under a strategy
    elif not model.run_eagerly:
        tf.function(model.train_step).get_concrete_function(batch_spec)


def _rows_of(data: Any) -> tf.Tensor:
    """How many rows a batch has: int32, in the graph."""
    return tf.shape(keras.tree.flatten(data)[0])[0]


def _unless_empty(
    step: Callable[[Any], Any],
    data: Any,
    count: tf.Tensor,
    model: keras.Model,
    variables: Callable[[], list[keras.Variable]],
) -> Any:
    """Run a step, and where the batch has no row keep the variables as they were before it.

    Means over no rows are not numbers; they must not reach what is kept. Metrics are each device's own, and what is trained
    has the rows of all of them; the rest, such as statistics, stays where any of them has no row.
    """
    kept = variables()
    before = [tf.identity(variable.value) for variable in kept]
    result = step(data)
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


def _averaged(own_apply: Callable[..., Any], rows: tf.Variable, collective: Collective | None) -> Callable[..., Any]:
    def apply(grads: Sequence[Any], trainable_variables: Any = None) -> Any:
        return own_apply(means(grads, rows, collective), trainable_variables)

    return apply


def means(values: Sequence[Any], rows: Any, collective: Collective | None) -> list[Any]:
    """The workers' values averaged by rows: sum of n_i v_i / sum of n_i. Collective.

    Called on each device of a worker, of which each has its own values and rows, it is the mean over the devices of all.

    Args:
        values: floating-point tensors, alike on all workers; None stays None.
        rows: n_i, a scalar tensor or variable; with 0 of them this worker's values have no part in it.
        collective: the workers; None for the devices of this worker alone.
    """
    dense = {index: tf.convert_to_tensor(value) for index, value in enumerate(values) if value is not None}
    groups: dict[tf.DType, list[int]] = {}
    for index, value in dense.items():
        groups.setdefault(_wide(value.dtype), []).append(index)
    flat = [_weighted_sum(dtype, [dense[index] for index in group], rows) for dtype, group in groups.items()]
    averaged: list[Any] = [None] * len(values)
    for group, total in zip(groups.values(), _summed(flat, collective)):
        mean = total[1:] / total[0]
        parts = tf.split(mean, [dense[index].shape.num_elements() for index in group])
        for index, part in zip(group, parts):
            averaged[index] = tf.cast(tf.reshape(part, dense[index].shape), dense[index].dtype)
    return averaged


def _summed(tensors: list[tf.Tensor], collective: Collective | None) -> list[tf.Tensor]:
    """Over this worker's devices, then, once for all of them, over the workers."""
    device = tf.distribute.get_replica_context()
    several = device is not None and device.num_replicas_in_sync > 1
    if several:
        tensors = device.all_reduce(tf.distribute.ReduceOp.SUM, tensors)
    if collective is None or collective.size == 1:
        return tensors
    if not several:
        return _in_pieces(tensors, collective)

    def between(strategy: tf.distribute.Strategy, sums: list[Any]) -> list[tf.Tensor]:
        return _in_pieces([strategy.experimental_local_results(each)[0] for each in sums], collective)

    return device.merge_call(between, args=(tensors,))


def _in_pieces(tensors: list[tf.Tensor], collective: Collective) -> list[tf.Tensor]:
    """Tensors [n] summed over the workers, none of them larger than what passes through every transport at once."""
    every = [tensor.shape.num_elements() for tensor in tensors]
    pieces = [[min(_PIECE, size - start) for start in range(0, size, _PIECE)] for size in every]
    sums = iter(collective.sum_in_graph([
        piece for tensor, sizes in zip(tensors, pieces)
        for piece in ([tensor] if len(sizes) == 1 else tf.split(tensor, sizes))
    ]))
    return [next(sums) if len(sizes) == 1 else tf.concat([next(sums) for _ in sizes], axis=0) for sizes in pieces]


def _wide(dtype: tf.DType) -> tf.DType:
    return dtype if dtype == tf.float64 else tf.float32   # half precision is summed in single


def _weighted_sum(dtype: tf.DType, values: list[tf.Tensor], rows: Any) -> tf.Tensor:
    """[n, n * v]: one flat tensor of one worker's share of the sums, shape [1 + elements]."""
    count = tf.cast(rows, dtype)
    flat = tf.concat([tf.ones([1], dtype), *(tf.cast(tf.reshape(value, [-1]), dtype) for value in values)], axis=0)
    return tf.where(count > 0, flat * count, tf.zeros_like(flat))


@contextmanager
def shadowed(instance: Any, name: str, function: Callable[..., Any]) -> Iterator[None]:
    """Put a function before a method of one instance. Not by setattr: Keras would track it."""
    instance.__dict__[name] = function
    try:
        yield
    finally:
        del instance.__dict__[name]
