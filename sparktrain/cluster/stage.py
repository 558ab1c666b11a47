"""Runs one attempt from the driver: starts the barrier stage, follows it by the channel, and finds the root cause of a failure."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from typing import cast

from pyspark import inheritable_thread_target
from pyspark.sql import DataFrame

from sparktrain.cluster.assignment import Assignment
from sparktrain.cluster.channel.server import Server
from sparktrain.cluster.disks.kept_rows import RowsGone
from sparktrain.cluster.executors.slots import ClusterRefused, Slots
from sparktrain.cluster.places import places
from sparktrain.cluster.root_cause import WorkerFailure, root_cause, with_missing, with_reason
from sparktrain.cluster.spark_cause import spark_cause
from sparktrain.cluster.spark_progress import SparkProgress, watch_beginning
from sparktrain.cluster.stalls import Stalls
from sparktrain.cluster.task import Task
from sparktrain.cluster.task_failure import ExecutorGone
from sparktrain.interfaces.messages import Failure, Finished, Joined, Message

_ECHO_GRACE = 1.0  # seconds in which a worker's own failure may still arrive after its peers' echoes of it
_WORD_GRACE = 3.0  # seconds in which a worker's own failure may still arrive after Spark has ended the stage by an error
_STOP_GRACE = 2.0  # seconds that the tasks have to end by themselves before Spark cancels them
_VERDICT_GRACE = 10.0  # the same if an executor is gone: Spark learns the reason from the cluster manager
_TELL_GRACE = 30.0  # seconds in which the workers' last messages may still arrive after Spark has ended the stage
_TASK_LOST = "TaskLost"
_GONE = (_TASK_LOST, ExecutorGone.__name__)


class AttemptFailed(RuntimeError):
    """Raised where a worker failed; `failure` has the worker, its host and the reason.

    The worker's traceback is added as a note, which Python and notebooks show below the exception.
    """

    def __init__(self, failure: WorkerFailure) -> None:
        self.failure = failure
        super().__init__(f"{failure}: {failure.failure.error}: {failure.failure.message}")
        if failure.failure.traceback:
            self.add_note(f"On {failure}:\n{failure.failure.traceback.rstrip()}")


class AttemptStopped(RuntimeError):
    """Raised where an attempt was ended by `Attempt.stop`; the message is the reason."""


class StageFailed(RuntimeError):
    """Raised where Spark itself failed before any worker reported anything, mostly while it prepared the rows."""


class NoTasks(StageFailed):
    """Raised where Spark ran no task, as it found at run time that there are no rows."""


class Attempt:
    """One attempt of a run.

    Args:
        frame: the distributed rows, one partition a worker.
        assignment: what the tasks do.
        slots: the application's slots.
        parts: the number of workers.
        on_message: called with (part, message) for every message of the workers, one call at a time.
        port: the control channel's port; 0 for any free one.
        stall_timeout: seconds without progress after which the attempt is ended.
        on_filled: called in a separate thread with the tag of the stage's job, once all workers have their rows.
        tasks: the number of the frame's partitions, at least `parts`: where the tasks take rows that executors have kept, those on
            executors without any have nothing to do.
    """

    def __init__(
        self,
        frame: DataFrame,
        assignment: Assignment,
        slots: Slots,
        parts: int,
        on_message: Callable[[int, Message], object],
        port: int = 0,
        stall_timeout: float = 300,
        on_filled: Callable[[str], None] = lambda tag: None,
        tasks: int | None = None,
    ) -> None:
        self._idle = (parts if tasks is None else tasks) - parts  # how many tasks may have nothing to do
        self._frame = frame
        self._assignment = assignment
        self._slots = slots
        self._parts = parts
        self._on_message = on_message
        self._port = port
        self._stall_timeout = stall_timeout
        self._on_filled = on_filled
        self._tag = f"sparktrain-{assignment.spec.run}-{secrets.token_hex(4)}"
        self._joined: set[int] = set()
        self._context = frame.sparkSession.sparkContext
        self._changed = threading.Condition()
        self._failures: list[WorkerFailure] = []
        self._finished: dict[int, Finished] = {}
        self._stalls: Stalls
        self._begun = threading.Event()  # a task has sent a message, or the attempt is over
        self._stuck: str | None = None  # why no task will ever start
        self._stage_error: Exception | None = None
        self._observer_error: BaseException | None = None
        self._stage_ended = False
        self._rows_gone = False
        self._stop_reason: str | None = None
        self._end_reason: str | None = None  # why training is to end after an epoch
        self._server: Server | None = None

    def stop(self, reason: str) -> None:
        """End the attempt, whatever it does, so that `run` raises AttemptStopped. From any thread, also before `run`."""
        with self._changed:
            self._stop_reason = reason
            self._changed.notify_all()

    def end_epoch(self, reason: str) -> None:
        """Have the workers end training after the current epoch, or after the first, and save. From any thread, at any time."""
        with self._changed:
            self._end_reason, server = reason, self._server
        if server is not None:
            server.end_epoch(reason)

    def run(self) -> list[Finished]:
        """Run the attempt and wait for its end.

        Returns:
            Each worker's last message, by part.

        Raises:
            AttemptFailed: a worker failed.
            AttemptStopped: the attempt was stopped from another thread.
            StageFailed: Spark failed; NoTasks if there are no rows.
            ClusterRefused: the control channel can't be opened.
            RowsGone: the executors don't have all the rows that the tasks were to take.
            KeyboardInterrupt: after every worker was ended.

        An exception in `on_message` ends the attempt, too, and is raised here.
        """
        secret = secrets.token_bytes(32)
        conf = self._context.getConf()
        host = cast(str, conf.get("spark.driver.host"))  # Spark sets it where nobody else does
        address = conf.get("spark.driver.bindAddress", host)
        try:
            server = Server(self._parts, secret, self._receive, self._lose, address, self._port, self._absent)
        except OSError as error:
            raise ClusterRefused(
                f"the workers' control channel can't listen on {address}, port {self._port} (cluster.driver_port; 0 is "
                f"any free one): {error}. Choose another port, or set spark.driver.host to an address of this machine"
            ) from error
        with self._changed:
            self._server, end_reason = server, self._end_reason
        if end_reason is not None:
            server.end_epoch(end_reason)
        task = Task(self._assignment, (host, server.port), secret)
        stage = threading.Thread(
            target=inheritable_thread_target(self._frame.sparkSession)(self._run_stage),
            args=(task,),
            name="attempt-stage",
            daemon=True,
        )
        stage.start()
        self._stalls = Stalls(self._parts, self._stall_timeout, time.monotonic())
        beginning = threading.Thread(
            target=watch_beginning,
            args=(SparkProgress(self._context, self._tag), self._stall_timeout, self._begun, self._never),
            name="attempt-beginning",
            daemon=True,
        )
        beginning.start()
        try:
            self._watch()
        finally:
            self._begun.set()
            if not self._stage_ended:
                server.stop(self._reason())
                stage.join(_VERDICT_GRACE if self._spark_knows() else _STOP_GRACE)
                if stage.is_alive():
                    self._context.cancelJobsWithTag(self._tag)
                    stage.join(30)
            server.close()
        if self._observer_error is not None:
            raise self._observer_error
        if self._stop_reason is not None and len(self._finished) < self._parts:
            raise AttemptStopped(self._stop_reason)
        if self._rows_gone:
            raise RowsGone(f"executors have lost rows that an earlier run had filled ({self._assignment.kept})")
        if self._failures:
            raise AttemptFailed(self._explained(root_cause(self._failures)))
        if self._stuck is not None:
            raise StageFailed(self._stuck)
        if self._stage_error is not None:
            raise StageFailed(spark_cause(self._stage_error)) from self._stage_error
        silent = [part for part in range(self._parts) if part not in self._finished]
        if not server.hosts:
            raise NoTasks("Spark ended the stage without running a task: it found no rows")
        if silent:
            raise StageFailed(f"Spark ended the stage, and the workers of parts {silent} never reported how they ended")
        return [self._finished[part] for part in range(self._parts)]

    def _run_stage(self, task: Task) -> None:
        try:
            self._context.addJobTag(self._tag)
            self._context.setLocalProperty("spark.job.description", f"sparktrain: training {task.assignment.spec.run}")
            self._frame.mapInArrow(task, "part int", barrier=True, profile=self._slots.profile(task.assignment.gpus)).collect()
        except Exception as error:  # raised by `run`
            self._stage_error = error
        finally:
            with self._changed:
                self._stage_ended = True
                self._changed.notify_all()

    def _failed(self, part: int, failure: Failure) -> None:
        self._failures.append(self._of_worker(part, failure))
        self._stalls.ended(part)

    def _of_worker(self, part: int, failure: Failure) -> WorkerFailure:
        return WorkerFailure(part, self._rank(part), self._hosts.get(part, "an unknown host"), failure)

    @property
    def _hosts(self) -> dict[int, str]:
        """The hosts of the tasks that have connected, by part."""
        return {} if self._server is None else self._server.hosts

    def _rank(self, part: int) -> int | None:
        hosts = self._hosts
        return places([hosts[p] for p in range(self._parts)])[part].rank if len(hosts) == self._parts else None

    def _receive(self, part: int, message: Message) -> None:
        with self._changed:
            self._stalls.heard(part, message, time.monotonic())
            self._begun.set()
            if isinstance(message, Failure):
                self._failed(part, message)
            elif isinstance(message, Finished):
                self._finished[part] = message
                self._stalls.ended(part)
            elif isinstance(message, Joined) and part not in self._joined:
                self._joined.add(part)
                if len(self._joined) == self._parts:
                    threading.Thread(target=self._on_filled, args=(self._tag,), name="attempt-filled", daemon=True).start()
            self._changed.notify_all()
        try:
            self._on_message(part, message)
        except BaseException as error:  # raised by `run`, not in the channel's thread
            with self._changed:
                self._observer_error = self._observer_error or error
                self._changed.notify_all()

    def _lose(self, part: int, why: str | None) -> None:
        with self._changed:
            if part in self._finished or any(failure.part == part for failure in self._failures):
                return
            message = f"its Spark task is gone: {why or 'the executor or its Python process was killed, or the node was lost'}"
            self._failed(part, Failure("lost", _TASK_LOST, message))
            self._changed.notify_all()

    def _absent(self, task: int) -> None:
        with self._changed:
            self._begun.set()
            self._idle -= 1
            if self._idle < 0:
                self._rows_gone = True
            self._changed.notify_all()

    def _watch(self) -> None:
        """Wait until the stage has ended, or a failure is known and its root cause had time to arrive."""
        with self._changed:
            while not self._stage_ended and not self._failures and not self._given_up():
                self._changed.wait(timeout=1)
                stall = self._stalls.find(time.monotonic())
                if stall is not None:
                    self._failed(stall.part, Failure("lost", "Stalled", stall.message))
            if self._given_up():
                return
            if self._stage_ended and not self._failures and self._stage_error is None:
                if not self._hosts:
                    return  # no task has run
                self._changed.wait_for(lambda: self._failures or len(self._finished) == self._parts, _TELL_GRACE)
                return
            # Spark may report a lost executor before its worker's own message, which says more
            deadline = time.monotonic() + (_ECHO_GRACE if self._failures else _WORD_GRACE)
            while time.monotonic() < deadline and not self._certain():
                self._changed.wait(timeout=deadline - time.monotonic())

    def _given_up(self) -> bool:
        """Return whether the driver itself ends the attempt."""
        ended = self._stuck is not None or self._stop_reason is not None or self._rows_gone
        return ended or self._observer_error is not None

    def _certain(self) -> bool:
        return any(failure.failure.cause in ("code", "input") for failure in self._failures)

    def _never(self, why: str) -> None:
        with self._changed:
            self._stuck = why
            self._changed.notify_all()

    def _explained(self, cause: WorkerFailure) -> WorkerFailure:
        if cause.failure.cause == "echo":
            reported = {failure.part for failure in self._failures} | set(self._finished)
            return with_missing(
                cause, [str(self._of_worker(part, cause.failure)) for part in range(self._parts) if part not in reported]
            )
        if cause.failure.error in _GONE and self._stage_error is not None:
            return with_reason(cause, spark_cause(self._stage_error))
        return cause

    def _spark_knows(self) -> bool:
        return bool(self._failures) and root_cause(self._failures).failure.error in _GONE

    def _reason(self) -> str:
        if self._observer_error is not None:
            return "the driver failed"
        if self._stuck is not None:
            return "Spark's scheduler is stuck"
        if self._rows_gone:
            return "executors have lost rows"
        if self._stop_reason is not None:
            return f"the run was stopped: {self._stop_reason}"
        if not self._failures:
            return "the run was interrupted"
        cause = root_cause(self._failures)
        return f"{cause} failed: {cause.failure.error}"
