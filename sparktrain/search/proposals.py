"""Chooses the values of the next trial: the interface, and the choice at random or from a grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from sparktrain.config import Range
from sparktrain.runs.records.search import TrialRecord
from sparktrain.search.space import drawn, of_grid


class Proposals(Protocol):
    """Chooses the values of trials, and may learn from how they end. Its methods are called one at a time."""

    def next(self, trials: Sequence[TrialRecord]) -> tuple[int, dict[str, Any]]:
        """Return the number and the values of the next trial.

        Args:
            trials: those that there are.
        """
        ...

    def ended(self, trial: TrialRecord) -> None:
        """Take note of how a trial has ended."""
        ...


class PlainProposals:
    """Proposals at random, or all points of a grid: they depend on the trial's number alone."""

    def __init__(self, space: Mapping[str, Range], sampler: str, seed: int) -> None:
        self._space, self._sampler, self._seed = space, sampler, seed

    def next(self, trials: Sequence[TrialRecord]) -> tuple[int, dict[str, Any]]:
        """Return the smallest number that no trial has, and its values."""
        taken = {trial.number for trial in trials}
        number = next(number for number in range(len(taken) + 1) if number not in taken)
        return number, of_grid(self._space, number) if self._sampler == "grid" else drawn(self._space, self._seed, number)

    def ended(self, trial: TrialRecord) -> None:
        """Do nothing: no value depends on how another trial has ended."""
