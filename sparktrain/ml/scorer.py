"""Scores Arrow batches in an executor's Python process, which loads the model once and keeps it for further tasks."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark import TaskContext

from sparktrain.feed import BadInput, Column, Input
from sparktrain.feed.columns import dense, element_dtype, numbers, row_shape
from sparktrain.feed.errors import UNUSABLE, Fault
from sparktrain.feed.strings import DTYPE as STRINGS
from sparktrain.ml.score_plan import Kind, ScoredOutput, ScorePlan
from sparktrain.runs.result import Result
from sparktrain.storage import open_folder

_KEPT = 2  # models: two stages of a pipeline, or two models that are compared, share Spark's Python processes
_loaded: dict[str, Scorer] = {}  # this process's models, by what tells them from others, the last used last


def score_batches(plan: ScorePlan, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Return the kept columns and the model's outputs for Spark's batches, which are of its own size.

    Raises:
        BadInput: a row can't be scored; the message names its column.
    """
    scorer: Scorer | None = None
    rows = 0
    for batch in batches:
        if scorer is None:  # not for a part without rows
            scorer = _loaded.pop(plan.model, None)
            if scorer is None:
                for name in list(_loaded)[: 1 - _KEPT]:
                    del _loaded[name]
                scorer = Scorer(plan)
            _loaded[plan.model] = scorer
        yield _scored(plan, scorer, batch, rows)
        rows += batch.num_rows


