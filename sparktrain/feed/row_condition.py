"""How a user finds a row again that a part has come upon: its number there means nothing outside."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from decimal import Decimal
from typing import Any

import pyarrow as pa

_MOST = 6  # values that the condition names
_LONGEST = 60  # characters of one of them


def row_condition(batch: pa.RecordBatch, row: int, hidden: Collection[str | None]) -> str:
    """An SQL condition by the values that a row has in its columns, of arrays the first; empty where they don't tell.

    Args:
        batch: rows as the frame has them.
        row: its number in the batch.
        hidden: columns that the user's frame doesn't have.
    """
    named: list[str] = []
    for name, column in zip(batch.schema.names, batch.columns):
        if name not in hidden:
            named += _equal(f"`{name}`", column[row].as_py())
    # What is one value tells more than the first of an array
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
