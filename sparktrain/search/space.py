"""Chooses the values of trials without Optuna: at random, or all points of a grid. The n-th trial's are a function of n alone."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from typing import Any

from sparktrain.config import Range

_LISTED = 100_000  # points of a space up to which random trials are drawn without a repetition


def drawn(space: Mapping[str, Range], seed: int, number: int) -> dict[str, Any]:
    """Return the values of a trial of a random search; of a space with few points, no two trials have the same.

    Args:
        number: the trial's number, from 0.
    """
    points = [each.points for each in space.values()]
    listed = [each for each in points if each is not None]
    size = math.prod(map(len, listed))
    if len(listed) == len(points) and size <= _LISTED:
        order = list(range(size))
        random.Random(seed).shuffle(order)
        return _point(dict(zip(space, listed, strict=True)), order[number % size])
    chance = random.Random(f"{seed} {number}")  # the string's SHA-512: the same in every process
    return {key: _value(each, chance) for key, each in space.items()}


def of_grid(space: Mapping[str, Range], number: int) -> dict[str, Any]:
    """Return the values of a trial of a grid, whose last key varies fastest.

    Args:
        number: the trial's number, from 0, below the number of points.
    """
    points = {key: each.points for key, each in space.items()}
    return _point({key: each for key, each in points.items() if each is not None}, number)


def _point(points: Mapping[str, list[Any]], number: int) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key in reversed(list(points)):
        number, place = divmod(number, len(points[key]))
        values[key] = points[key][place]
    return {key: values[key] for key in points}


def _value(each: Range, chance: random.Random) -> Any:
    if each.points is not None:
        return chance.choice(each.points)
    assert each.bounds is not None  # what has no points is a range
    low, high = each.bounds
    whole = each.int_range is not None
    if whole:  # so that the two ends are as likely as those between them
        low, high = low - 0.5, high + 0.5
    value = math.exp(chance.uniform(math.log(low), math.log(high))) if each.log else chance.uniform(low, high)
    low, high = each.bounds
    return min(max(round(value) if whole else value, low), high)
