"""The barrier task on an executor: fills the segments, starts the child that trains on them, and watches it.

It never imports TensorFlow. It is pickled to the executors, so it has plain values only.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
import shutil
import socket
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import pyarrow
from pyspark import BarrierTaskContext

from sparktrain import feed
from sparktrain.cluster.channel import Client, Stopped
from sparktrain.cluster.child import EXITED, Child
from sparktrain.cluster.local_disks import Spare, local_dirs, make_folders, remove_left
from sparktrain.cluster.places import places
from sparktrain.cluster.short_path import forget, shorten
from sparktrain.cluster.work_folder import make_work_folder
from sparktrain.interfaces.launch import Launch, LaunchFailed
from sparktrain.interfaces.messages import Failure, Filling, Finished, Fit, Joined, Order, OutputCheck, Phase, Source

_ENDING = 2.0  # seconds in which an executor's JVM ends after its container's files were removed
# The errors of a process whose files are gone; an interpreter that starts without them can't report anything
_FILES_ARE_GONE = ("FileNotFoundError", "ModuleNotFoundError", "ImportError", EXITED)
_TELL_EVERY = 0.5  # seconds


@dataclass(frozen=True)
class Task:
    """The function for a barrier mapInArrow, with all values that the tasks of one attempt share."""

    run: str
    engine: str
    launch: Callable[[], Launch]  # the engine's Spark side
    driver: tuple[str, int]
    secret: bytes
    layout: dict[str, Any]  # feed.Layout.to_json
    model: Source
    fit: Fit
    seed: int
    output: str
    hadoop: dict[str, str]
    threads: int
    spare: Spare  # the space that segments leave free on each local disk
    gpus: int = 0  # of each worker
    rows: int | None = None  # about how many each part has; None if they were not counted
    token: str = ""  # of the driver's claim on the output folder
    code: str | None = None  # the name among Spark's files of the archive with the user's modules and files
    files: tuple[str, ...] = ()  # the names of spark-submit's --files
    omp_threads: str | None = None  # OMP_NUM_THREADS as the user has set it (spark.executorEnv)

    def __call__(self, batches: Iterable[pyarrow.RecordBatch]) -> Iterator[pyarrow.RecordBatch]:
        _Attempt(self, BarrierTaskContext.get()).run(batches)
        yield from ()


class _Attempt:
    """One worker's task, while it runs."""

    def __init__(self, task: Task, context: BarrierTaskContext) -> None:
        self._task = task
        self._part = context.partitionId()
        self._gpus = context.resources()["gpu"].addresses if task.gpus else []
        # Executors advertise an address that others can reach; a task's own host name may not resolve.
        hosts = [info.address.rsplit(":", 1)[0] for info in context.getTaskInfos()]
        self._host = hosts[self._part]
        self._before = hosts[: self._part].count(self._host)  # workers of this host with a lower part
        remove_left(local_dirs())
        name = f"sparktrain-{task.run}-{self._part}-{secrets.token_hex(4)}-pid{os.getpid()}"
        self._folders = make_folders(name, local_dirs())  # on each local disk
        self._folder = self._folders[self._before % len(self._folders)]  # for everything but the segments
        self._temporary = shorten(self._folder)
        self._executor = _parents()
        self._child: Child | None = None
        self._outcome: Finished | Failure | None = None
        self._stop_reason: str | None = None
        self._starting = threading.Lock()

    def run(self, batches: Iterable[pyarrow.RecordBatch]) -> None:
        engine = self._task.launch()
        try:
            client = Client(self._task.driver, self._task.secret, self._part, self._host, self._stop)
        except BaseException:
            self._remove_folders()
            raise
        self._client = client
        try:
            client.send(Phase("start"))
            child = self._start_child()
            shard = self._fill(batches, self._disks())
            self._train(child, shard, engine)
        except (Stopped, WorkerFailed):
            raise  # the driver knows it already
        except BaseException as error:
            client.send(self._blamed(_failure(error, self._folders)))
            raise
        finally:
            self._stop("the task has ended")
            if self._child is not None:
                self._watcher.join()
            engine.close()
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

    def _start_child(self) -> Child:
        threads = str(self._task.threads)
        work = make_work_folder(self._folder, self._task.code, self._task.files)
        environment = {
            "TF_CPP_MIN_LOG_LEVEL": "2",  # its notices of the processor and the like
            "TF_NUM_INTRAOP_THREADS": threads,
            "TF_NUM_INTEROP_THREADS": threads,
            **os.environ,  # a user's own values have priority
            "GLIBC_TUNABLES": _huge_pages(os.environ.get("GLIBC_TUNABLES", "")),
            # Including what Spark shipped, whose paths are relative to the executor's folder
            "PYTHONPATH": os.pathsep.join([str(work), *(os.path.abspath(path) for path in sys.path if path)]),
            "CUDA_VISIBLE_DEVICES": ",".join(self._gpus),
            "OMP_NUM_THREADS": self._task.omp_threads or threads,  # Spark sets it to the cores of an ordinary task
            "TMPDIR": str(self._temporary),
        }
        with self._starting:
            if self._stop_reason is not None:
                raise Stopped(self._stop_reason)
            child = self._child = Child(environment, self._client.send, str(work))
        if self._task.token:
            child.check(OutputCheck(self._task.output, self._task.hadoop, self._task.token))
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

    def _disks(self) -> feed.Disks:
        """Return this host's disks, with the number of workers that share each."""
        mine = [str(folder.stat().st_dev) for folder in self._folders]
        told = [json.loads(each) for each in self._client.gather(json.dumps([self._host, mine]))]
        sharing = Counter(device for host, devices in told if host == self._host for device in devices)
        disks = [
            feed.Disk(folder / "segments", self._task.spare.of(shutil.disk_usage(folder).total), sharing[device])
            for folder, device in zip(self._folders, mine)
        ]
        return feed.Disks(disks, self._before)

    def _fill(self, batches: Iterable[pyarrow.RecordBatch], disks: feed.Disks) -> feed.Shard:
        """Write this part's rows to segments and agree on shapes and counts with the other parts."""
        writer = feed.SegmentWriter(disks, feed.Layout.from_json(self._task.layout))
        self._client.send(Phase("fill"))
        rows = size = 0
        whole: int | None = None
        told = time.monotonic()
        for batch in _received(batches):
            writer.write(batch)
            rows += batch.num_rows
            size += batch.nbytes
            if whole is None and self._task.rows is not None and writer.row_bytes is not None:
                whole = self._task.rows * writer.row_bytes
                self._check_room(whole, disks)
            if time.monotonic() - told > _TELL_EVERY:
                told = time.monotonic()
                self._client.send(Filling(rows, size, whole))
            self._look()

        def between() -> None:
            self._client.send(Filling(rows, size, whole))  # also a sign of progress
            self._look()

        filled = writer.close(between)
        self._client.send(Filling(rows, size))
        self._client.send(Phase("join"))
        return feed.Shard(
            disks.folders,
            filled,
            feed.agree_through(self._client.gather, self._part, filled),
            part=self._part,
            seed=self._task.seed,
            batch_sizes=self._task.fit.batch_sizes,
        )

    def _look(self) -> None:
        """Raise Stopped if the attempt was stopped."""
        if self._stop_reason is not None:
            raise Stopped(self._stop_reason)

    def _check_room(self, whole: int, disks: feed.Disks) -> None:
        """Raise OSError (ENOSPC) if this worker's `whole` bytes don't fit on its share of the host's disks."""
        if whole > disks.room:
            raise OSError(
                errno.ENOSPC,
                f"this worker's {self._task.rows:,} rows need {whole / 1e9:,.1f} GB, and {disks.room / 1e9:,.1f} GB are its "
                "part of that, beside this host's other workers",
            )

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
        fit = self._task.fit
        if fit.ends_at is not None:
            fit = replace(fit, ends_at=self._client.by_monotonic_clock(fit.ends_at))
        environment = dict(engine.join(place, str(shard.folders[0]), gather_by_rank))
        child.order(
            Order(
                run=self._task.run,
                engine=self._task.engine,
                rank=place.rank,
                size=place.size,
                part=self._part,
                environment=environment,
                feed=shard.to_json(),
                model=self._task.model,
                fit=fit,
                seed=self._task.seed,
                output=self._task.output,
                hadoop=self._task.hadoop,
                token=self._task.token,
            )
        )
        self._watcher.join()
        if self._stop_reason is not None:
            raise Stopped(self._stop_reason)
        if isinstance(self._outcome, Failure):
            raise WorkerFailed(f"rank {place.rank} on {place.host}: {self._outcome.error}: {self._outcome.message}")


