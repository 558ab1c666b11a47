"""Schedules how many rows of each part go into each step of an epoch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property


@dataclass(frozen=True)
class Schedule:
    """The steps of every epoch: a pure function of the parts' row counts and batch sizes.

    The leader is the part that needs the most steps: the first with the largest `counts[i] / batch_sizes[i]`. It has the
    batches of an ordinary epoch: full ones and a shorter last one. The other parts' rows are spread over the leader's steps
    in proportion: after s steps, part i has fed floor(c_i * f / c_l) rows, with c_l the leader's rows and f those that it has
    fed so far. So a batch is never larger than its part's batch size, and is empty only if a part has fewer rows than there
    are steps.

    Attributes:
        counts: training rows of each part.
        batch_sizes: the largest batch of each part.
    """

    counts: tuple[int, ...]
    batch_sizes: tuple[int, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "counts", tuple(self.counts))
        object.__setattr__(self, "batch_sizes", tuple(self.batch_sizes))
        if not self.counts or len(self.counts) != len(self.batch_sizes):
            raise ValueError(
                f"{len(self.counts)} row counts and {len(self.batch_sizes)} batch sizes: expected one of each a part"
            )
        if min(self.counts) < 0 or min(self.batch_sizes) < 1:
            raise ValueError(f"row counts {self.counts} must be at least 0, batch sizes {self.batch_sizes} at least 1")

    @cached_property
    def leader(self) -> int:
        """The part that needs the most steps."""
        needed = [Fraction(count, size) for count, size in zip(self.counts, self.batch_sizes)]
        return needed.index(max(needed))

    @cached_property
    def steps(self) -> int:
        """Steps of an epoch, the same for every part; 0 if no part has rows."""
        return -(-self.counts[self.leader] // self.batch_sizes[self.leader])

    def bounds(self, part: int, step: int) -> tuple[int, int]:
        """Return the rows, first and one past the last in the part's epoch order, that it feeds in a step (from 0)."""
        if not 0 <= step < self.steps:
            raise IndexError(f"step {step} of an epoch of {self.steps} steps")
        return self._fed(part, step), self._fed(part, step + 1)

    def rows(self, part: int, step: int) -> int:
        """Return how many rows the part feeds in a step (from 0)."""
        start, stop = self.bounds(part, step)
        return stop - start

    def sizes(self, part: int) -> Iterator[int]:
        """Yield how many rows the part feeds in each step of an epoch."""
        before = 0
        for step in range(1, self.steps + 1):
            fed = self._fed(part, step)
            yield fed - before
            before = fed

    def total(self, step: int) -> int:
        """Return how many rows all parts together feed in a step (from 0)."""
        return sum(self.rows(part, step) for part in range(len(self.counts)))

    def _fed(self, part: int, steps: int) -> int:
        all_of_leader = self.counts[self.leader]
        fed_by_leader = min(steps * self.batch_sizes[self.leader], all_of_leader)
        return self.counts[part] * fed_by_leader // all_of_leader
