"""A model as it is served: columns go in, scores come out, by the run's signature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from sparktrain.export.errors import ExportError
from sparktrain.export.operations import Conditions, Operations
from sparktrain.feed.strings import DTYPE as STRINGS
from sparktrain.ml.score_plan import Kind, ScoredOutput
from sparktrain.runs.records.signature import Signature, SignatureColumn, SignatureInput
from sparktrain.training.model import input_template


class ServedModel(tf.Module):
    """A model with the stages of a pipeline in front of it.

    Args:
        model: the trained Keras model.
        signature: the run's signature.
        operations: the stages in front of it, in their order.
        outputs: what the numbers of its outputs stand for.
        scores: what comes out, as `made_columns` names it: of each its name, the number of the output, and the kind.
    """

    def __init__(
        self,
        model: keras.Model,
        signature: Signature,
        operations: Sequence[Operations],
        outputs: Sequence[ScoredOutput],
        scores: Sequence[tuple[str, int, Kind]],
    ) -> None:
        super().__init__()
        self.model = model
        self.tables = [table for each in operations for table in each.tables]  # which are saved for being attributes
        self._signature, self._operations = signature, tuple(operations)
        self._outputs, self._scores = tuple(outputs), tuple(scores)
        rows = {each.name: (tuple(each.shape), each.dtype) for each in signature.inputs}
        self._template = input_template(
            model, {name: (shape, STRINGS if dtype == "string" else np.dtype(dtype)) for name, (shape, dtype) in rows.items()}
        )
        self._converted = tf.function(self.call)  # whose layers may have Python's if and for on tensors
        self.inputs = {name: tf.TensorSpec((None, *shape), tf.as_dtype(dtype)) for name, (shape, dtype) in rows.items()}

    @tf.autograph.experimental.do_not_convert
    def score(self, columns: Mapping[str, Any], refuse: bool = True) -> dict[str, Any]:
        """Return the scores by name, for tensors by column.

        Args:
            columns: the columns' tensors.
            refuse: refuse all rows of a call in which one can't be scored. Otherwise such a row's numbers are NaN, its whole numbers -1, and
                its texts empty.

        Raises:
            InvalidArgumentError: a row can't be scored; the message names its column.
        """
        conditions = Conditions()
        known = dict(columns)
        for each in self._operations:
            made = each.run(conditions, [known[name] for name in each.stage.reads])
            known.update(zip(each.stage.makes, made))
        inputs = {each.name: _input(each, known, conditions) for each in self._signature.inputs}
        with tf.control_dependencies(conditions.assertions() if refuse else []):
            inputs = {name: tf.identity(value) for name, value in inputs.items()}
        raw = list(self._converted(inputs).values())
        scores = {name: _score(self._outputs[number], kind, raw[number]) for name, number, kind in self._scores}
        met = conditions.all_met()
        if refuse or met is None:
            return scores
        return {name: _where(met, value) for name, value in scores.items()}

    def call(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Return the model's outputs by name, for tensors by input."""
        outputs = self.model(keras.tree.map_structure(lambda name: inputs[name], self._template), training=False)
        return dict(zip((output.name for output in self._outputs), keras.tree.flatten(outputs)))


def _input(each: SignatureInput, known: Mapping[str, Any], conditions: Conditions) -> Any:
    """Return one input's tensor [n, *shape], as sparktrain.feed makes it in training."""
    dtype = tf.as_dtype(each.dtype)
    parts = []
    for column in each.columns:
        part = known[column.column]
        if isinstance(part, tf.RaggedTensor):
            raise ExportError(
                f"column {column.column!r}, words of texts, goes into the model's input {each.name!r} as it is: an export can't have that. "
                "Expected a stage behind it that makes a vector, or texts that the model takes apart by itself"
            )
        if column.length is not None:
            part = _padded(part, column)
        if part.dtype.is_floating:
            fine = tf.math.is_finite(part)
            fine = tf.reduce_all(fine, list(range(1, part.shape.rank))) if part.shape.rank > 1 else fine
            conditions.require(fine, f"column {column.column} is NaN or infinite")
        parts.append(part if part.dtype == tf.string else tf.cast(part, dtype))
    if len(parts) == 1:
        return tf.reshape(parts[0], (-1, *each.shape))
    count = tf.shape(parts[0])[0]
    return tf.reshape(tf.concat([tf.reshape(part, (count, -1)) for part in parts], 1), (-1, *each.shape))


def _padded(part: Any, column: SignatureColumn) -> Any:
    """Return sequences [n, any, …] as [n, length, …], padded and cut where the column says."""
    assert column.length is not None
    size = tf.shape(part)[1]
    part = part[:, -column.length :] if column.side == "pre" else part[:, : column.length]
    missing = tf.maximum(column.length - size, 0)
    ends = [missing, 0] if column.side == "pre" else [0, missing]
    value = "" if part.dtype == tf.string else tf.cast(column.pad, part.dtype)
    return tf.pad(part, [[0, 0], ends, *([[0, 0]] * (part.shape.rank - 2))], constant_values=value)


def _score(output: ScoredOutput, kind: Kind, values: Any) -> Any:
    """Return a score of an output's numbers [n, …], as sparktrain.score gives it: one number a row where the output has one."""
    if kind == "probability" and output.logits:
        values = tf.sigmoid(values) if output.decides == "threshold" else tf.nn.softmax(values)
    if kind in ("prediction", "index") and output.decides != "value":
        if output.decides == "largest":
            places = tf.argmax(values, -1)
        else:
            shape = tf.shape(values)[:-1] if len(output.shape) > 0 else tf.shape(values)
            places = tf.cast(tf.reshape(values, shape) > (0.0 if output.logits else 0.5), tf.int64)
        if output.classes is None or kind == "index":
            return tf.cast(places, tf.float64)
        return tf.gather(tf.constant(output.classes), places)
    if values.shape.rank == 2 and values.shape[1] == 1:
        values = values[:, 0]
    alone = kind in ("prediction", "index") and values.shape.rank == 1
    return tf.cast(values, tf.float64 if alone else tf.float32)


def _where(met: Any, values: Any) -> Any:
    if values.dtype == tf.bool:
        values = tf.cast(values, tf.int64)  # which has a value for neither
    other = "" if values.dtype == tf.string else float("nan") if values.dtype.is_floating else -1
    met = tf.reshape(met, [-1] + [1] * (values.shape.rank - 1))
    return tf.where(met, values, tf.constant(other, values.dtype))
