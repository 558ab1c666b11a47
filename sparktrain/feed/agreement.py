"""Finds what all parts agree on once each has filled its segments: shapes, dtypes and counts."""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sparktrain.feed.errors import BadInput, NoRows
from sparktrain.feed.filled import Filled
from sparktrain.feed.labels import MOST_CLASSES

_SHOWN = 4  # different descriptions that are compared at most, and parts that an error names for each


def agree(filled: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return what the parts have in common, given the descriptions of all of them.

    Args:
        filled: `Filled.to_json` of every part, by part. A part without rows gets the shapes of the others.

    Returns:
        For JSON: "inputs" {name: {"shape", "dtype"}} and "label" {"shape", "dtype"} of one row, "label_range"
        [least, greatest], "more_label_ranges" of the labels of further outputs, "weighted", "counts", "digests" and
        "validation_counts" of each part, "bytes" of all segments.

    Raises:
        BadInput: the parts have rows of different shapes.
        NoRows: there are no training rows.
    """
    parts = [Filled.from_json(part) for part in filled]
    summaries = [_summary(part) for part in parts]
    return _agreement(summaries, {number: _description(parts[number]) for number in _first_of_each(summaries)})


def agree_through(gather: Callable[[str], list[str]], part: int, filled: Filled) -> dict[str, Any]:
    """Return what the parts have in common, where each part has only its own description. Collective.

    The description of a row's columns is exchanged only if a part has no rows or parts differ, and then once: with 10,000
    columns it is half a megabyte.

    Args:
        gather: exchanges strings: given this part's, it returns every part's, by part; called once or twice.
        part: this part's number.
        filled: this part's description.

    Returns:
        See `agree`; the same on every part.

    Raises:
        BadInput, NoRows: see `agree`; raised on every part.
    """
    summaries = [json.loads(text) for text in gather(json.dumps(_summary(filled)))]
    first = _first_of_each(summaries)
    if len(first) == 1 and all(each["digest"] is not None for each in summaries):
        return _agreement(summaries, {first[0]: _description(filled)})
    packed = base64.b64encode(zlib.compress(_dumped(_description(filled)))).decode() if part in first else ""
    texts = gather(packed)
    return _agreement(summaries, {number: json.loads(zlib.decompress(base64.b64decode(texts[number]))) for number in first})


def _summary(filled: Filled) -> dict[str, Any]:
    """Return a summary of a part in a few hundred bytes; its digest of the columns is None if the part has no rows."""
    return {
        "digest": None if filled.inputs is None else hashlib.sha256(_dumped(_description(filled))).hexdigest(),
        "rows": filled.rows,
        "rows_digest": filled.digest,
        "validation_rows": filled.validation_rows,
        "bytes": filled.bytes,
        "label_ranges": None if filled.label_range is None else {"": filled.label_range, **filled.more_label_ranges},
        "weighted": filled.weighted,
    }


def _description(filled: Filled) -> dict[str, Any]:
    """Return the description of one row's columns."""
    return {"inputs": filled.inputs, "label": filled.label}


def _dumped(described: dict[str, Any]) -> bytes:
    return json.dumps(described).encode()


def _first_of_each(summaries: Sequence[dict[str, Any]]) -> list[int]:
    """Return the first part with each distinct description, at most 4."""
    first: dict[str, int] = {}
    for number, part in enumerate(summaries):
        if part["digest"] is not None:
            first.setdefault(part["digest"], number)
    return list(first.values())[:_SHOWN]


def _agreement(summaries: Sequence[dict[str, Any]], descriptions: Mapping[int, dict[str, Any]]) -> dict[str, Any]:
    """Return the result of `agree`.

    Args:
        summaries: the summary of each part.
        descriptions: the distinct descriptions, each by the first part that has it.
    """
    counts = [part["rows"] for part in summaries]
    validation_counts = [part["validation_rows"] for part in summaries]
    if not sum(counts):
        raise NoRows(
            f"no training rows: all {len(summaries)} parts are empty, with {sum(validation_counts):,} validation rows. "
            "Check which of data.path, data.where, data.preprocess, data.sample and data.validation leaves none."
        )
    known = [
        (descriptions[number], [other for other, part in enumerate(summaries) if part["digest"] == summaries[number]["digest"]])
        for number in sorted(descriptions)
    ]
    first, _ = known[0]
    inputs = {}
    for name, described in first["inputs"].items():
        for index in range(len(described["columns"])):
            _check_same(known, _input_column(name, index))
        inputs[name] = {"shape": described["shape"], "dtype": described["dtype"]}
    _check_same(known, lambda part: part["label"])
    parts = [part["label_ranges"] for part in summaries if part["label_ranges"] is not None]
    ranges = {name: [min(part[name][0] for part in parts), max(part[name][1] for part in parts)] for name in parts[0]}
    return {
        "inputs": inputs,
        "label": {"shape": first["label"]["shape"], "dtype": first["label"]["dtype"]},
        "label_range": ranges.pop(""),
        "more_label_ranges": ranges,
        "weighted": summaries[0]["weighted"],
        "counts": counts,
        "digests": [part["rows_digest"] for part in summaries],
        "validation_counts": validation_counts,
        "bytes": sum(part["bytes"] for part in summaries),
    }


def label_counts(counts: Sequence[list[list[int]] | None]) -> list[list[int]] | None:
    """Add up the training rows of each label over the parts.

    Args:
        counts: `Filled.label_counts` of every part.

    Returns:
        [label, rows] in the labels' order; None if there are too many, or they are no whole numbers, so no classes.
    """
    total: Counter[int] = Counter()
    for part in counts:
        if part is None:
            return None
        for label, rows in part:
            total[label] += rows
    return [[label, rows] for label, rows in sorted(total.items())] if len(total) <= MOST_CLASSES else None


def _input_column(name: str, index: int) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return what finds a column of an input in a description."""
    return lambda part: part["inputs"][name]["columns"][index]


def _check_same(known: Sequence[tuple[dict[str, Any], list[int]]], column_of: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Raise BadInput if a column, which `column_of` returns from a description, isn't the same in all of them."""
    first = column_of(known[0][0])
    forms: dict[str, list[int]] = {}
    for described, numbers in known:
        column = column_of(described)
        forms.setdefault(f"{column['shape']} of {column['dtype']}", []).extend(numbers)
    if len(forms) > 1:
        came = "; ".join(f"{form} in {_named(parts)}" for form, parts in forms.items())
        raise BadInput(
            f"column {first['column']!r}: rows have different shapes: {came}. All rows must have one shape: give the "
            "column a `length` to pad or cut it to, or make its arrays equal in data.preprocess."
        )


def _named(parts: Sequence[int]) -> str:
    shown = ", ".join(map(str, sorted(parts)[:_SHOWN])) + (f" and {len(parts) - _SHOWN} more" if len(parts) > _SHOWN else "")
    return f"part{'s' if len(parts) > 1 else ''} {shown}"
