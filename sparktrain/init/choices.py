"""Chooses the features and the task of a first model from a sample of the rows, by pure functions."""

from __future__ import annotations

import difflib
import keyword
import re
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sparktrain.init.features import Feature, choose_feature, mean_and_std

MOST_CLASSES = 100  # classes of a label of strings, or of whole numbers that start at 0
MOST_ODD_CLASSES = 20  # classes of a label of other whole numbers; with more the label is a quantity
_RESERVED = {"numbers", "inputs", "encoded", "units", "learning_rate", "keras", "layers", "frame", "model", "f"}


class InitError(ValueError):
    """Raised where no job can be written for the rows; the message says what was found and what to do."""


@dataclass(frozen=True)
class Target:
    """The label, and the task that it makes of the job.

    Attributes:
        column: the label's column.
        task: `binary` (a classification with two classes), `classes` (one with more) or `regression`.
        why: the reason for this task, in words for the user.
        classes: the classes for the YAML, in the order of the model's outputs; None if the label is already their number.
        outputs: the number of the model's outputs.
        mean: the mean of a regression's label.
        std: its standard deviation.
        floating: whether the label may be NaN.
    """

    column: str
    task: Literal["binary", "classes", "regression"]
    why: str
    classes: tuple[Any, ...] | None = None
    outputs: int = 1
    mean: float = 0.0
    std: float = 1.0
    floating: bool = False


@dataclass(frozen=True)
class Choices:
    """The features and the label of a first model, and the columns that were left out.

    Attributes:
        features: the model's inputs.
        target: the label.
        left_out: the reason why each of the other columns is no feature, by column.
    """

    features: tuple[Feature, ...]
    target: Target
    left_out: dict[str, str]


def choose(rows: pa.Table, label: str, labels: pa.ChunkedArray | None = None) -> Choices:
    """Choose the features and the task of a model from the types and values of the columns.

    Args:
        rows: a sample of the rows.
        label: the column to predict.
        labels: the label's values in more rows than the sample, if these were read.

    Raises:
        InitError: there is no such column, its values can't be a label, or no other column can be a feature.
    """
    if label not in rows.column_names:
        close = difflib.get_close_matches(label, rows.column_names, n=1) or [
            name for name in rows.column_names if name.casefold() == label.casefold()
        ]
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise InitError(f"there is no column {label!r}.{hint} The columns are {', '.join(rows.column_names)}.")
    target = choose_target(label, rows[label] if labels is None else labels)
    features, left_out, taken = [], {}, {*_RESERVED, label.casefold()}
    for column in rows.column_names:
        if column == label:
            continue
        found = choose_feature(column, _name(column, taken), rows[column].combine_chunks())
        if isinstance(found, str):
            left_out[column] = found
        else:
            taken.add(found.name.casefold())
            features.append(found)
    if not features:
        reasons = "; ".join(f"{column}: {why}" for column, why in left_out.items()) or "the label is the only column"
        raise InitError(f"no column can be a feature ({reasons}). docs/data.md has recipes that make features of such columns.")
    return Choices(tuple(features), target, left_out)


def choose_target(label: str, column: pa.ChunkedArray) -> Target:
    """Choose between classification and regression, from a label's type and values.

    Raises:
        InitError: the values can't be a label.
    """
    kind, types = column.type, pa.types
    values = column.drop_null()
    if types.is_floating(kind):
        values = values.filter(pc.is_finite(values))
    if types.is_decimal(kind):
        values = values.cast(pa.float64())
    fits = (
        types.is_boolean(kind)
        or types.is_integer(kind)
        or types.is_floating(kind)
        or types.is_decimal(kind)
        or types.is_string(kind)
        or types.is_large_string(kind)
    )
    if not fits:
        raise InitError(
            f"column {label!r} has the type {kind}, which can't be a label: expected numbers, booleans or strings. Choose another "
            "column, or write a job whose `data.preprocess` makes a label of this one: docs/data.md has recipes."
        )
    if not len(values):
        raise InitError(
            f"column {label!r} is null in all rows that were read, so nothing can be learned from it. Choose another column, or "
            "rows in which it has values."
        )
    distinct = pc.unique(values).to_pylist()
    if len(distinct) == 1:
        raise InitError(
            f"column {label!r} is {distinct[0]!r} in all {len(values):,} rows that were read, so nothing can be learned from it. "
            "Choose another column, or rows in which it has several values."
        )
    if types.is_boolean(kind):
        return Target(label, "binary", "true or false")
    if types.is_string(kind) or types.is_large_string(kind):
        return _named_classes(label, sorted(distinct), len(values))
    whole = all(float(value).is_integer() for value in distinct)
    ordered = sorted(int(value) for value in distinct) if whole else []
    floating = not types.is_integer(kind)
    if ordered == [0, 1]:
        return Target(label, "binary", "0 or 1", floating=floating)
    repeated = len(values) >= 5 * len(distinct)
    if repeated and ordered == list(range(len(ordered))) and 0 < len(ordered) <= MOST_CLASSES:
        return Target(label, "classes", f"whole numbers from 0 to {ordered[-1]}", outputs=len(ordered), floating=floating)
    if repeated and not floating and 0 < len(ordered) <= MOST_ODD_CLASSES:
        why = f"{len(ordered)} different whole numbers"
        return Target(label, "binary" if len(ordered) == 2 else "classes", why, tuple(ordered), _outputs(len(ordered)))
    mean, std = mean_and_std(np.asarray(values, "float64"))
    return Target(label, "regression", "numbers with many different values", mean=mean, std=std, floating=floating)


def _named_classes(label: str, distinct: list[str], rows: int) -> Target:
    if len(distinct) > MOST_CLASSES or (rows >= 20 and len(distinct) > rows / 2):
        raise InitError(
            f"column {label!r} has {len(distinct):,} different strings in {rows:,} rows, which are too many for classes. Choose "
            "another column, or write a job whose `data.preprocess` makes classes of it."
        )
    task: Literal["binary", "classes"] = "binary" if len(distinct) == 2 else "classes"
    return Target(label, task, f"{len(distinct)} different strings", tuple(distinct), _outputs(len(distinct)))


def _outputs(classes: int) -> int:
    """Return how many outputs a model of so many classes has."""
    return 1 if classes == 2 else classes


def _name(column: str, taken: set[str]) -> str:
    """Return an identifier for a column that is not in `taken`, which has names in lower case."""
    name = re.sub(r"\W+", "_", column, flags=re.ASCII).strip("_") or "column"
    if name[0].isdigit():
        name = f"x_{name}"
    if keyword.iskeyword(name):
        name += "_"
    count, unique = 2, name
    while unique.casefold() in taken:  # Spark doesn't distinguish upper and lower case
        unique, count = f"{name}_{count}", count + 1
    return unique
