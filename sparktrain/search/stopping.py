"""Decides whether a trial that does badly is ended at the end of an epoch. Pure functions of the values so far."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Literal

from sparktrain.config import Stop
from sparktrain.display.figures import figure
from sparktrain.search.trials import is_number, sign

_KEPT = 3  # of so many trials that have reached a rung, asha lets one continue; the next rung is after so many times the epochs
_FEWEST = 3  # other trials that must have reached an epoch before their median says something

Values = Mapping[int, float | None]  # a trial's values of the goal's metric by epoch, from 1


def why_stop(stop: Stop, mode: Literal["min", "max"], epoch: int, mine: Values, others: Sequence[Values]) -> str | None:
    """Return why a trial is to end after an epoch; None if it is to continue.

    Args:
        mode: whether a smaller or a larger value is better.
        epoch: the epoch that has ended, from 1.
        mine: the trial's values, that of this epoch among them.
        others: the values of the other trials, ended or at work.
    """
    if stop.by == "none" or epoch < stop.after:
        return None
    factor = sign(mode)
    reached = [factor * value for each in others if (value := each.get(epoch)) is not None and is_number(value)]
    value = mine.get(epoch)
    if value is None or not is_number(value):
        return f"it has no value after epoch {epoch}"
    if stop.by == "asha":
        if not is_rung(epoch, stop.after):
            return None
        kept = max(1, (len(reached) + 1) // _KEPT)
        better = sum(other < factor * value for other in reached)
        if better < kept:
            return None
        return f"{better} of {len(reached)} other trials were better than {figure(value)} after epoch {epoch} (asha)"
    if len(reached) < _FEWEST:
        return None
    best = min(factor * each for each in mine.values() if each is not None and is_number(each))
    median = statistics.median(reached)
    if best <= median:
        return None
    return f"its best, {figure(factor * best)}, was worse than the median of the others after epoch {epoch}, {figure(factor * median)}"


def is_rung(epoch: int, first: int) -> bool:
    """Return whether asha decides after an epoch: the first one, and then after three times as many each time."""
    while first < epoch:
        first *= _KEPT
    return first == epoch
