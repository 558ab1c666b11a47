"""Draws a search: how its best value improved, how much each parameter matters, and all trials as parallel coordinates."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

from sparktrain.config import Range
from sparktrain.driver.artifacts.plots import new_figure, png
from sparktrain.runs.records.search import TrialRecord
from sparktrain.search.importance import importance
from sparktrain.search.table import names, shown
from sparktrain.search.trials import is_number, sign


def pictures(
    trials: Sequence[TrialRecord], metric: str, mode: Literal["min", "max"], space: dict[str, Range]
) -> dict[str, bytes]:
    """Return PNG images by their files' names: history.png, importance.png and parallel.png, those that there is data for.

    Raises:
        ModuleNotFoundError: matplotlib isn't installed.
    """
    known = [trial for trial in trials if is_number(trial.value)]
    found = {"history.png": _history(known, metric, mode)}
    shares = importance([trial.parameters for trial in known], [_value(trial) for trial in known])
    if shares:
        found["importance.png"] = _importance(shares, metric, names(known))
    if len(known) > 1:
        found["parallel.png"] = _parallel(known, metric, mode, space)
    return found


def _value(trial: TrialRecord) -> float:
    assert trial.value is not None  # those without a value were left out
    return trial.value


def best_so_far(values: Sequence[float], mode: Literal["min", "max"]) -> list[float]:
    """Return for each value the best one up to it."""
    best: list[float] = []
    for value in values:
        better = not best or sign(mode) * value < sign(mode) * best[-1]
        best.append(value if better else best[-1])
    return best


def _history(trials: Sequence[TrialRecord], metric: str, mode: Literal["min", "max"]) -> bytes:
    figure = new_figure(7, 3.6)
    axes = figure.add_subplot(1, 1, 1, title=f"{metric} of each trial", xlabel="trial", ylabel=metric)
    for state, mark in (("finished", "o"), ("stopped", "x")):
        some = [trial for trial in trials if trial.state == state]
        if some:
            axes.plot([each.number for each in some], [_value(each) for each in some], mark, label=state)
    finished = [trial for trial in trials if trial.state == "finished"]
    line = best_so_far([_value(each) for each in finished], mode)
    axes.step([each.number for each in finished], line, where="post", label="the best so far")
    axes.legend()
    return png(figure)


def _importance(shares: dict[str, float], metric: str, short: dict[str, str]) -> bytes:
    figure = new_figure(6, 0.9 + 0.4 * len(shares))
    axes = figure.add_subplot(1, 1, 1, title=f"what {metric} depends on", xlabel="share of its variance")
    axes.barh([short[key] for key in reversed(shares)], [shares[key] for key in reversed(shares)])
    axes.set_xlim(0, 1)
    return png(figure)


def _parallel(trials: Sequence[TrialRecord], metric: str, mode: Literal["min", "max"], space: dict[str, Range]) -> bytes:
    short = names(trials)
    values = [_value(trial) for trial in trials]
    low, high = min(values), max(values)
    # One axis for each parameter and one for the metric, each scaled to 0 to 1
    scaled = [_scale(space[key], [trial.parameters[key] for trial in trials]) for key in short]
    scaled.append(((lambda value: (value - low) / (high - low or 1)), [(low, shown(low)), (high, shown(high))]))
    figure = new_figure(2 + 1.6 * len(scaled), 4)
    axes = figure.add_subplot(1, 1, 1)
    worst_first = sorted(trials, key=lambda trial: -sign(mode) * _value(trial))
    for place, trial in enumerate(worst_first):
        heights = [scale(value) for (scale, _), value in zip(scaled, [*(trial.parameters[key] for key in short), trial.value])]
        share = place / max(1, len(worst_first) - 1)  # 0 for the worst, 1 for the best
        axes.plot(range(len(heights)), heights, color=(0.75 - 0.7 * share, 0.75 - 0.4 * share, 0.8), alpha=0.4 + 0.6 * share)
    for place, (scale, ticks) in enumerate(scaled):
        axes.axvline(place, color="black", linewidth=0.8)
        for value, text in ticks:
            axes.text(place + 0.02, scale(value), text, fontsize=7, va="center")
    axes.set_xticks(range(len(scaled)), [*short.values(), metric])
    axes.set_yticks([])
    axes.set_xlim(-0.1, len(scaled) - 0.6)  # with room for the last axis's values
    axes.set_title("all trials, the best darkest")
    return png(figure)


def _scale(each: Range, values: Sequence[Any]) -> tuple[Callable[[Any], float], list[tuple[Any, str]]]:
    """Return a function from a parameter's value to its height on an axis from 0 to 1, and values to name there."""
    if each.bounds is not None:
        low, high = each.bounds
        if each.log:
            width = math.log(high / low)
            return (lambda value: math.log(value / low) / width), [(end, shown(end)) for end in (low, high)]
        return (lambda value: (value - low) / (high - low)), [(end, shown(end)) for end in (low, high)]
    choices = each.choice or []
    top = max(1, len(choices) - 1)
    return (lambda value: choices.index(value) / top), [(value, shown(value)) for value in choices]
