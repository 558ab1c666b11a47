"""Decides what a run does to get the executors that its workers need, from what it observes of them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

_PATIENCE = 5.0  # seconds in which executors start if the cluster has room
_SETTLED = 10.0  # seconds without a new executor after which no more are expected

# train: with the free executors; wait: for more; queue: without any executor, for another run that gathers its own; fail
Step = Literal["train", "wait", "queue", "fail"]


@dataclass(frozen=True)
class Bounds:
    """The smallest and the largest number of workers that a run may have."""

    min: int
    max: int

    def __str__(self) -> str:
        return str(self.min) if self.min == self.max else f"{self.min} to {self.max}"


@dataclass(frozen=True)
class Observed:
    """The executors at one moment, as a run sees them.

    Attributes:
        free: executors that a worker of this run could start on; in local mode, slots.
        busy: executors of the application that other runs have leased; they are neither counted as room nor ended.
        fixed: whether there will never be more (local mode).
        lease: whether this run holds the lease on gathering; None if it has not asked for it just now.
        blocked: whether another run of the application must be served, or end, before this one may take any.
    """

    free: int
    busy: int = 0
    fixed: bool = False
    lease: bool | None = None
    blocked: bool = False


@dataclass(frozen=True)
class Plan:
    """What a run does next.

    Attributes:
        step: see `Step`.
        total: how many executors the application should have, with those of other runs; None to leave that as it is.
        keep: how many free executors to keep, while the others are ended; None to end none.
        lease: whether to take or renew the lease before looking again.
    """

    step: Step
    total: int | None = None
    keep: int | None = None
    lease: bool = False


class GatheringPolicy:
    """Decides what one run does next, each time that the executors have been counted.

    A run first tries to get its executors without the lease. Two runs that each hold half of the executors that they need would
    wait for each other for ever: so a run that lacks executors after 5 seconds asks for the lease, and without it keeps none.

    Args:
        bounds: how many workers the run may have.
        timeout: seconds to wait.
        shared: whether other runs compete for the executors, by a lease.
        now: the time, in seconds of the same clock as in `next_step`.
    """

    def __init__(self, bounds: Bounds, timeout: float, shared: bool, now: float) -> None:
        self._bounds, self._timeout, self._shared = bounds, timeout, shared
        self._checked = self._changed = now
        self._waited = 0.0  # seconds, without those in which other runs of the application had what this one needs
        self._free = -1
        self._held: bool | None = None  # whether the run holds the lease; None if it never asked

    def next_step(self, seen: Observed, now: float) -> Plan:
        """Decide the next step from the executors that were observed at a time, in seconds."""
        bounds = self._bounds
        theirs = (seen.busy > 0 or seen.blocked) and seen.free + seen.busy >= bounds.min  # they end by themselves
        if not theirs:
            self._waited += now - self._checked
        self._checked = now
        if seen.free != self._free:
            self._free, self._changed = seen.free, now
        if seen.fixed:
            if seen.free + seen.busy < bounds.min:
                return Plan("fail")
            return Plan("train" if seen.free >= bounds.min and not seen.blocked else "wait")
        if seen.lease is not None:
            self._held = seen.lease
        queued = self._held is False
        enough = seen.free >= bounds.max or (seen.free >= bounds.min and now - self._changed >= _SETTLED)
        if enough and not queued and not seen.blocked:  # executors that a queued run still sees are being ended
            # Executors that are still starting would take room that nobody uses.
            return Plan("train", seen.busy + seen.free, seen.free) if seen.free < bounds.max else Plan("train")
        if self._waited > self._timeout:
            return Plan("fail")
        if seen.blocked:  # the other run asks for what both need
            return Plan("wait")
        if queued:
            return Plan("queue", seen.busy, 0, lease=True)
        lacks = seen.free < bounds.min and self._waited >= _PATIENCE
        return Plan("wait", seen.busy + bounds.max, lease=self._held is True or (self._shared and lacks))


def surplus(executors: Mapping[str, int], keep: int) -> list[str]:
    """Return which executors to end, by their ids, so that `keep` are left: the youngest of those that run no task.

    Args:
        executors: how many tasks each runs, by its id.
    """
    idle_last = sorted(executors, key=lambda each: (executors[each] == 0, int(each)))
    return [each for each in idle_last[keep:] if executors[each] == 0]
