"""Describes a row by an SQL condition, so that a user can find it: its number in a part means nothing elsewhere."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from decimal import Decimal
from typing import Any

import pyarrow as pa

_MOST = 6  # values that the condition names
_LONGEST = 60  # characters of one of them


def row_condition(batch: pa.RecordBatch, row: int, hidden: Collection[str | None]) -> str:
    """Return an SQL condition with up to 6 of a row's values, of arrays the first element; empty if none can be used.

    Args:
        batch: rows of the prepared frame.
        row: the row's index in the batch.
        hidden: columns that the user's frame doesn't have.
    """
    named: list[str] = []
    for name, column in zip(batch.schema.names, batch.columns):
        if name not in hidden:
            named += _equal(f"`{name}`", column[row].as_py())
    # A single value identifies a row better than an array's first element
    return " AND ".join(sorted(named, key=lambda each: "[" in each)[:_MOST])


def _equal(name: str, value: Any) -> Iterator[str]:
    if isinstance(value, list):
        if value:
            yield from _equal(f"{name}[0]", value[0])
        return
    if value is None:
        yield f"{name} IS NULL"
    elif isinstance(value, bool):
        yield f"{name} = {str(value).lower()}"
    elif isinstance(value, str) and len(value) <= _LONGEST:
        text = value.replace("\\", "\\\\").replace("'", "\\'")
        yield f"{name} = '{text}'"
    elif isinstance(value, float):
        yield f"{name} = {value!r}" if math.isfinite(value) else f"{name} = double('{value}')"
    elif isinstance(value, (int, Decimal)):
        yield f"{name} = {value}"
