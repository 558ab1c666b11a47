"""Gathers the executors that a run's workers need, without holding some of them while another run waits for the rest."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from sparktrain.cluster.executors.gathering_policy import Bounds, GatheringPolicy, Observed, Plan
from sparktrain.cluster.executors.pool import ExecutorPool, Others, Ticket
from sparktrain.cluster.executors.slots import NoSlots, Slots

_LOOK, _LOOK_QUEUED = 0.2, 1.0  # seconds between two checks
_SAY = 10.0  # seconds between two identical notes


class Lease(Protocol):
    """A lease on gathering executors: of the applications that share a cluster, only its holder may hold fewer than it needs."""

    def take(self) -> bool:
        """Take the lease if it is free, or renew it; return whether this run holds it."""

    def whose(self) -> str | None:
        """Return who holds the lease, or held it last and is training; None if that isn't known."""

    def done(self) -> None:
        """Give the lease up, as this run has its executors."""


def gather(
    pool: ExecutorPool,
    ticket: Ticket,
    bounds: Bounds,
    timeout: float,
    lease: Lease | None = None,
    on_waiting: Callable[[str], object] = lambda text: None,
    check: Callable[[], object] = lambda: None,
) -> Slots:
    """Wait until there is room for every worker, and ask for more executors if there isn't; lease them and return the slots.

    They are counted first because a barrier stage that asks for more than there are waits ten minutes and then fails.

    Args:
        pool: the pool of the application's executors.
        ticket: this run's place in the pool; `ticket.leased` is the number of workers that it got.
        bounds: the smallest and the largest number of workers; as many as possible are taken.
        timeout: seconds to wait for executors that the cluster doesn't give. Other runs of the application are waited for
            as long as they train.
        lease: the lease shared with the other applications on the cluster; None if there can't be any.
        on_waiting: called with a message on what is waited for.
        check: called at each look, once a second at least; what it raises ends the waiting.

    Raises:
        NoSlots: too few executors were up in time.
    """
    policy = GatheringPolicy(bounds, timeout, lease is not None, time.monotonic())
    notes = _Notes(on_waiting)
    plan = Plan("wait")
    while True:
        check()
        held = lease.take() if lease is not None and plan.lease else None
        others = pool.others(ticket)
        slots = pool.executors.count()
        seen = Observed(slots.most - others.busy, others.busy, fixed=slots.local, lease=held, blocked=others.blocking)
        plan = policy.next_step(seen, time.monotonic())
        if plan.step == "fail":
            raise NoSlots(_too_few(slots, others, bounds, None if slots.local else timeout, _other(lease)))
        pool.executors.apply(plan, others.busy)
        if plan.step == "train":
            pool.lease(ticket, min(bounds.max, seen.free))
            if lease is not None:
                lease.done()
            return slots
        queued = plan.step == "queue"
        notes.say(_waiting(seen.free, others, bounds, queued, _other(lease), timeout), time.monotonic())
        time.sleep(_LOOK_QUEUED if queued else _LOOK)


class _Notes:
    """Passes notes on, the same one again only after ten seconds."""

    def __init__(self, pass_on: Callable[[str], object]) -> None:
        self._pass_on = pass_on
        self._last: tuple[str | None, float] = (None, 0.0)

    def say(self, text: str, now: float) -> None:
        if text != self._last[0] or now - self._last[1] > _SAY:
            self._last = text, now
            self._pass_on(text)


def _other(lease: Lease | None) -> str | None:
    return lease.whose() if lease is not None else None


def _waiting(free: int, others: Others, bounds: Bounds, queued: bool, other: str | None, timeout: float) -> str:
    if queued:
        return f"waiting for {other or 'another run'}, which gathers its executors first (at most {timeout:.0f} s)"
    if others.before or others.training:
        return f"waiting for executors: {max(0, free)} of {bounds} are free; {others}"
    behind = f"; {other}" if other is not None else ""
    return f"waiting for executors: {free} of {bounds} are up (at most {timeout:.0f} s{behind})"


def _too_few(slots: Slots, others: Others, bounds: Bounds, timeout: float | None, other: str | None) -> str:
    have, unit = slots.most, "task slots" if slots.local else f"executors of {slots.cores} cores"
    return (
        f"training.workers asks for {bounds} workers, one an executor, and this application has {have} {unit}"
        + ("" if timeout is None else f" after {timeout:.0f} s (cluster.slots_timeout)")
        + (f", and {others}" if others.training else "")
        + (f", while there is {other}" if other is not None else "")
        + f": submit with --num-executors {bounds.min} (or --master local-cluster[{bounds.min},1,1024] on one machine), "
        f"free the cluster, or set training.workers to {max(1, have)}"
    )
