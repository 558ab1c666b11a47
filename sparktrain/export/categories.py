"""Stages that number categories: StringIndexer, IndexToString, OneHotEncoder, TargetEncoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from sparktrain.export.operations import Conditions, Operations, each_column, look_up, table
from sparktrain.export.saved_stages import SavedStage

_UNSEEN, _NULL = 2147483647.0, -1.0  # what TargetEncoder numbers what it had not seen, and null


def string_indexer(stage: SavedStage) -> Operations:
    """From texts, or what Spark would make texts of, to the number of the label, float64."""
    labels = stage.rows[0]["labelsArray"] if "labelsArray" in stage.rows[0] else [stage.rows[0]["labels"]]
    keeps = stage.params["handleInvalid"] == "keep"
    tables = [table(tf.constant(each, tf.string), range(len(each)), -1) for each in labels]

    def run(conditions: Conditions, columns: Sequence[Any]) -> Sequence[Any]:
        made = []
        for name, column, known, of_text in zip(stage.reads, columns, labels, tables):
            index = look_up(of_text, column) if column.dtype == tf.string else _number_of(column, known)
            if keeps:
                index = tf.where(index < 0, tf.constant(len(known), tf.int64), index)
            else:
                conditions.require(index >= 0, f"column {name} has a value that was not there when {stage} was fitted")
            made.append(tf.cast(index, tf.float64))
        return made

    return Operations(stage, run, tables)


def _number_of(column: Any, labels: Sequence[str]) -> Any:
    """Return the places of numbers [n] among labels, which are numbers as Java writes them; -1 for none."""
    if column.dtype == tf.bool:
        values: list[Any] = [label == "true" for label in labels]
    else:
        parsed = int if column.dtype.is_integer else float
        values = []
        for label in labels:
            try:
                values.append(parsed(label))
            except ValueError:  # which no number is written as
                values.append(np.iinfo(np.int64).min if parsed is int else np.nan)
    same = column[:, None] == tf.constant(values, column.dtype)[None, :]
    return tf.where(tf.reduce_any(same, 1), tf.argmax(tf.cast(same, tf.int32), 1), tf.constant(-1, tf.int64))


def index_to_string(stage: SavedStage) -> Operations:
    """From the number of a label to the label."""
    labels = tf.constant(stage.params["labels"], tf.string)

    def run(conditions: Conditions, column: Any) -> Any:
        index = tf.cast(column, tf.int64)
        inside = (index >= 0) & (index < len(stage.params["labels"]))
        conditions.require(inside, f"column {stage.reads[0]} has a number that {stage} has no label for")
        return tf.gather(labels, tf.where(inside, index, tf.zeros_like(index)))

    return Operations(stage, each_column(run))


def one_hot_encoder(stage: SavedStage) -> Operations:
    """From the number of a category to a vector that is 1 there, float64."""
    keeps, drops = stage.params["handleInvalid"] == "keep", stage.params["dropLast"]

    def run(conditions: Conditions, columns: Sequence[Any]) -> Sequence[Any]:
        made = []
        for name, column, size in zip(stage.reads, columns, stage.rows[0]["categorySizes"]):
            index = tf.cast(column, tf.int64)
            inside = (index >= 0) & (index < size)
            if keeps:
                index = tf.where(inside, index, tf.constant(size, tf.int64))
            else:
                conditions.require(inside, f"column {name} has a number of a category that was not there when {stage} was fitted")
            places = tf.range(size + keeps - drops, dtype=tf.int64)
            made.append(tf.cast(index[:, None] == places[None, :], tf.float64))
        return made

    return Operations(stage, run)


def target_encoder(stage: SavedStage) -> Operations:
    """From the number of a category to the mean of the label among its rows, smoothed as org.apache.spark.ml.feature.TargetEncoder does.

    With n rows of the category and a smoothing s: n / (n + s) of the category's mean and s / (n + s) of all rows'.
    """
    keeps = stage.params["handleInvalid"] == "keep"
    encodings = [_encoding(stage, row) for row in sorted(stage.rows, key=lambda row: row["index"])]
    tables = [table(tf.constant(list(known), tf.int64), range(len(known)), -1) for known, _ in encodings]

    def run(conditions: Conditions, columns: Sequence[Any]) -> Sequence[Any]:
        made = []
        for name, column, (known, unseen), places in zip(stage.reads, columns, encodings, tables):
            place = look_up(places, tf.cast(column, tf.int64))
            if not keeps:
                conditions.require(
                    place >= 0, f"column {name} has a number of a category that was not there when {stage} was fitted"
                )
            values = tf.constant([*known.values(), unseen], tf.float64)
            made.append(tf.gather(values, tf.where(place < 0, tf.constant(len(known), tf.int64), place)))
        return made

    return Operations(stage, run, tables)


def _encoding(stage: SavedStage, row: dict[str, Any]) -> tuple[dict[int, float], float]:
    """Return the value of each category, and that of one that was not seen."""
    smoothing = stage.number("smoothing")
    of = dict(zip(row["categories"], zip(row["counts"], row["stats"])))
    binary = stage.params["targetType"] == "binary"  # then `stats` count the rows whose label is 1, else they are means

    def mean(count: float, stat: float) -> float:
        return stat / count if binary else stat

    overall = mean(*of[_UNSEEN])
    known = {}
    for category, (count, stat) in of.items():
        if category not in (_UNSEEN, _NULL):
            weight = count / (count + smoothing)
            known[int(category)] = weight * mean(count, stat) + (1 - weight) * overall
    return known, overall
