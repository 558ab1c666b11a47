"""The configuration of a search: the keys of a job that it varies, how, and what it looks for."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import Field

from sparktrain.config.kinds import Count, Flag, Number, Positive, Section, Text, Whole

SAMPLERS = ("random", "grid", "tpe", "cmaes", "gp", "qmc")
OF_OPTUNA = SAMPLERS[2:]


class Range(Section):
    """The values that a search may give to a key of the job: exactly one of `choice`, `int` and `float`."""

    choice: Annotated[list[Any], Field(min_length=1)] | None = None
    """A list of values."""
    int_range: Annotated[list[Whole], Field(min_length=2, max_length=2)] | None = Field(None, alias="int")
    """The smallest and the largest of a range of whole numbers."""
    float_range: Annotated[list[Number], Field(min_length=2, max_length=2)] | None = Field(None, alias="float")
    """The smallest and the largest of a range of numbers."""
    log: Flag = False
    """Whether a range is searched on a logarithmic scale: 0.001 to 0.01 as closely as 0.01 to 0.1."""
    step: Positive | None = None
    """The distance between two neighbouring values of a range; without it, every value."""

    @property
    def bounds(self) -> tuple[float, float] | None:
        """The smallest and the largest value of a range; None for a list of values."""
        ends = self.int_range if self.int_range is not None else self.float_range
        return None if ends is None else (ends[0], ends[1])

    @property
    def points(self) -> list[Any] | None:
        """All values, where they are a list or have a step; None for a range in which any value may be chosen."""
        if self.choice is not None:
            return self.choice
        if self.bounds is None or self.step is None:
            return None
        low, high = self.bounds
        values = [low + number * self.step for number in range(int((high - low) / self.step + 1e-9) + 1)]
        return [round(value) for value in values] if self.int_range is not None else values


class Goal(Section):
    """The metric that the search is to make as small or as large as possible."""

    metric: Text
    """A metric as in a run's history, such as val_auc."""
    mode: Literal["min", "max"]
    """Whether a smaller (min) or a larger (max) value is better."""


class Stop(Section):
    """How trials that do badly are ended at the end of an epoch."""

    by: Literal["asha", "median", "none"] = "none"
    """asha: after 1, 3, 9, … times `after` epochs, a trial continues only if it is among the best third so far. median: after each
    epoch from `after` on, only if its best value so far is no worse than the median of the others at that epoch. none: never."""
    after: Count = 1
    """The epochs that every trial has."""


class Search(Section):
    """A search for the best values of some keys of a training job, by training it many times."""

    base: Text | None = None
    """The YAML of a training job, beside this file or in the current folder. Its keys are what the space varies."""
    trials: Count | None = None
    """How many trials there are; with `sampler: grid`, all points of the grid if left out."""
    parallel: Count = 1
    """How many trials train at the same time, each on as many workers as the job has."""
    space: Annotated[dict[str, Range], Field(min_length=1)]
    """The job's keys to vary, such as training.batch_size or model.args.units, and the values of each."""
    goal: Goal
    """What is looked for."""
    sampler: Literal[SAMPLERS] | None = None  # type: ignore[valid-type]   # defined above
    """How the values of the next trial are chosen. random and grid need nothing else; tpe, cmaes, gp and qmc are Optuna's, which the
    extra `search` installs. Without it tpe where Optuna is installed and the space has a range, else random."""
    seed: Annotated[Whole, Field(ge=0, le=2**31 - 1)] | None = None
    """The seed of the choice of values; the job's if left out."""
    stop: Stop = Stop()
    """How trials that do badly are ended early."""
    time_limit: Positive | None = None
    """Minutes after which no further trial begins. Those at work are ended at their epoch's end."""
    study: Text | None = None
    """The URL of a database, as SQLAlchemy takes it, for Optuna's study; without it, the study is a journal on the storage."""

    @property
    def size(self) -> int | None:
        """How many different trials there can be; None where a key has a range without a step."""
        sizes = [len(points) for each in self.space.values() if (points := each.points) is not None]
        return math.prod(sizes) if len(sizes) == len(self.space) else None
