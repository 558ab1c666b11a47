"""Getting the executors that a run's workers need, without ever holding half a cluster against another run."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from pyspark import SparkContext

from sparktrain.cluster.slots import NoSlots, Slots, count_slots
from sparktrain.cluster.spark_context import jvm, master

_PATIENCE = 5.0  # seconds in which executors come by themselves where there is room
_SETTLED = 10.0  # seconds without a new executor after which no more are expected
_LOOK = 0.2  # seconds
_SAY = 10.0  # seconds between two notes of the same


@dataclass(frozen=True)
class Bounds:
    """How many workers a run may have."""

    min: int
    max: int

    def __str__(self) -> str:
        return str(self.min) if self.min == self.max else f"{self.min} to {self.max}"


class Lease(Protocol):
    """Whose turn it is to gather executors: of the runs that share a cluster only one may hold less than it needs."""

    def take(self) -> bool:
        """Take it where it is free; True too while it is this run's."""

    def whose(self) -> str | None:
        """Who has it, or had it last and trains now; None where that isn't known."""

    def done(self) -> None:
        """This run has its executors: the next may gather."""


def next_step(room: int, bounds: Bounds, waited: float, quiet: float, turn: bool) -> Literal["train", "wait", "queue"]:
    """What to do next.

    Args:
        room: how many workers there is room for now.
        bounds: how many the run may have.
        waited: seconds since the run began to gather, or got its turn.
        quiet: seconds since `room` has changed.
        turn: whether it is this run's turn.

    Returns:
        train: with what there is; wait: more may come; queue: give back what there is, and wait for the turn.
    """
    if room >= bounds.max or (room >= bounds.min and quiet >= _SETTLED):
        return "train"
    if room < bounds.min and not turn and waited >= _PATIENCE:
        return "queue"
    return "wait"


class Executors:
    """The executors that the application has, may ask its cluster manager for, and give back.

    Attributes:
        target: how many the cluster manager is to bring up; None: all that there is room for (a standalone master's way).
    """

    def __init__(self, context: SparkContext) -> None:
        self._context = context
        self._spark = context._jsc.sc()
        given = context.getConf().get("spark.executor.instances", None)
        self._first = None if master(context).startswith(("spark:", "local-cluster")) else int(given or 2)  # YARN's default
        self.target = self._first

    def count(self) -> Slots:
        return count_slots(self._context)

    def ask(self, total: int) -> None:
        """Have at least so many, where the cluster manager can give them."""
        if self.target is not None and total > self.target:
            self._set_target(total)

    def keep(self, total: int) -> None:
        """Give back what is more, the last ones first, and expect no more."""
        ids = self._spark.getExecutorIds()
        known = sorted((ids.apply(index) for index in range(ids.size())), key=int)
        self._set_target(total)
        if len(known) > total:
            self._spark.killExecutors(jvm(self._context).PythonUtils.toSeq(known[total:]))

    def release(self) -> None:
        """Have what the application was submitted with again."""
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
    """Wait until there is room for every worker, and ask for executors where there isn't.

    Counting first matters: a barrier stage that asks for more than there is waits ten minutes and then fails.

    Args:
        executors: the application's.
        bounds: how many workers are needed; between them, what there is is taken.
        timeout: seconds.
        turn: shared with the other runs on the cluster; None where no other can be.
        on_waiting: told what is waited for.

    Raises:
        NoSlots: too few came in time.
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
                executors.keep(room)  # else those asked for come later, and only hold what others could use
            if turn is not None:
                turn.done()
            return slots
        if now - begun > timeout:
            raise _too_few(slots, bounds, timeout, turn)
        if turn is not None and (step == "queue" or queued or mine):
            had, mine = mine, turn.take()  # of its own turn a run gives a sign so
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
