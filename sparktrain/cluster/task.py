"""The barrier task on an executor: fills the segments, starts the child that trains on them, and watches it.

It never imports TensorFlow. It is pickled to the executors, so it has plain values only.
"""

from __future__ import annotations

import os
import secrets
import shutil
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import psutil
import pyarrow
from pyspark import BarrierTaskContext

from sparktrain import feed
from sparktrain.cluster.assignment import Assignment
from sparktrain.cluster.channel.client import Client, Stopped, tell_absent
from sparktrain.cluster.disks.local_disks import local_dirs, make_folders, remove_left
from sparktrain.cluster.disks.short_path import forget, shorten
from sparktrain.cluster.disks.work_folder import make_work_folder
from sparktrain.cluster.places import places
from sparktrain.cluster.processes.child import EXITED, Child
from sparktrain.cluster.processes.process import Start, start_afresh
from sparktrain.cluster.processes.warm_start import WarmStart
from sparktrain.cluster.task_failure import ExecutorGone, failure_of
from sparktrain.cluster.task_rows import TaskRows
from sparktrain.interfaces.launch import Launch
from sparktrain.interfaces.messages import Failure, Finished, Joined, Order, OutputCheck, Phase

_ENDING = 2.0  # seconds in which an executor's JVM ends after its container's files were removed
# The errors of a process whose files are gone; an interpreter that starts without them can't report anything
_FILES_ARE_GONE = ("FileNotFoundError", "ModuleNotFoundError", "ImportError", EXITED)


@dataclass(frozen=True)
class Task:
    """The function for a barrier mapInArrow: an assignment, and where its tasks report to."""

    assignment: Assignment
    driver: tuple[str, int]  # the control channel's host and port
    secret: bytes

    def __call__(self, batches: Iterable[pyarrow.RecordBatch]) -> Iterator[pyarrow.RecordBatch]:
        _Attempt(self, BarrierTaskContext.get()).run(batches)
        yield from ()


