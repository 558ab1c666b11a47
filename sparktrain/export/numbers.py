"""Stages that calculate with numbers and vectors, in float64 as Spark does."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from sparktrain.export.errors import ExportError
from sparktrain.export.operations import Conditions, Operations, Run, as_double, each_column
from sparktrain.export.saved_stages import SavedStage, as_matrix, as_number, as_vector


def vector_assembler(stage: SavedStage) -> Operations:
    """From numbers and vectors to one vector."""

    def run(conditions: Conditions, columns: Sequence[Any]) -> Sequence[Any]:
        parts = []
        for name, column in zip(stage.reads, columns):
            part = as_double(column)
            if part.shape.rank == 1:
                if stage.params["handleInvalid"] != "keep":
                    conditions.require(~tf.math.is_nan(part), f"column {name} is NaN, which {stage} refuses")
                part = part[:, None]
            parts.append(part)
        return [tf.concat(parts, 1)]

    return Operations(stage, run)


def imputer(stage: SavedStage) -> Operations:
    """Numbers, with those that are missing replaced."""
    missing = stage.number("missingValue")

    def run(conditions: Conditions, columns: Sequence[Any]) -> Sequence[Any]:
        made = []
        for name, column in zip(stage.reads, columns):
            surrogate = tf.cast(tf.constant(float(stage.rows[0][name]), tf.float64), column.dtype)
            absent = tf.zeros_like(column, tf.bool)
            if column.dtype.is_floating:
                absent = tf.math.is_nan(column)  # a null comes as NaN
            if not math.isnan(missing):
                absent |= column == tf.cast(missing, column.dtype)
            made.append(tf.where(absent, surrogate, column))
        return made

    return Operations(stage, run)


def bucketizer(stage: SavedStage) -> Operations:
    """From numbers to the numbers of their buckets, [from, to), the last one with its end."""
    several = stage.params.get("splitsArray") or [stage.params["splits"]]
    keeps = stage.params["handleInvalid"] == "keep"

    def run(conditions: Conditions, columns: Sequence[Any]) -> Sequence[Any]:
        made = []
        for name, column, ends in zip(stage.reads, columns, several):
            value, splits = as_double(column), np.array([as_number(end) for end in ends])
            absent = tf.math.is_nan(value)
            reached = tf.reduce_sum(tf.cast(value[:, None] >= splits[None, :], tf.int64), 1)
            bucket = tf.minimum(reached - 1, len(splits) - 2)
            inside = (reached > 0) & (value <= splits[-1])
            conditions.require(inside | absent, f"column {name} is outside of the splits of {stage}")
            if keeps:
                bucket = tf.where(absent, tf.constant(len(splits) - 1, tf.int64), bucket)
            else:
                conditions.require(~absent, f"column {name} is NaN, which {stage} refuses")
            made.append(tf.cast(bucket, tf.float64))
        return made

    return Operations(stage, run)


def binarizer(stage: SavedStage) -> Operations:
    """1 where a number is above the threshold, else 0; also in vectors."""
    several = stage.params.get("thresholds") or [stage.params["threshold"]] * len(stage.reads)

    def run(conditions: Conditions, columns: Sequence[Any]) -> Sequence[Any]:
        return [tf.cast(as_double(column) > as_number(limit), tf.float64) for column, limit in zip(columns, several)]

    return Operations(stage, run)


def standard_scaler(stage: SavedStage) -> Operations:
    """Vectors less their mean, by their standard deviation; 0 where that is 0."""
    mean, std = as_vector(stage.rows[0]["mean"]), as_vector(stage.rows[0]["std"])
    factor = np.divide(1, std, out=np.zeros_like(std), where=std != 0) if stage.params["withStd"] else np.ones_like(std)
    return Operations(stage, _vectors(lambda vector: (vector - (mean if stage.params["withMean"] else 0)) * factor))


def min_max_scaler(stage: SavedStage) -> Operations:
    """Vectors from the range that was seen to another; its middle where all values were the same."""
    least, most = as_vector(stage.rows[0]["originalMin"]), as_vector(stage.rows[0]["originalMax"])
    low, high = stage.number("min"), stage.number("max")
    spread = most - least
    factor = np.divide(high - low, spread, out=np.zeros_like(spread), where=spread != 0)
    constant = np.where(spread != 0, low, (low + high) / 2)
    return Operations(stage, _vectors(lambda vector: (vector - least) * factor + constant))


def max_abs_scaler(stage: SavedStage) -> Operations:
    """Vectors by the greatest absolute value that was seen."""
    most = as_vector(stage.rows[0]["maxAbs"])
    return Operations(stage, _vectors(lambda vector: vector / np.where(most == 0, 1, most)))


def robust_scaler(stage: SavedStage) -> Operations:
    """Vectors less their median, by the range between two quantiles; 0 where that is 0."""
    median, spread = as_vector(stage.rows[0]["median"]), as_vector(stage.rows[0]["range"])
    factor = np.divide(1, spread, out=np.zeros_like(spread), where=spread != 0)
    if not stage.params["withScaling"]:
        factor = np.ones_like(spread)
    return Operations(stage, _vectors(lambda vector: (vector - (median if stage.params["withCentering"] else 0)) * factor))


def normalizer(stage: SavedStage) -> Operations:
    """Vectors by their p-norm; those of norm 0 as they are."""
    p = stage.number("p")

    def run(vector: Any) -> Any:
        size = tf.abs(vector)
        if math.isinf(p):
            norm = tf.reduce_max(size, 1, keepdims=True)
        else:
            norm = tf.reduce_sum(size**p, 1, keepdims=True) ** (1 / p)
        return vector / tf.where(norm == 0, tf.ones_like(norm), norm)

    return Operations(stage, _vectors(run))


def elementwise_product(stage: SavedStage) -> Operations:
    """Vectors times a vector, number by number."""
    return Operations(stage, _vectors(lambda vector: vector * as_vector(stage.params["scalingVec"])))


def pca(stage: SavedStage) -> Operations:
    """Vectors on their principal components."""
    return Operations(stage, _vectors(lambda vector: tf.matmul(vector, as_matrix(stage.rows[0]["pc"]))))


def idf(stage: SavedStage) -> Operations:
    """Counts of terms, each times its inverse document frequency."""
    return Operations(stage, _vectors(lambda vector: vector * as_vector(stage.rows[0]["idf"])))


def selector(stage: SavedStage) -> Operations:
    """Some numbers of vectors, as a selector has chosen them."""
    chosen = sorted(stage.rows[0]["selectedFeatures"])
    return Operations(stage, _vectors(lambda vector: tf.gather(vector, chosen, axis=1)))


def _vectors(function: Callable[[Any], Any]) -> Run:
    return each_column(lambda conditions, column: function(as_double(column)))


def vector_slicer(stage: SavedStage) -> Operations:
    """Some numbers of vectors, in the order of their places.

    Raises:
        ExportError: they are chosen by names.
    """
    if stage.params["names"]:
        raise ExportError(f"{stage} chooses by names, which vectors outside of Spark don't have: expected indices")
    return Operations(stage, _vectors(lambda vector: tf.gather(vector, stage.params["indices"], axis=1)))
