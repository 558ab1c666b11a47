"""Choose, from some rows, the columns and the kind of a first model. Pure."""

from __future__ import annotations

import difflib
import keyword
import re
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

MOST_CLASSES = 100  # of a label of strings, or of whole numbers from 0 on
MOST_ODD_CLASSES = 20  # of a label of other whole numbers: more are a measure
MOST_LISTED = 500  # values of a category that the model lists; more are hashed
LONGEST = 200  # steps of a sequence, words of a text
_ENOUGH = 50  # rows from which on values that never come twice are taken for identifiers
_WORDS = 4  # of a usual value, from which on a column is a text
_TAKEN = {"numbers", "inputs", "known", "units", "learning_rate", "keras", "layers", "frame", "model", "f"}
_IDENTIFIER = re.compile(r"(.*[_ -])?(id|uuid|guid|key|index)", re.IGNORECASE)
_VECTOR = {"type", "size", "indices", "values"}  # the fields by which Spark ML's vectors are stored


class InitError(ValueError):
    """A job can't be written for these rows; the message says what was found and what to do."""


@dataclass(frozen=True)
class Feature:
    """One column that the model takes.

    Attributes:
        column: its name in the rows.
        name: its name in the model, an identifier.
        kind: how the model takes it. `category`: one of `values`; `hashed`: a string of many values; `text`: a string of words;
            `items`: an array of strings or whole numbers, each an id; `sequence`: an array of numbers, or of arrays of them, of
            different lengths; `vector`: an array of as many numbers in each row.
        why: in words.
        usual: the mean of its numbers.
        spread: their standard deviation.
        values: of a category.
        shape: of one row: [length] or [length, width].
        is_vector: whether it is one of Spark ML's vectors.
    """

    column: str
    name: str
    kind: Literal["number", "category", "hashed", "text", "items", "sequence", "vector"]
    why: str
    usual: float = 0.0
    spread: float = 1.0
    values: tuple[str, ...] = ()
    shape: tuple[int, ...] = ()
    is_vector: bool = False


@dataclass(frozen=True)
class Target:
    """The label.

    Attributes:
        task: `binary` and `classes` are classifications.
        classes: named in the YAML, in the order of the model's outputs; None where the label is their number already.
        outputs: of the model.
        usual: the mean of a measure.
        spread: its standard deviation.
        floating: whether it may be NaN.
    """

    column: str
    task: Literal["binary", "classes", "regression"]
    why: str
    classes: tuple[Any, ...] | None = None
    outputs: int = 1
    usual: float = 0.0
    spread: float = 1.0
    floating: bool = False


@dataclass(frozen=True)
class Choices:
    """What the model takes, what it predicts, and which columns were left out, by name with the reason."""

    features: tuple[Feature, ...]
    target: Target
    left_out: dict[str, str]