class _Attempt:
    """One worker's task, while it runs."""

    def __init__(self, task: Task, context: BarrierTaskContext) -> None:
        self._driver, self._secret = task.driver, task.secret
        self._assignment = assignment = task.assignment
        self._part = context.partitionId()
        self._gpus = context.resources()["gpu"].addresses if assignment.gpus else []
        # Executors advertise an address that others can reach; a task's own host name may not resolve.
        hosts = [info.address.rsplit(":", 1)[0] for info in context.getTaskInfos()]
        self._host = hosts[self._part]
        self._before = hosts[: self._part].count(self._host)  # workers of this host with a lower part
        remove_left(local_dirs())
        name = f"sparktrain-{assignment.spec.run}-{self._part}-{secrets.token_hex(4)}-pid{os.getpid()}"
        self._folders = make_folders(name, local_dirs())  # on each local disk
        self._folder = self._folders[self._before % len(self._folders)]  # for everything but the segments
        self._temporary = shorten(self._folder)
        self._executor = _parents()
        jvm = self._executor[1].pid if len(self._executor) == 2 else None
        self._rows = TaskRows(assignment, self._folders, self._part, jvm)
        self._child: Child | None = None
        self._outcome: Finished | Failure | None = None
        self._stop_reason: str | None = None
        self._end_reason: str | None = None  # why training is to end after an epoch
        self._starting = threading.Lock()

    def run(self, batches: Iterable[pyarrow.RecordBatch]) -> None:
        if not self._rows.take():
            for _ in batches:  # read to the end: Spark doesn't reuse a Python worker that left some of its input
                pass
            self._remove_folders()
            tell_absent(self._driver, self._secret, self._part)
            return
        self._part = self._rows.part
        engine = self._assignment.launch()
        try:
            client = Client(self._driver, self._secret, self._part, self._host, self._stop, self._end_epoch)
        except BaseException:
            self._remove_folders()
            raise
        self._client = client
        try:
            client.send(Phase("start"))
            child = self._start_child()
            if self._rows.filled is None:
                disks = self._rows.disks(client, self._host, self._before)
                self._rows.fill(batches, disks, client, self._raise_if_stopped)
            else:
                for _ in batches:
                    pass
            self._train(child, self._rows.agree(client), engine)
        except (Stopped, WorkerFailed):
            raise  # the driver knows it already
        except BaseException as error:
            client.send(self._blamed(failure_of(error, self._folders)))
            raise
        finally:
            self._stop("the task has ended")
            if self._child is not None:
                self._watcher.join()
            engine.close()
            self._rows.keep(finished=isinstance(self._outcome, Finished))
            self._remove_folders()
            client.close()

    def _remove_folders(self) -> None:
        forget(self._temporary, self._folder)
        for folder in self._folders:
            shutil.rmtree(folder, ignore_errors=True)

    def _stop(self, reason: str) -> None:
        with self._starting:
            self._stop_reason = reason
            if self._child is not None:
                self._child.kill(reason)

    def _end_epoch(self, reason: str) -> None:
        with self._starting:
            self._end_reason, child = reason, self._child
        if child is not None:
            # In a thread of its own: a child that reads nothing would hold up the thread that hears of a stop
            threading.Thread(target=child.end_epoch, args=(reason,), name="child-end-epoch", daemon=True).start()

    def _start_child(self) -> Child:
        threads = str(self._assignment.threads)
        work = make_work_folder(self._folder, self._assignment.code, self._assignment.files)
        environment = {
            "TF_CPP_MIN_LOG_LEVEL": "2",  # its notices of the processor and the like
            "TF_NUM_INTRAOP_THREADS": threads,
            "TF_NUM_INTEROP_THREADS": threads,
            **os.environ,  # a user's own values have priority
            "GLIBC_TUNABLES": _huge_pages(os.environ.get("GLIBC_TUNABLES", "")),
            # Including what Spark shipped, whose paths are relative to the executor's folder
            "PYTHONPATH": os.pathsep.join([str(work), *(os.path.abspath(path) for path in sys.path if path)]),
            "CUDA_VISIBLE_DEVICES": ",".join(self._gpus),
            "OMP_NUM_THREADS": self._assignment.omp_threads or threads,  # Spark sets it to the cores of an ordinary task
            "TMPDIR": str(self._temporary),
        }
        with self._starting:
            self._raise_if_stopped()
            start: Start = start_afresh
            if self._assignment.warm_minutes is not None and len(self._executor) == 2:
                start = WarmStart(self._executor[1], self._assignment.warm_minutes).start
            child = self._child = Child(environment, self._client.send, str(work), start)
            end_reason = self._end_reason
        output = self._assignment.spec.output
        if output.token:
            child.check(OutputCheck(output))
        if end_reason is not None:
            child.end_epoch(end_reason)
        # Watched from its start: a child that dies during filling ends the attempt at once.
        self._watcher = threading.Thread(target=self._watch, args=(child,), name="child-watch", daemon=True)
        self._watcher.start()
        return child

    def _watch(self, child: Child) -> None:
        self._outcome = child.wait()
        if self._stop_reason is None:
            self._client.send(self._blamed(self._outcome))

    def _blamed(self, outcome: Finished | Failure) -> Finished | Failure:
        """Return the outcome, or a lost executor as its cause: a cluster manager removes an ended executor's files at once."""
        if not isinstance(outcome, Failure) or outcome.cause == "echo":
            return outcome
        if outcome.error in _FILES_ARE_GONE:  # perhaps the container is being ended, with its JVM
            until = time.monotonic() + _ENDING
            while time.monotonic() < until and _parents() == self._executor:
                time.sleep(0.1)
        if _parents() == self._executor:
            return outcome
        return Failure("lost", ExecutorGone.__name__, f"the executor's JVM is gone, and then {outcome.error}: {outcome.message}")

    def _raise_if_stopped(self) -> None:
        if self._stop_reason is not None:
            raise Stopped(self._stop_reason)

    def _train(self, child: Child, shard: feed.Shard, engine: Launch) -> None:
        hosts = self._client.gather(self._host)
        all_places = places(hosts)
        place = all_places[self._part]

        def gather_by_rank(value: str) -> list[str]:
            values = self._client.gather(value)
            by_rank = {all_places[part].rank: values[part] for part in range(len(values))}
            return [by_rank[rank] for rank in range(len(values))]

        # The same on all workers, and long if there are many columns
        inputs = (
            {name: [list(shape), feed.dtype_name(dtype)] for name, (shape, dtype) in shard.inputs.items()}
            if place.rank == 0
            else {}
        )
        self._client.send(
            Joined(
                place.rank,
                shard.rows,
                shard.validation_rows,
                shard.filled.bytes,
                shard.schedule.steps,
                inputs,
                shard.filled.label_counts,
            )
        )
        ends_at = self._assignment.spec.fit.ends_at
        environment = dict(engine.join(place, str(shard.folders[0]), gather_by_rank))
        child.order(
            Order(
                spec=self._assignment.spec,
                rank=place.rank,
                size=place.size,
                part=self._part,
                environment=environment,
                feed=shard.to_json(),
                ends_at=None if ends_at is None else self._client.by_monotonic_clock(ends_at),
            )
        )
        self._watcher.join()
        self._raise_if_stopped()
        if isinstance(self._outcome, Failure):
            raise WorkerFailed(f"rank {place.rank} on {place.host}: {self._outcome.error}: {self._outcome.message}")


def _parents() -> list[psutil.Process]:
    """Return the parent process, PySpark's daemon, and its parent, the executor's JVM; others once one of them has ended."""
    return psutil.Process().parents()[:2]


class WorkerFailed(RuntimeError):
    """Raised to end the Spark task; the driver knows the failure from the control channel."""


def _huge_pages(tunables: str) -> str:
    """Return glibc's tunables with huge pages for large allocations, unless the user has set that tunable.

    TensorFlow on CPUs allocates a large tensor anew in each step, and the kernel clears it in pages of 4 KiB unless the
    process asks for huge pages: half of a step's time for layers of 50 MB (the kernel's default is "madvise").
    """
    if "glibc.malloc.hugetlb" in tunables:
        return tunables
    return ":".join(filter(None, [tunables, "glibc.malloc.hugetlb=1"]))