class Scorer:
    """A loaded model, called with named NumPy arrays.

    Args:
        plan: the scoring that loads it.
    """

    def __init__(self, plan: ScorePlan) -> None:
        _take_devices()
        from sparktrain.training.imports import import_keras

        import_keras()
        import keras
        import tensorflow as tf

        from sparktrain.training.model import input_template

        result = Result.of_folder(open_folder(plan.url, plan.hadoop), plan.hadoop)
        model = replace(result, summary={**result.summary, "modules": plan.modules}).model
        rows = {each.name: (shape, dtype) for each, (shape, dtype) in zip(plan.inputs, plan.rows)}
        template = input_template(
            model, {name: (shape, STRINGS if dtype == "string" else np.dtype(dtype)) for name, (shape, dtype) in rows.items()}
        )

        def call(inputs: Any) -> Any:
            outputs = model(keras.tree.map_structure(lambda name: inputs[name], template), training=False)
            return keras.tree.flatten(outputs)

        specs = {name: tf.TensorSpec((None, *shape), tf.as_dtype(dtype)) for name, (shape, dtype) in rows.items()}
        self._call = tf.function(call, input_signature=[specs])

    def __call__(self, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        """Return the outputs, in the model's order, for arrays [n, *shape of a row] by input."""
        return [output.numpy() for output in self._call(inputs)]


def _take_devices() -> None:
    """Before TensorFlow is imported: take the GPUs that Spark has assigned, and as many threads as the task has cores."""
    context = TaskContext.get()
    resources = context.resources() if context is not None else {}
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(resources["gpu"].addresses) if "gpu" in resources else ""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    cores = str(context.cpus() if context is not None else 1)
    for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ.setdefault(name, cores)


def _scored(plan: ScorePlan, scorer: Scorer, batch: pa.RecordBatch, rows_before: int) -> pa.RecordBatch:
    names = {column.name for each in plan.inputs for column in each.columns}
    whole = np.ones(batch.num_rows, bool)
    if plan.keep_nulls:
        for name in names:
            whole &= batch.column(name).is_valid().to_numpy(zero_copy_only=False)
    fit = batch if whole.all() else batch.filter(pa.array(whole))
    chunks = []
    for start in range(0, fit.num_rows, plan.batch_size):
        part = fit.slice(start, plan.batch_size)
        inputs = {
            each.name: _input(each, shape, dtype, part, rows_before + start)
            for each, (shape, dtype) in zip(plan.inputs, plan.rows)
        }
        chunks.append(scorer(inputs))
    arrays = [batch.column(name) for name in plan.kept]
    for _, number, kind in plan.columns:
        output = plan.outputs[number]
        # Without a row there is still the type
        values = np.concatenate([chunk[number] for chunk in chunks]) if chunks else np.zeros((0, *(n or 1 for n in output.shape)))
        scored = _column(output, kind, values)
        if not whole.all():  # a null where a row was left out
            scored = scored.take(pa.array(np.cumsum(whole) - 1, mask=~whole))
        arrays.append(scored)
    return pa.RecordBatch.from_arrays(arrays, [*plan.kept, *(name for name, _, _ in plan.columns)])


def _input(each: Input, shape: tuple[int, ...], dtype: str, batch: pa.RecordBatch, rows_before: int) -> np.ndarray:
    """Return one input's array [n, *shape], as it was made in training."""
    made = _numbers(each, batch)
    if made is None:
        alone = len(each.columns) == 1
        parts = []
        for column in each.columns:
            array = batch.column(column.name)
            try:
                parts.append(dense(array, column, _row_shape(array, column, shape, alone)))
            except Fault as fault:
                raise _of_scoring(fault).told(column.name, str(array.type), rows_before, batch.num_rows) from None
        made = parts[0] if alone else np.concatenate([part.reshape(len(part), -1) for part in parts], 1)
    if made.size != batch.num_rows * math.prod(shape):
        raise BadInput(
            f"input {each.name!r} has rows of shape {list(made.shape[1:])}, but the model was trained with {list(shape)}: expected the "
            f"same columns as in training"
        )
    made = made.reshape(batch.num_rows, *shape)
    return made if dtype == "string" else made.astype(dtype, copy=False)


def _of_scoring(fault: Fault) -> Fault:
    if fault.wrong != UNUSABLE:
        return fault
    hint = "Drop or fill such rows before; nulls='keep' keeps rows with a null, without a prediction."
    return Fault(fault.row, fault.value, fault.count, "can't be scored", hint)


def _numbers(each: Input, batch: pa.RecordBatch) -> np.ndarray | None:
    """Return the array of an input that is made of columns of one numeric type; None for any other, or a value that can't be."""
    if any(column.shape is not None or column.length is not None for column in each.columns):
        return None
    columns = batch.select([column.name for column in each.columns])
    kinds = set(columns.schema.types)
    if len(kinds) > 1 or not all(pa.types.is_integer(kind) or pa.types.is_floating(kind) for kind in kinds):
        return None
    return numbers(columns, element_dtype(each.columns[0].name, kinds.pop()))


def _row_shape(array: pa.Array, column: Column, shape: tuple[int, ...], alone: bool) -> tuple[int, ...]:
    if column.shape is not None:
        return column.shape
    if not pa.types.is_nested(array.type):
        return ()
    if alone:
        return shape
    return row_shape(array, column) or ()


def _column(output: ScoredOutput, kind: Kind, values: np.ndarray) -> pa.Array:
    """Return a column of an output's numbers, or of what they stand for.

    Raises:
        BadInput: probabilities are asked for, and the numbers are none.
    """
    if kind in ("prediction", "index") and output.decides != "value":
        if output.decides == "largest":
            places = values.argmax(-1)
        else:
            places = (values.reshape(values.shape[:-1] or len(values)) > (0.0 if output.logits else 0.5)).astype(np.int64)
        flat = places.reshape(-1)
        numbered = output.classes is None or kind == "index"
        named = pa.array(flat.astype(np.float64)) if numbered else pa.array(output.classes).take(pa.array(flat))
        return _nested(named, places.shape[1:])
    if kind == "probability":
        values = _probabilities(output, values)
    sizes = () if values.shape[1:] in ((), (1,)) else values.shape[1:]
    dtype = np.float64 if kind in ("prediction", "index") and not sizes else np.float32
    return _nested(pa.array(values.reshape(-1).astype(dtype, copy=False)), sizes)


def _nested(flat: pa.Array, sizes: Sequence[int]) -> pa.Array:
    for size in reversed(sizes):
        flat = pa.ListArray.from_arrays(np.arange(0, len(flat) + 1, size, dtype=np.int32), flat)
    return flat


def _probabilities(output: ScoredOutput, values: np.ndarray) -> np.ndarray:
    if output.logits:
        if output.decides == "threshold":
            return np.exp(-np.logaddexp(0, -values))
        powers = np.exp(values - values.max(-1, keepdims=True))
        return powers / powers.sum(-1, keepdims=True)
    if values.size and not (values.min() >= 0 and values.max() <= 1 + 1e-3):
        raise BadInput(
            f"the model's output {output.name!r} gives {values.min():g} to {values.max():g}, which are no probabilities: its last layer "
            "has neither softmax nor sigmoid, and its loss doesn't say from_logits. Ask for output='raw'"
        )
    return values
