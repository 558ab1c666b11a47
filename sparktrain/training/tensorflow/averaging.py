"""Averages gradients by rows, so that a step of many workers equals a step of one worker with all rows.

A worker's gradient is the mean over its own rows of the step. Worker i with n_i rows and gradient g_i contributes n_i * g_i,
and all workers apply (sum of n_i g_i) / (sum of n_i), the mean over all rows of the step. That is exact for losses that are
means over rows; gradients are averaged before the optimizer clips or accumulates them.

The user's optimizer and model are not replaced: methods of the two instances are overridden while an `Averaging` is entered,
so that it also works with custom training steps, several steps an execution, and gradient accumulation.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import keras
import tensorflow as tf

from sparktrain.interfaces.collective import Collective
from sparktrain.models.errors import TrainingError
from sparktrain.models.optimizers import optimizers_of, wrappers_of
from sparktrain.training.method_override import shadowed
from sparktrain.training.state.model_variables import SEED, kept_of_step, state_of, trained_variables
from sparktrain.training.tensorflow.data_dependence import moved_by_data
from sparktrain.training.tensorflow.devices import means_on_each, replicas
from sparktrain.training.tensorflow.means import means
from sparktrain.training.warmup import Warmup

_ACCUMULATING = (
    "the optimizer has gradient_accumulation_steps, with which Keras can't train over several devices of a worker: leave "
    "it out and use a larger batch_size (each device has its share of it), or give each worker one device"
)


class Averaging:
    """A context manager in which every optimizer of a model applies the gradient of all workers' rows.

    It may be entered repeatedly, and reuses the training and test functions that were traced in it before; functions traced
    outside are never used inside, and vice versa.

    Its arguments are those of `Framework.Averaging`.
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
        # Each device has its own value
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
            # It needs a batch of equal parts; `create_state` has already built the model
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


def create_state(model: keras.Model, batch_spec: Any) -> None:
    """Trace a training step, so that metrics and optimizer variables exist before the first step runs.

    Args:
        model: compiled and built; its values don't change.
        batch_spec: a batch as a structure of tf.TensorSpec.
    """
    if replicas() > 1:
        model._symbolic_build(data_batch=batch_spec)  # as Keras does itself under a strategy
    elif not model.run_eagerly:
        tf.function(model.train_step).get_concrete_function(batch_spec)


def rows_of(data: Any) -> tf.Tensor:
    """Return how many rows a batch has, as an int32 tensor."""
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
    """Run a step, and restore variables to their values before it if the batch has no rows.

    Means over no rows are NaN, which must not get into the variables. If the step is made `with_others`, variables that don't
    depend on the rows change as on the other workers. Each device has its own metrics, and trained variables use the rows of
    all devices; other variables, such as statistics, are restored if any device has no rows.
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
    return result if replicas() == 1 else keras.tree.map_structure(lambda leaf: _of_rows(leaf, count), result)


def _of_rows(result: Any, count: tf.Tensor) -> Any:
    """Return a result of a step as the mean over the devices with rows; a result that isn't a single number is unchanged."""
    value = tf.convert_to_tensor(result)
    if value.shape.rank != 0 or not value.dtype.is_floating:
        return result
    rows = tf.cast(count, value.dtype)
    both = [tf.where(count > 0, value * rows, 0), rows]
    total, of = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, both)
    return tf.math.divide_no_nan(total, of)


def _hooked_optimizers(
    model: keras.Model, rows: tf.Variable, collective: Collective | None, note: Callable[[str], None]
) -> Iterator[tuple[Any, str, Callable[..., Any]]]:
    """Yield the overrides of methods of the model's optimizers: the instance, the method's name, and the function."""
    applying: Counter[int] = Counter()
    wrappers = wrappers_of(model)
    for optimizer in optimizers_of(model):
        yield optimizer, "apply", _Averaged(optimizer, wrappers[id(optimizer)], applying, rows, collective, note)
        if hasattr(optimizer, "inner_optimizer"):  # of a wrapper (loss scaling), only the inner optimizer sums gradients
            continue
        if replicas() > 1 and optimizer.gradient_accumulation_steps:
            raise TrainingError(_ACCUMULATING)
        # The gradients are sums already.
        yield optimizer, "_all_reduce_sum_gradients", lambda pairs: pairs


class _Averaged:
    """An optimizer's `apply` with the mean of all workers' gradients.

    Args:
        optimizer: the optimizer, whose `apply` isn't overridden yet.
        wrappers: ids of the optimizers that wrap it.
        applying: how many calls of each optimizer's `apply` are in progress, by its id.
        rows: this worker's rows of the step.
        collective: the workers; None to average over this worker's devices alone.
        note: see `Averaging`.
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
        if any(self._applying[each] for each in self._wrappers):  # the gradients are averaged already
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