def choose(rows: pa.Table, label: str, labels: pa.ChunkedArray | None = None) -> Choices:
    """Choose features and task.

    Args:
        rows: some of the data's rows.
        label: the column to be predicted.
        labels: its values in more rows than those.

    Raises:
        InitError: there is no such column, its values can't be a label, or no other column can be used.
    """
    if label not in rows.column_names:
        close = difflib.get_close_matches(label, rows.column_names, n=1) or [
            name for name in rows.column_names if name.casefold() == label.casefold()
        ]
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise InitError(f"there is no column {label!r}.{hint} There are {', '.join(rows.column_names)}.")
    target = choose_target(label, rows[label] if labels is None else labels)
    features, left_out, taken = [], {}, {*_TAKEN, label.casefold()}
    for column in rows.column_names:
        if column == label:
            continue
        found = _feature(column, _name(column, taken), rows[column].combine_chunks())
        if isinstance(found, str):
            left_out[column] = found
        else:
            taken.add(found.name.casefold())
            features.append(found)
    if not features:
        reasons = "; ".join(f"{column}: {why}" for column, why in left_out.items()) or "there is none beside the label"
        raise InitError(f"no column can be a feature ({reasons}). docs/data.md has recipes for `data.preprocess`.")
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
            f"column {label!r} is {kind}, which can't be a label: expected numbers, booleans or strings. Write a "
            "job with `data.preprocess` that makes one of it: docs/data.md has recipes."
        )
    if not len(values):
        raise InitError(f"column {label!r} is null in all rows that were looked at: nothing can be learned from it")
    distinct = pc.unique(values).to_pylist()
    if len(distinct) == 1:
        raise InitError(
            f"column {label!r} is {distinct[0]!r} in all {len(values):,} rows that were looked at: nothing can be learned from it"
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
    usual, spread = _scale(np.asarray(values, "float64"))
    return Target(label, "regression", "numbers of many values", usual=usual, spread=spread, floating=floating)


def _named_classes(label: str, distinct: list[str], rows: int) -> Target:
    if len(distinct) > MOST_CLASSES or (rows >= 20 and len(distinct) > rows / 2):
        raise InitError(
            f"column {label!r} has {len(distinct):,} different strings in {rows:,} rows: too many to be classes. Take "
            "another column, or make classes of it in `data.preprocess`."
        )
    task: Literal["binary", "classes"] = "binary" if len(distinct) == 2 else "classes"
    return Target(label, task, f"{len(distinct)} different strings", tuple(distinct), _outputs(len(distinct)))


def _outputs(classes: int) -> int:
    return 1 if classes == 2 else classes


def _name(column: str, taken: set[str]) -> str:
    name = re.sub(r"\W+", "_", column, flags=re.ASCII).strip("_") or "column"
    if name[0].isdigit():
        name = f"x_{name}"
    if keyword.iskeyword(name):
        name += "_"
    count, unique = 2, name
    while unique.casefold() in taken:  # Spark takes upper and lower case for the same
        unique, count = f"{name}_{count}", count + 1
    return unique


def _feature(column: str, name: str, values: pa.Array) -> Feature | str:
    """Return how a column is used, or why it is left out."""
    kind, types = values.type, pa.types
    if types.is_dictionary(kind):
        values, kind = values.dictionary_decode(), kind.value_type
    values = values.drop_null()
    if not len(values):
        return "null in all rows that were looked at"
    if "`" in column:
        return "its name has a backtick: rename it in a `data.preprocess`"
    if types.is_boolean(kind) or types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind):
        return _number(column, name, values)
    if types.is_string(kind) or types.is_large_string(kind):
        return _string(column, name, values)
    if _is_list(kind):
        return _array(column, name, values)
    if types.is_struct(kind) and {field.name for field in kind} == _VECTOR:
        return _ml_vector(column, name, values)
    if types.is_temporal(kind):
        return "a time: its hour, its weekday or the time since something are numbers (docs/data.md, Times)"
    if types.is_struct(kind):
        return f"a struct: name what is wanted of it, such as `{column}.{kind[0].name}`, in `prepare` and `features`"
    if types.is_binary(kind) or types.is_large_binary(kind):
        return "bytes: decode them in `prepare` (docs/data.md, Images)"
    return f"{kind}: make numbers of it in `prepare`"


def _number(column: str, name: str, values: pa.Array) -> Feature | str:
    numbers = np.asarray(values.cast(pa.float64()) if not pa.types.is_boolean(values.type) else values.cast(pa.int8()), "float64")
    numbers = numbers[np.isfinite(numbers)]
    distinct = len(np.unique(numbers))
    if distinct <= 1:
        return "one value in all rows that were looked at"
    if pa.types.is_integer(values.type) and distinct == len(numbers) >= _ENOUGH:
        if _IDENTIFIER.fullmatch(column) or numbers.max() - numbers.min() + 1 == distinct:
            return "every row has a number of its own: an identifier"
    usual, spread = _scale(numbers)
    return Feature(column, name, "number", f"a number, about {usual:g} ± {spread:g}", usual, spread)


