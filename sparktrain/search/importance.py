"""How much each parameter of a search matters for its metric."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

_GROUPS = 4  # groups of a parameter's numbers, with about as many trials each


def importance(parameters: Sequence[dict[str, Any]], values: Sequence[float]) -> dict[str, float]:
    """Return for each parameter which share of the metric's variance lies between groups of its values, corrected for chance.

    The groups are the values themselves, or, where there are more than four numbers, four ranges with about as many trials each.
    The share is ε² (Kelley 1935), which is 0 on average for a parameter that doesn't matter.

    Args:
        parameters: the values of each trial's parameters, by their keys.
        values: the metric of each trial.

    Returns:
        The shares, from 0 to 1, the largest first; none if there are too few trials to say.
    """
    mean = sum(values) / len(values) if values else 0.0
    total = sum((value - mean) ** 2 for value in values)
    if len(values) < 3 or not total:
        return {}
    shares = {}
    for key in dict.fromkeys(key for each in parameters for key in each):
        groups: dict[Any, list[float]] = defaultdict(list)
        for group, value in zip(_grouped([each.get(key) for each in parameters]), values, strict=True):
            groups[group].append(value)
        within = sum(sum((value - sum(each) / len(each)) ** 2 for value in each) for each in groups.values())
        free = len(values) - len(groups)
        shares[key] = max(0.0, 1 - within / free / (total / (len(values) - 1))) if free > 0 else 0.0
    return dict(sorted(shares.items(), key=lambda item: -item[1]))


def _grouped(values: Sequence[Any]) -> list[Any]:
    numbers = [value for value in values if isinstance(value, (int, float)) and not isinstance(value, bool)]
    distinct = sorted(set(numbers))
    if len(numbers) < len(values) or len(distinct) <= _GROUPS:
        return [repr(value) for value in values]
    order = sorted(range(len(values)), key=lambda place: values[place])
    groups = [0] * len(values)
    for place, index in enumerate(order):
        groups[index] = place * _GROUPS // len(values)
    return groups
