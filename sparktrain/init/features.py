"""Chooses how a model takes a column, from the types and values of a sample of its rows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

MOST_LISTED = 500  # values of a category that the model lists; with more they are hashed
LONGEST = 200  # steps of a sequence, words of a text
_ENOUGH = 50  # rows from which on values that are all different are taken for identifiers
_WORDS = 4  # words of an average value from which on a column is a text
_IDENTIFIER = re.compile(r"(.*[_ -])?(id|uuid|guid|key|index)", re.IGNORECASE)
_VECTOR = {"type", "size", "indices", "values"}  # the fields of the struct that stores a Spark ML vector


@dataclass(frozen=True)
class Feature:
    """A column that is an input of the model.

    Attributes:
        column: the column's name in the rows.
        name: its name in the model, an identifier.
        kind: how the model takes it. `number`; `category`: one of `values`; `hashed`: a string with many different values;
            `text`: a string of words; `items`: an array of strings or whole numbers, each an id; `sequence`: an array of
            numbers, or of arrays of numbers, of different lengths; `vector`: an array of numbers, as many in each row.
        why: the reason for this kind, in words for the user.
        mean: the mean of its numbers.
        std: their standard deviation.
        values: the values of a category.
        shape: the shape of one row: [length] or [length, width].
        is_vector: whether it is a Spark ML vector.
    """

    column: str
    name: str
    kind: Literal["number", "category", "hashed", "text", "items", "sequence", "vector"]
    why: str
    mean: float = 0.0
    std: float = 1.0
    values: tuple[str, ...] = ()
    shape: tuple[int, ...] = ()
    is_vector: bool = False


def choose_feature(column: str, name: str, values: pa.Array) -> Feature | str:
    """Return the feature that a column becomes, or the reason why it is left out.

    Args:
        column: the column's name in the rows.
        name: its name in the model.
        values: its values in the sample.
    """
    kind, types = values.type, pa.types
    if types.is_dictionary(kind):
        values, kind = values.dictionary_decode(), kind.value_type
    values = values.drop_null()
    if not len(values):
        return "null in all rows that were read"
    if "`" in column:
        return "its name has a backtick: rename it in `prepare`"
    if types.is_boolean(kind) or types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind):
        return _number(column, name, values)
    if types.is_string(kind) or types.is_large_string(kind):
        return _string(column, name, values)
    if _is_list(kind):
        return _array(column, name, values)
    if types.is_struct(kind) and {field.name for field in kind} == _VECTOR:
        return _ml_vector(column, name, values)
    if types.is_temporal(kind):
        return "a time: compute numbers from it in `prepare`, such as its hour or its weekday (docs/data.md, Times)"
    if types.is_struct(kind):
        return f"a struct: to use a field of it, select `{column}.{kind[0].name}` in `prepare` and add it to `features`"
    if types.is_binary(kind) or types.is_large_binary(kind):
        return "bytes: decode them in `prepare` (docs/data.md, Images)"
    return f"its type is {kind}: compute numbers from it in `prepare`"


def _number(column: str, name: str, values: pa.Array) -> Feature | str:
    numbers = np.asarray(values.cast(pa.float64()) if not pa.types.is_boolean(values.type) else values.cast(pa.int8()), "float64")
    numbers = numbers[np.isfinite(numbers)]
    distinct = len(np.unique(numbers))
    if distinct <= 1:
        return "one value in all rows that were read"
    if pa.types.is_integer(values.type) and distinct == len(numbers) >= _ENOUGH:
        if _IDENTIFIER.fullmatch(column) or numbers.max() - numbers.min() + 1 == distinct:
            return "an identifier: its number is different in every row"
    mean, std = mean_and_std(numbers)
    return Feature(column, name, "number", f"a number, about {mean:g} ± {std:g}", mean, std)


def _string(column: str, name: str, values: pa.Array) -> Feature | str:
    distinct = pc.unique(values).to_pylist()
    if len(distinct) == 1:
        return "one value in all rows that were read"
    words = np.asarray(pc.list_value_length(pc.utf8_split_whitespace(values)))
    if words.mean() >= _WORDS:
        length = _length(words)
        return Feature(column, name, "text", f"text, of which up to {length} words are used", shape=(length,))
    if len(values) >= _ENOUGH and len(distinct) > 0.9 * len(values):
        return "an identifier: its value is different in nearly every row"
    if len(distinct) <= MOST_LISTED:
        return Feature(column, name, "category", f"one of {len(distinct)} strings", values=tuple(sorted(filter(None, distinct))))
    return Feature(column, name, "hashed", f"one of more than {MOST_LISTED} strings, hashed", shape=(len(distinct),))


def _array(column: str, name: str, values: pa.Array) -> Feature | str:
    lengths = np.asarray(pc.list_value_length(values), "int64")
    items = values.flatten().drop_null()
    if not len(items):
        return "empty in all rows that were read"
    kind, types = items.type, pa.types
    length = _length(lengths)
    if types.is_string(kind) or types.is_large_string(kind):
        return Feature(column, name, "items", f"up to {length} strings, hashed", shape=(length,))
    if _is_list(kind):
        return _steps(column, name, items, length)
    if not (types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind)):
        return f"arrays of {kind}: compute numbers from them in `prepare`"
    if lengths.min() == lengths.max():
        mean, std = mean_and_std(np.asarray(items.cast(pa.float64())))
        return Feature(column, name, "vector", f"{lengths[0]} numbers in every row", mean, std, shape=(int(lengths[0]),))
    if types.is_integer(kind):
        why = f"up to {length} whole numbers, taken as ids (if they are quantities, cast the column to array<float>)"
        return Feature(column, name, "items", why, shape=(length,))
    mean, std = mean_and_std(np.asarray(items.cast(pa.float64())))
    return Feature(column, name, "sequence", f"a sequence of up to {length} numbers", mean, std, shape=(length,))


def _steps(column: str, name: str, steps: pa.Array, length: int) -> Feature | str:
    widths = np.asarray(pc.list_value_length(steps), "int64")
    numbers = steps.flatten().drop_null()
    if widths.min() != widths.max() or not widths[0]:
        return "arrays of arrays of different lengths: give the inner arrays one length in `prepare`"
    if not (pa.types.is_integer(numbers.type) or pa.types.is_floating(numbers.type)):
        return f"arrays of {steps.type}: compute numbers from them in `prepare`"
    mean, std = mean_and_std(np.asarray(numbers.cast(pa.float64())))
    why = f"a sequence of up to {length} steps of {widths[0]} numbers"
    return Feature(column, name, "sequence", why, mean, std, shape=(length, int(widths[0])))


def _ml_vector(column: str, name: str, values: pa.Array) -> Feature:
    first = values[0].as_py()
    size = first["size"] if first["type"] == 0 else len(first["values"])
    mean, std = mean_and_std(np.asarray(values.field("values").flatten().drop_null()))
    if first["type"] == 0:  # a sparse vector's zeros are not stored
        mean = 0.0
    return Feature(column, name, "vector", f"a Spark ML vector of {size} numbers", mean, std, shape=(size,), is_vector=True)


def _is_list(kind: pa.DataType) -> bool:
    """Return whether an Arrow type is one of its three kinds of lists."""
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def _length(lengths: np.ndarray) -> int:
    """Return the length that 95% of the rows don't exceed."""
    return int(min(max(np.ceil(np.quantile(lengths, 0.95)), 1), LONGEST))


def mean_and_std(numbers: np.ndarray) -> tuple[float, float]:
    """Return the mean and the standard deviation of the finite numbers, rounded to four digits; 1 for a deviation of 0."""
    numbers = numbers[np.isfinite(numbers)]
    if not len(numbers):
        return 0.0, 1.0
    std = float(f"{numbers.std():.4g}")
    return float(f"{numbers.mean():.4g}"), std if std > 0 and np.isfinite(std) else 1.0