def _string(column: str, name: str, values: pa.Array) -> Feature | str:
    distinct = pc.unique(values).to_pylist()
    if len(distinct) == 1:
        return "one value in all rows that were looked at"
    words = np.asarray(pc.list_value_length(pc.utf8_split_whitespace(values)))
    if words.mean() >= _WORDS:
        length = _length(words)
        return Feature(column, name, "text", f"text, of which {length} words are taken", shape=(length,))
    if len(values) >= _ENOUGH and len(distinct) > 0.9 * len(values):
        return "nearly every row has a value of its own: an identifier"
    if len(distinct) <= MOST_LISTED:
        return Feature(column, name, "category", f"one of {len(distinct)} strings", values=tuple(sorted(filter(None, distinct))))
    return Feature(column, name, "hashed", f"one of more than {MOST_LISTED} strings, by its hash", shape=(len(distinct),))


def _array(column: str, name: str, values: pa.Array) -> Feature | str:
    lengths = np.asarray(pc.list_value_length(values), "int64")
    items = values.flatten().drop_null()
    if not len(items):
        return "empty in all rows that were looked at"
    kind, types = items.type, pa.types
    length = _length(lengths)
    if types.is_string(kind) or types.is_large_string(kind):
        return Feature(column, name, "items", f"up to {length} strings, by their hashes", shape=(length,))
    if _is_list(kind):
        return _steps(column, name, items, length)
    if not (types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind)):
        return f"arrays of {kind}: make numbers of them in `prepare`"
    if lengths.min() == lengths.max():
        usual, spread = _scale(np.asarray(items.cast(pa.float64())))
        return Feature(column, name, "vector", f"{lengths[0]} numbers in every row", usual, spread, shape=(int(lengths[0]),))
    if types.is_integer(kind):
        why = f"up to {length} whole numbers, taken for ids (where they are measurements: array<float>)"
        return Feature(column, name, "items", why, shape=(length,))
    usual, spread = _scale(np.asarray(items.cast(pa.float64())))
    return Feature(column, name, "sequence", f"a sequence of up to {length} numbers", usual, spread, shape=(length,))


def _steps(column: str, name: str, steps: pa.Array, length: int) -> Feature | str:
    widths = np.asarray(pc.list_value_length(steps), "int64")
    numbers = steps.flatten().drop_null()
    if widths.min() != widths.max() or not widths[0]:
        return "arrays of arrays of different lengths: make them equal in `prepare`"
    if not (pa.types.is_integer(numbers.type) or pa.types.is_floating(numbers.type)):
        return f"arrays of {steps.type}: make numbers of them in `prepare`"
    usual, spread = _scale(np.asarray(numbers.cast(pa.float64())))
    why = f"a sequence of up to {length} steps of {widths[0]} numbers"
    return Feature(column, name, "sequence", why, usual, spread, shape=(length, int(widths[0])))


def _ml_vector(column: str, name: str, values: pa.Array) -> Feature:
    first = values[0].as_py()
    size = first["size"] if first["type"] == 0 else len(first["values"])
    usual, spread = _scale(np.asarray(values.field("values").flatten().drop_null()))
    if first["type"] == 0:  # a sparse vector's zeros are not stored
        usual = 0.0
    return Feature(column, name, "vector", f"a Spark ML vector of {size} numbers", usual, spread, shape=(size,), is_vector=True)


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def _length(lengths: np.ndarray) -> int:
    """Return the length that 95% of the rows don't exceed."""
    return int(min(max(np.ceil(np.quantile(lengths, 0.95)), 1), LONGEST))


def _scale(numbers: np.ndarray) -> tuple[float, float]:
    """Return mean and standard deviation, in four digits; a deviation of 1 where it would be 0."""
    numbers = numbers[np.isfinite(numbers)]
    if not len(numbers):
        return 0.0, 1.0
    spread = float(f"{numbers.std():.4g}")
    return float(f"{numbers.mean():.4g}"), spread if spread > 0 and np.isfinite(spread) else 1.0
