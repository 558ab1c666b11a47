"""What all parts agree on once each has filled its segments."""

from __future__ import annotations

from collections import Counter
from typing import Any, Callable, Sequence

from sparktrain.feed.errors import BadInput, NoRows
from sparktrain.feed.labels import MOST_CLASSES


def agree(filled: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Find what the parts have in common; the same on every worker.

    Args:
        filled: `Filled.to_json` of every part, in the order of the parts. A part without rows takes over the shapes
            of the others.

    Returns:
        JSON: "inputs" {name: {"shape", "dtype"}} and "label" {"shape", "dtype"} of one row, "label_range"
        [least, greatest], "label_counts" [label, training rows] or None where they are no classes, "weighted", "counts" and "validation_counts" of each part, "bytes" of all segments.

    Raises:
        BadInput: the parts have rows of different shapes.
        NoRows: there are no training rows.
    """
    counts = [sum(part["segments"]) for part in filled]
    validation_counts = [sum(part["validation_segments"]) for part in filled]
    if not sum(counts):
        raise NoRows(
            f"no training rows: all {len(filled)} parts are empty, with {sum(validation_counts):,} validation rows. "
            "Look at data.path, data.where, data.preprocess, data.sample and data.validation for what leaves none."
        )
    full = [number for number, part in enumerate(filled) if part["inputs"] is not None]
    inputs = {}
    for name, told in filled[full[0]]["inputs"].items():
        for index in range(len(told["columns"])):
            _same(filled, full, lambda part, name=name, index=index: part["inputs"][name]["columns"][index])
        inputs[name] = {"shape": told["shape"], "dtype": told["dtype"]}
    label = _same(filled, full, lambda part: part["label"])
    ranges = [filled[number]["label_range"] for number in full]
    return {
        "inputs": inputs,
        "label": {"shape": label["shape"], "dtype": label["dtype"]},
        "label_range": [min(low for low, _ in ranges), max(high for _, high in ranges)],
        "label_counts": _added([part["label_counts"] for part in filled]),
        "weighted": filled[0]["weighted"],
        "counts": counts,
        "validation_counts": validation_counts,
        "bytes": sum(part["bytes"] for part in filled),
    }


def _added(counts: Sequence[list[list[int]] | None]) -> list[list[int]] | None:
    if None in counts:
        return None
    total: Counter[int] = Counter()
    for part in counts:
        total.update(dict(part))
    return [[label, rows] for label, rows in sorted(total.items())] if len(total) <= MOST_CLASSES else None


def _same(
    filled: Sequence[dict[str, Any]], full: Sequence[int], look: Callable[[dict[str, Any]], dict[str, Any]]
) -> dict[str, Any]:
    """The column that `look` finds in every part with rows, if it is the same in all of them."""
    first = look(filled[full[0]])
    kinds: dict[str, list[int]] = {}
    for number in full:
        column = look(filled[number])
        kinds.setdefault(f"{column['shape']} of {column['dtype']}", []).append(number)
    if len(kinds) > 1:
        came = "; ".join(
            f"{kind} in part{'s' if len(parts) > 1 else ''} {', '.join(map(str, parts))}"
            for kind, parts in kinds.items()
        )
        raise BadInput(
            f"column {first['column']!r}: rows have different shapes: {came}. All rows must have one shape: give the "
            "column a `length` to pad or cut it to, or make its arrays equal in data.preprocess."
        )
    return first
