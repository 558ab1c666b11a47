"""Decides how many rows of each class are sampled, and where they are cut: pure functions of plain values."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeVar

from sparktrain.data.errors import InputError, listed, nearest

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Boundary:
    """The position of the last row to take, among rows in the order of their hashes.

    Attributes:
        bucket: the number of the bucket of hashes that it is in; all rows of lower buckets are taken.
        need: how many rows of this bucket are taken, at least 1.
        count: how many rows the bucket has, at least `need`.
    """

    bucket: int
    need: int
    count: int


def locate(buckets: Iterable[tuple[int, int]], need: int) -> Boundary:
    """Return the boundary with which exactly `need` rows are taken.

    Args:
        buckets: (number, rows) of each bucket, in any order; the numbers are in the order of the hashes.
        need: how many rows to take, from 1 to the sum of the counts.
    """
    for bucket, count in sorted(buckets):
        if need <= count:
            return Boundary(bucket, need, count)
        need -= count
    raise ValueError(f"{need} rows more to be taken than there are")


def rounded(share: float, rows: int) -> int:
    """Return `share` of `rows`, rounded half to even, with the share taken as the decimal number that was written."""
    return round(Fraction(str(share)) * rows)


def apportion(total: int, counts: Mapping[Key, int]) -> dict[Key, int]:
    """Return how many rows of each class make `total` in proportion: by largest remainders, at least one of each with rows.

    The sum is `total`, or the number of classes with rows if that is larger.
    """
    rows = sum(counts.values())
    quotas = {key: Fraction(total * count, rows) for key, count in counts.items() if count}
    taken = {key: max(1, int(quota)) for key, quota in quotas.items()}
    spare = total - sum(taken.values())
    # Sorting is stable: of equal remainders, the first classes get a row.
    for key in sorted(quotas, key=lambda key: taken[key] - quotas[key])[: max(0, spare)]:
        taken[key] += 1
    while spare < 0 and any(count > 1 for count in taken.values()):
        key = max((key for key, count in taken.items() if count > 1), key=lambda key: taken[key] - quotas[key])
        taken[key] -= 1
        spare += 1
    return {key: taken.get(key, 0) for key in counts}


def of_fraction(fraction: float, counts: Mapping[Key, int]) -> tuple[dict[Key, int], list[str]]:
    """Return how many rows of each class to take for a share of all rows, and notes for the user."""
    total = rounded(fraction, sum(counts.values()))
    taken = apportion(total, counts)
    more = sum(taken.values()) - total
    notes = (
        [
            f"data.sample.fraction {fraction} makes {total} rows; {more} more are taken, so that each of the "
            f"{sum(1 for count in counts.values() if count)} classes keeps a row"
        ]
        if more > 0
        else []
    )
    return taken, notes


def of_per_class(rows: int, counts: Mapping[Key, int]) -> tuple[dict[Key, int], list[str]]:
    """Return how many rows of each class to take for at most `rows` of each, and notes for the user."""
    notes = [f"class {key} has {count} rows, fewer than the {rows} asked for" for key, count in counts.items() if count < rows]
    if len(notes) > 20:
        notes = [f"{len(notes)} classes have fewer rows than the {rows} asked for, such as {listed(notes, 3)}"]
    return {key: min(rows, count) for key, count in counts.items()}, notes


def of_fractions(fractions: Mapping[Any, float], counts: Mapping[Key, int]) -> tuple[dict[Key, int], list[str]]:
    """Return how many rows of each class to take for shares of named classes, at least one of each; all rows of the others.

    Raises:
        InputError: a named class has no rows.
    """
    taken = dict(counts)
    for named, share in fractions.items():
        key = find_class(named, counts)
        taken[key] = max(1, rounded(share, counts[key]))
    return taken, []


def find_class(named: Any, counts: Mapping[Key, int]) -> Key:
    """Return the class that a configuration names; YAML's 1 also stands for the column's 1.0 or "1".

    Raises:
        InputError: there is none; the message lists the classes there are.
    """
    for key in counts:
        if key == named and isinstance(key, str) == isinstance(named, str):
            return key
    for key in counts:
        if str(key).casefold() == str(named).casefold():
            return key
    raise InputError(
        f"data.sample.fractions names the class {named!r}, of which there are no training rows."
        f"{nearest(named, counts)} The classes there are: {listed(counts)}."
    )


@dataclass(frozen=True)
class Way:
    """A way to sample.

    Attributes:
        decide: takes the value of its key and the training rows of each class; returns how many rows of each class to take, and
            notes for the user.
        needs_classes: whether it needs a label of classes; else all rows count as one class where the label is a measure.
    """

    decide: Callable[[Any, Mapping[Any, int]], tuple[dict[Any, int], list[str]]]
    needs_classes: bool


# By the keys of `data.sample`
WAYS = {
    "fraction": Way(of_fraction, needs_classes=False),
    "per_class": Way(of_per_class, needs_classes=True),
    "fractions": Way(of_fractions, needs_classes=True),
}