class ExecutorGone(RuntimeError):
    """Raised where the JVM that sent this task its rows is gone; the cluster manager knows why."""


def _received(batches: Iterable[pyarrow.RecordBatch]) -> Iterator[pyarrow.RecordBatch]:
    """Yield the batches that the executor's JVM sends.

    Raises:
        ExecutorGone: the JVM ended before it had sent all of them.
    """
    iterator = iter(batches)
    while True:
        try:
            batch = next(iterator)
        except StopIteration:
            return
        except (pyarrow.ArrowException, EOFError, OSError) as error:
            raise ExecutorGone(
                f"the executor's JVM broke off while it sent the rows ({type(error).__name__}: {error})"
            ) from error
        yield batch


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


def _failure(error: BaseException, folders: Sequence[Path]) -> Failure:
    if isinstance(error, feed.BadInput):
        return Failure("input", type(error).__name__, str(error))
    if isinstance(error, (LaunchFailed, ExecutorGone)):
        return Failure("lost", type(error).__name__, str(error))
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        free = ", ".join(f"{folder} ({shutil.disk_usage(folder).free / 1e9:.1f} GB free)" for folder in folders)
        message = (
            f"no space left for the segments on {socket.gethostname()}, in {free}: {error.strerror}. Part of each disk is left "
            "free (cluster.spare_disk). Give Spark larger local dirs (spark.local.dir, or YARN's local-dirs), more workers "
            "(but with split: epochs each has all rows), or sample fewer rows"
        )
        return Failure("input", "NoSpace", message)
    return Failure("code", type(error).__name__, str(error), traceback.format_exc())
