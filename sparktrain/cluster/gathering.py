"""Gathers the executors that a run's workers need, without holding some of them while another run waits for the rest."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from pyspark import SparkContext

from sparktrain.cluster.slots import NoSlots, Slots, count_slots
from sparktrain.cluster.spark_context import jvm, master

_PATIENCE = 5.0  # seconds in which executors start if the cluster has room
_SETTLED = 10.0  # seconds without a new executor after which no more are expected
_LOOK = 0.2  # seconds between two checks
_SAY = 10.0  # seconds between two identical notes


@dataclass(frozen=True)
class Bounds:
    """The smallest and the largest number of workers that a run may have."""

    min: int
    max: int

    def __str__(self) -> str:
        return str(self.min) if self.min == self.max else f"{self.min} to {self.max}"


class Lease(Protocol):
    """A lease on gathering executors: of the runs that share a cluster, only its holder may hold fewer than it needs."""

    def take(self) -> bool:
        """Take the lease if it is free, or renew it; return whether this run holds it."""

    def whose(self) -> str | None:
        """Return who holds the lease, or held it last and is training; None if that isn't known."""

    def done(self) -> None:
        """Give the lease up, as this run has its executors."""


def next_step(room: int, bounds: Bounds, waited: float, quiet: float, turn: bool) -> Literal["train", "wait", "queue"]:
    """Decide what to do next.

    Args:
        room: how many workers there is room for now.
        bounds: how many workers the run may have.
        waited: seconds since the run began to gather, or got the lease.
        quiet: seconds since `room` has changed.
        turn: whether this run holds the lease.

    Returns:
        train: with the executors that are up; wait: for more; queue: give back all executors, and wait for the lease.
    """
    if room >= bounds.max or (room >= bounds.min and quiet >= _SETTLED):
        return "train"
    if room < bounds.min and not turn and waited >= _PATIENCE:
        return "queue"
    return "wait"


class Executors:
    """The application's executors: counts them, asks the cluster manager for more, and gives them back.

    Attributes:
        target: how many executors the cluster manager was asked for; None if as many as possible (a standalone master).
    """

    def __init__(self, context: SparkContext) -> None:
        self._context = context
        self._spark = context._jsc.sc()
        given = context.getConf().get("spark.executor.instances", None)
        self._first = None if master(context).startswith(("spark:", "local-cluster")) else int(given or 2)  # YARN's default
        self.target = self._first

    def count(self) -> Slots:
        """Return the slots that the application has now."""
        return count_slots(self._context)

    def ask(self, total: int) -> None:
        """Ask the cluster manager for at least `total` executors."""
        if self.target is not None and total > self.target:
            self._set_target(total)

    def keep(self, total: int) -> None:
        """Keep the first `total` executors, end the others, and ask for no more."""
        ids = self._spark.getExecutorIds()
        known = sorted((ids.apply(index) for index in range(ids.size())), key=int)
        self._set_target(total)
        if len(known) > total:
            self._spark.killExecutors(jvm(self._context).PythonUtils.toSeq(known[total:]))

    def release(self) -> None:
        """Go back to the number of executors that the application was submitted with."""
        if self.target is not None and self._first is not None and self.target > self._first:
            self.keep(self._first)

    def _set_target(self, total: int) -> None:
        java = jvm(self._context)
        self._spark.requestTotalExecutors(total, 0, java.PythonUtils.toScalaMap(java.java.util.HashMap()))
        self.target = total


def gather(
    executors: Executors,
    bounds: Bounds,
    timeout: float,
    turn: Lease | None = None,
    on_waiting: Callable[[str], object] = lambda text: None,
) -> Slots:
    """Wait until there is room for every worker, and ask for more executors if there isn't; return the slots.

    They are counted first because a barrier stage that asks for more than there are waits ten minutes and then fails.

    Args:
        executors: the application's executors.
        bounds: the smallest and the largest number of workers; as many as possible are taken.
        timeout: seconds to wait.
        turn: the lease shared with the other runs on the cluster; None if there can't be any.
        on_waiting: called with a message on what is waited for.

    Raises:
        NoSlots: too few executors were up in time.
    """
    begun = since = changed = time.monotonic()
    room, queued = -1, False
    said: tuple[str | None, float] = (None, 0.0)
    mine = turn is None
    while True:
        slots, now = executors.count(), time.monotonic()
        if slots.most != room:
            room, changed = slots.most, now
        if slots.local:
            if room < bounds.min:
                raise _too_few(slots, bounds, None, None)
            return slots
        step = "wait" if queued else next_step(room, bounds, now - since, now - changed, mine)
        if step == "train":
            if room < bounds.max:
                executors.keep(room)  # else the others would still start, and take room that nobody uses
            if turn is not None:
                turn.done()
            return slots
        if now - begun > timeout:
            raise _too_few(slots, bounds, timeout, turn)
        if turn is not None and (step == "queue" or queued or mine):
            had, mine = mine, turn.take()  # also renews the lease
            if not mine and not queued:
                executors.keep(0)
            elif mine and not had:
                since = now
            queued = not mine
        if not queued:
            executors.ask(bounds.max)
        text = _waiting(room, bounds, queued, turn, timeout)
        if text != said[0] or now - said[1] > _SAY:
            said = text, now
            on_waiting(text)
        time.sleep(_LOOK if not queued else 5 * _LOOK)


def _waiting(room: int, bounds: Bounds, queued: bool, turn: Lease | None, timeout: float) -> str:
    other = turn.whose() if turn is not None else None
    if queued:
        return f"waiting for {other or 'another run'}, which gathers its executors first (at most {timeout:.0f} s)"
    behind = f"; {other}" if other is not None else ""
    return f"waiting for executors: {room} of {bounds} are up (at most {timeout:.0f} s{behind})"


def _too_few(slots: Slots, bounds: Bounds, timeout: float | None, turn: Lease | None) -> NoSlots:
    have, unit = slots.most, "task slots" if slots.local else f"executors of {slots.cores} cores"
    other = turn.whose() if turn is not None else None
    return NoSlots(
        f"training.workers asks for {bounds} workers, one an executor, and this application has {have} {unit}"
        + ("" if timeout is None else f" after {timeout:.0f} s (cluster.slots_timeout)")
        + (f", while there is {other}" if other is not None else "")
        + f": submit with --num-executors {bounds.min} (or --master local-cluster[{bounds.min},1,1024] on one machine), "
        f"free the cluster, or set training.workers to {max(1, have)}"
    )
