"""A cluster-wide lease, stored as small files, that lets one run at a time gather executors.

Two runs that each hold half of the executors they need would wait for each other for ever. So a run that doesn't get its
executors at once asks for the lease, and without it gives back the executors it holds. The lease is a file with a number:
the highest number is valid. Its owner rewrites it every few seconds while it gathers; once it has its executors, or stops
writing, the next number can be claimed, which the storage grants to exactly one run.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Mapping
from typing import Any, Literal

from pyspark.sql import SparkSession

from sparktrain.cluster.spark_context import master
from sparktrain.driver.hadoop import qualified
from sparktrain.storage import Folder, NotFound, StorageError, open_folder

_SIGN = 3.0  # seconds between two writes of the lease's owner
_DEAD = 30.0  # seconds without a write after which the owner counts as dead
GATHERING, TRAINING = "gathers its executors", "has its executors"


def next_move(mine: bool, state: str | None, silence: float) -> Literal["renew", "wait", "claim"]:
    """Decide what a run does to hold the lease.

    Args:
        mine: whether the newest lease is this run's, and it still gathers.
        state: the state in the newest lease's record; None if there is no lease.
        silence: seconds since the owner of the newest lease was seen to write.

    Returns:
        renew: write this run's lease again; wait: for its owner; claim: the lease with the next number.
    """
    if mine:
        return "renew"
    return "wait" if state == GATHERING and silence <= _DEAD else "claim"


class ExecutorLease:
    """One run's use of the lease of its cluster; implements `cluster.executors.gathering.Lease`.

    Args:
        folder: a folder that all runs of the cluster share and can write to.
        cluster: identifies what the runs compete for: the master and its queue.
        who: a description of the run for others: `application`, `user`, `job`.
        note: called with a message if the storage can't be used; the run then gathers without the lease.
        clock: returns the time in seconds.
    """

    def __init__(
        self,
        folder: Folder,
        cluster: str,
        who: Mapping[str, Any],
        note: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder, self._who, self._note, self._clock = folder, dict(who), note, clock
        self._prefix = f".sparktrain-turn-{hashlib.sha256(cluster.encode()).hexdigest()[:10]}-"
        self._own_number: int | None = None  # the number of this run's lease, or of its last one
        self._gathers = False  # whether this run holds the lease, as far as it knows
        self._signs, self._signed = 0, 0.0
        self._seen: tuple[Any, float] = (None, 0.0)  # the other run's last write, and when it was first seen
        self._other: dict[str, Any] | None = None
        self._broken = False

    def take(self) -> bool:
        """Take or renew the lease, and return whether this run holds it; also True if the storage can't be used."""
        if self._broken:
            return True
        try:
            return self._take()
        except StorageError as error:
            self._broken = True
            self._note(f"runs on this cluster can't take turns in gathering executors: {error}")
            return True

    def whose(self) -> str | None:
        """Return a phrase that names the run before this one and its state; None if there is none."""
        if self._other is None:
            return None
        other = self._other
        return f"{other['application']} ({other['job']}, user {other['user']}) {other['state']}"

    def done(self) -> None:
        """Let the next run take the lease; the record stays until `end`, for runs that wait for executors."""
        if self.take() and self._gathers:
            self._write(TRAINING)
            self._gathers = False

    def end(self) -> None:
        """Remove this run's record from the storage."""
        if self._own_number is not None and not self._broken:
            self._folder.remove(self._name(self._own_number))
            self._own_number, self._gathers = None, False

    def _take(self) -> bool:
        if self._gathers and self._clock() - self._signed <= _SIGN:
            return True
        number, record = self._latest()
        move = next_move(
            self._gathers and number == self._own_number,
            None if record is None else record["state"],
            self._silence(number, record),
        )
        if move == "renew":
            self._other = self._latest(below=number)[1]
            self._write(GATHERING)
            return True
        self._gathers = False
        if number != self._own_number:
            self._other = record
        if move == "wait":
            return False
        claimed = self._folder.claim(self._name(number + 1), self._record(GATHERING))
        if claimed:
            if self._own_number is not None:  # of an earlier lease
                self._folder.remove(self._name(self._own_number))
            self._own_number, self._gathers, self._signed = number + 1, True, self._clock()
        return claimed

    def _silence(self, number: int, record: Mapping[str, Any] | None) -> float:
        """Return for how many seconds the owner has written nothing, by this run's own clock: others may differ."""
        sign = (number, None if record is None else record["signs"])
        if sign != self._seen[0]:
            self._seen = sign, self._clock()
        return self._clock() - self._seen[1]

    def _latest(self, below: int = 10**9) -> tuple[int, dict[str, Any] | None]:
        pattern = re.compile(re.escape(self._prefix) + r"(\d{9})")
        try:
            names = self._folder.list()
        except NotFound:
            names = []
        numbers = [int(match[1]) for name in names if (match := pattern.fullmatch(name))]
        numbers = [number for number in numbers if number < below]
        for number in sorted(numbers, reverse=True):
            try:
                return number, json.loads(self._folder.read_text(self._name(number)))
            except NotFound:
                continue  # its run has just ended
        return 0, None

    def _write(self, state: str) -> None:
        assert self._own_number is not None  # only the one whose turn it is writes
        self._signs += 1
        self._signed = self._clock()
        self._folder.write_bytes(self._name(self._own_number), self._record(state))

    def _record(self, state: str) -> bytes:
        return json.dumps({**self._who, "state": state, "signs": self._signs}).encode()

    def _name(self, number: int) -> str:
        return f"{self._prefix}{number:09d}"


def executor_lease(spark: SparkSession, job: str, hadoop: Mapping[str, str], note: Callable[[str], None]) -> ExecutorLease | None:
    """Return the lease of the cluster that the application runs on; None in local mode, which has no other application."""
    context = spark.sparkContext
    if master(context).startswith("local"):
        return None
    conf = context.getConf()
    cluster = f"{master(context)} {conf.get('spark.yarn.queue', 'default')}"
    who = {"application": context.applicationId, "user": context.sparkUser(), "job": job}
    return ExecutorLease(open_folder(qualified(spark, "/tmp"), hadoop), cluster, who, note)
