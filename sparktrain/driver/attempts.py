"""Makes a run's attempts, one after the other, each over the prepared frame and from the last checkpoint."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException

from sparktrain.cluster.executors import ApplicationExecutors
from sparktrain.cluster.local_disks import spare_of
from sparktrain.cluster.shuffle_files import remove_shuffle_files
from sparktrain.cluster.slots import ClusterRefused, Slots, worker_gpus
from sparktrain.cluster.stage import Attempt, AttemptFailed, NoTasks, StageFailed, spark_cause
from sparktrain.cluster.task import Task
from sparktrain.cluster.work_folder import submitted_files
from sparktrain.data import VALIDATION, Prepared, deal, explain, pack
from sparktrain.driver.retry_policy import Kind, RetryPolicy, kind_of
from sparktrain.driver.run_context import RunContext
from sparktrain.driver.worker_spec import layout, rows_of_each
from sparktrain.engines import bring_up
from sparktrain.feed import NoRows
from sparktrain.interfaces.checkpoints import CHECKPOINTS, Checkpoint, read, to_go_on_from
from sparktrain.interfaces.launch import Launch
from sparktrain.interfaces.messages import Finished, Fit, Message, Source
from sparktrain.storage import Folder, NotFound


@dataclass(frozen=True)
class Work:
    """What the attempts of a run have in common.

    Attributes:
        model: for the child process: the function that builds the model, or the user's own training function.
        code: the name among Spark's files of the archive with the user's modules and files; None if there is none.
        fit: returns how an attempt trains, from the rows a step of each worker and the checkpoint to resume from.
        gather: waits for slots for the workers.
        notice: called with the part and each message of its worker.
    """

    model: Source
    code: str | None
    fit: Callable[[tuple[int, ...], Checkpoint | None], Fit]
    gather: Callable[[], Slots]
    notice: Callable[[int, Message], object]


def train(run: RunContext, prepared: Prepared, slots: Slots, work: Work) -> list[Finished]:
    """Train, and retry after lost processes, executors or nodes up to `training.max_failures` times.

    Args:
        slots: the slots of the first attempt.

    Returns:
        Each worker's last message, by part.

    Raises:
        AttemptFailed, StageFailed, LaunchFailed: the failure of the last attempt.
        InputError: rows or files that can't be trained on.
    """
    policy = RetryPolicy(run.job.training.max_failures, _checkpoint(run.folder.staged, run.workers))
    while True:
        run.timeline.begin_attempt()
        try:
            with _engine(run, slots) as launch:
                return _attempt(run, prepared, slots, work, launch, last=policy.exhausted)
        except (AttemptFailed, StageFailed) as error:
            retry = policy.after(_kind(error), _checkpoint(run.folder.staged, run.workers)) if not run.rehearsal else None
            if retry is None:
                raise
            run.display.note(f"attempt {run.timeline.attempts} failed: {error}")
            run.display.note(
                f"retrying in {retry.pause:.0f} s (failure {retry.failures} of at most {run.job.training.max_failures})"
            )
        time.sleep(retry.pause)
        run.folder.check()
        run.timeline.again()
        slots = work.gather()


def _kind(error: AttemptFailed | StageFailed) -> Kind:
    if isinstance(error, NoTasks):
        return "final"
    if isinstance(error, AttemptFailed):
        if not error.retryable:
            return "final"
        return "taken" if kind_of(error.failure.failure.traceback) == "taken" else "lost"
    return kind_of(str(error))


def _engine(run: RunContext, slots: Slots) -> AbstractContextManager[Callable[[], Launch]]:
    """Return a context with the engine's services on the executors; its value makes each attempt's Launch."""
    executors = ApplicationExecutors(run.spark.sparkContext, slots, run.workers)
    return bring_up(run.job.training.engine, executors, run.job.cluster.slots_timeout, run.display.note)


def _attempt(
    run: RunContext, prepared: Prepared, slots: Slots, work: Work, launch: Callable[[], Launch], last: bool
) -> list[Finished]:
    training, parts = run.job.training, run.workers
    sizes = training.batch_sizes(parts)
    checkpoint = _checkpoint(run.folder.staged, parts)
    if checkpoint is not None or run.timeline.attempts > 1:
        run.display.note(f"continuing from {checkpoint or 'the beginning'}")
    repeated = None
    if not run.rehearsal and parts > 1:
        begun = time.monotonic()
        run.display.step("looking for rows that occur very often")
        try:
            repeated = prepared.repeated(parts, run.all_rows_each)
        except (PySparkException, Py4JError) as error:
            raise StageFailed(spark_cause(error)) from error
        run.timeline.seconds["prepare"] += time.monotonic() - begun
    frame = prepared.frame
    if run.rehearsal:
        # Validation rows too: early stopping and `save: best` need their metrics.
        few = sum(sizes)
        frame = frame.where(f"NOT {VALIDATION}").limit(few).unionAll(frame.where(VALIDATION).limit(few))
    dealt, sent = pack(deal(frame, parts, run.job.seed, run.all_rows_each, repeated))
    task = Task(
        run=run.id,
        engine=training.engine,
        launch=launch,
        driver=("", 0),
        secret=b"",
        layout=layout(run.job.data, prepared.classes, sent).to_json(),
        model=work.model,
        fit=work.fit(sizes, checkpoint),
        seed=run.job.seed,
        output=run.folder.staged.url,
        hadoop=dict(run.hadoop),
        threads=slots.threads(parts),
        spare=spare_of(run.spark.sparkContext, run.job.cluster.spare_disk),
        gpus=worker_gpus(training.gpus_per_worker, slots),
        rows=None if run.rehearsal else rows_of_each(prepared, parts, run.all_rows_each),
        token=run.folder.token,
        code=work.code,
        files=submitted_files(run.spark.sparkContext),
    )
    run.display.step("filling")
    run.timeline.mark("stage")

    def release(tag: str) -> None:
        """Free the shuffle's files, as each attempt shuffles anew, and in the last attempt the prepared rows."""
        run.display.tidy(
            lambda: remove_shuffle_files(run.spark.sparkContext, tag), "the shuffle's files are still on the executors' disks"
        )
        if last and not run.rehearsal:
            run.display.tidy(prepared.release, "the prepared rows are still kept")

    attempt = Attempt(
        dealt,
        task,
        slots,
        parts,
        work.notice,
        port=run.job.cluster.driver_port,
        stall_timeout=run.job.cluster.stall_timeout,
        on_filled=release,
    )
    try:
        finished = attempt.run()
    except AttemptFailed as error:
        if error.failure.failure.error == NoRows.__name__:
            raise prepared.why_empty() from error
        if error.failure.failure.error == "NotShared":  # an error of the room training, which the driver doesn't import
            raise ClusterRefused(f"{error.failure}: {error.failure.failure.message}") from error
        raise
    except NoTasks as error:
        raise prepared.why_empty() from error
    except StageFailed as error:
        cause = error.__cause__
        known = explain(cause) if cause is not None else None  # a file or a record that can't be read
        raise known or error from cause
    run.timeline.mark("end")
    return finished


def _checkpoint(folder: Folder, workers: int) -> Checkpoint | None:
    """Return the run's last checkpoint that this many workers can resume from; None if there is none."""
    try:
        return to_go_on_from(read(folder.join(CHECKPOINTS).list()), workers)
    except NotFound:
        return None
