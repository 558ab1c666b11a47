"""Makes a run's attempts, one after the other, each over the prepared frame and from the last checkpoint."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException

from sparktrain.cluster.assignment import Assignment
from sparktrain.cluster.disks.kept_rows import KeptRows, RowsGone
from sparktrain.cluster.disks.local_disks import spare_of
from sparktrain.cluster.disks.shuffle_files import remove_shuffle_files
from sparktrain.cluster.disks.work_folder import submitted_files
from sparktrain.cluster.executors.application_executors import ApplicationExecutors
from sparktrain.cluster.executors.slots import ClusterRefused, Slots, worker_gpus
from sparktrain.cluster.stage import Attempt, AttemptFailed, NoTasks, StageFailed, spark_cause
from sparktrain.cluster.task_failure import RowsUnread
from sparktrain.data import VALIDATION, Prepared, deal, explain, pack
from sparktrain.driver.attempts.filled_rows import RowsKey, filled_rows, new_token, rows_key
from sparktrain.driver.attempts.retry_policy import Kind, RetryPolicy, kind_of, kind_of_failure
from sparktrain.driver.attempts.worker_spec import layout, rows_of_each
from sparktrain.driver.run_context import RunContext
from sparktrain.engines import bring_up
from sparktrain.feed import NoRows
from sparktrain.interfaces.checkpoints import CHECKPOINTS, Checkpoint, read, to_go_on_from
from sparktrain.interfaces.launch import Launch
from sparktrain.interfaces.messages import Finished, Message
from sparktrain.interfaces.training_spec import Fit, Output, Source, TrainingSpec
from sparktrain.storage import Folder, NotFound

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Work:
    """What the attempts of a run have in common.

    Attributes:
        model: for the child process: the function that builds the model, or the user's own training function.
        code: the name among Spark's files of the archive with the user's modules and files; None if there is none.
        fit: returns how an attempt trains, from the rows a step of each worker and the checkpoint to resume from.
        gather: waits for slots for the workers.
        free: returns how many executors are free for this run's tasks, its workers' own among them.
        notice: called with the part and each message of its worker.
    """

    model: Source
    code: str | None
    fit: Callable[[tuple[int, ...], Checkpoint | None], Fit]
    gather: Callable[[], Slots]
    free: Callable[[], int]
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
        RunStopped: the run was stopped at once; or another error, which that has caused.
    """
    policy = RetryPolicy(run.job.training.max_failures, _checkpoint(run.folder.staged, run.workers))
    while True:
        run.control.check()
        run.timeline.begin_attempt()
        try:
            with _engine(run, slots) as launch:
                return _attempt(run, prepared, slots, work, launch, last=policy.exhausted)
        except RowsGone as error:
            _log.info("filling again: %s", error)
            run.timeline.fill_again()
            continue
        except (AttemptFailed, StageFailed) as error:
            _log.info("attempt %d of run %s failed", run.timeline.attempts, run.id, exc_info=True)
            retry = policy.after(_kind(error), _checkpoint(run.folder.staged, run.workers)) if not run.rehearsal else None
            if retry is None:
                raise
            run.display.note(f"attempt {run.timeline.attempts} failed: {error}")
            if isinstance(error, AttemptFailed) and error.failure.failure.error == RowsUnread.__name__:
                prepared.leave_to_spark()
            run.display.note(
                f"retrying in {retry.pause:.0f} s (failure {retry.failures} of at most {run.job.training.max_failures})"
            )
        run.control.pause(retry.pause)
        run.folder.check()
        run.timeline.again()
        slots = work.gather()


def _kind(error: AttemptFailed | StageFailed) -> Kind:
    if isinstance(error, AttemptFailed):
        return kind_of_failure(error.failure.failure)
    return "final" if isinstance(error, NoTasks) else kind_of(str(error))


@contextmanager
def _engine(run: RunContext, slots: Slots) -> Iterator[Callable[[], Launch]]:
    """Run the engine's services on the executors within a context; its value makes each attempt's Launch."""
    executors = ApplicationExecutors(run.spark.sparkContext, slots, run.workers)
    with ExitStack() as stack:
        with run.control.interrupting(executors.cancel):  # not at its end, which is a job of these executors, too
            engine = bring_up(run.job.training.engine, executors, run.job.cluster.slots_timeout, run.display.note)
            launch = stack.enter_context(engine)
        yield launch


def _attempt(
    run: RunContext, prepared: Prepared, slots: Slots, work: Work, launch: Callable[[], Launch], last: bool
) -> list[Finished]:
    training, parts = run.job.training, run.workers
    sizes = training.batch_sizes(parts)
    checkpoint = _checkpoint(run.folder.staged, parts)
    if checkpoint is not None or run.timeline.attempts > 1:
        run.display.note(f"continuing from {checkpoint or 'the beginning'}")
    context, frame = run.spark.sparkContext, prepared.frame
    registry, key = filled_rows(context), _rows_key(run, prepared)
    token, kept = None, None
    if key is not None:
        token = registry.take(key)
        kept = KeptRows(token or new_token(), filled=token is not None, stay=run.job.cluster.warm is not None)
    repeated = None
    if not run.rehearsal and parts > 1 and token is None:
        begun = time.monotonic()
        run.display.step("looking for rows that occur very often")
        try:
            repeated = prepared.repeated(parts, run.all_rows_each)
        except (PySparkException, Py4JError) as error:
            raise StageFailed(spark_cause(error)) from error
        run.timeline.seconds["prepare"] += time.monotonic() - begun
    if run.rehearsal:
        # Validation rows too: early stopping and `save: best` need their metrics.
        few = sum(sizes)
        frame = frame.where(f"NOT {VALIDATION}").limit(few).unionAll(frame.where(VALIDATION).limit(few))
    reader = None
    if token is None and not run.rehearsal and not repeated:
        reader = prepared.reader(parts, run.all_rows_each, run.hadoop)
    tasks = parts
    if token is not None:
        # A task on each executor that is free, as Spark doesn't say where it starts one
        tasks = work.free()
    sent: Mapping[str, str | None] | None = None
    if token is None and reader is None:
        # Rows in buckets are dealt by the seed that has put them there, also where Spark deals them
        seed = prepared.buckets.seed if prepared.buckets is not None else run.job.seed
        dealt, sent = pack(deal(frame, parts, seed, run.all_rows_each, repeated))
    else:
        dealt = run.spark.range(0, tasks, 1, tasks)
    assignment = Assignment(
        spec=TrainingSpec(
            run=run.id,
            engine=training.engine,
            model=work.model,
            fit=work.fit(sizes, checkpoint),
            seed=run.job.seed,
            output=Output(run.folder.staged.url, dict(run.hadoop), run.folder.token),
        ),
        launch=launch,
        layout=layout(run.job.data, prepared.classes, sent).to_json(),
        threads=slots.threads(parts),
        spare=spare_of(context, run.job.cluster.spare_disk),
        gpus=worker_gpus(training.gpus_per_worker, slots),
        rows=None if run.rehearsal else rows_of_each(prepared, parts, run.all_rows_each),
        code=work.code,
        files=submitted_files(context),
        kept=kept,
        read=reader,
        warm_minutes=run.job.cluster.warm.minutes if run.job.cluster.warm is not None else None,
        omp_threads=context.getConf().get("spark.executorEnv.OMP_NUM_THREADS", None),
    )
    told = "attempt %d of run %s: %d workers by %s on %s, batches of %s rows, checkpoint %s"
    _log.info(told, run.timeline.attempts, run.id, parts, training.engine, slots, sizes, checkpoint)
    filling = "filling" if reader is None else "filling from the storage"
    run.display.step(filling if token is None else "taking the rows that the executors have kept")
    run.timeline.mark("stage")

    def release(tag: str) -> None:
        """Free the shuffle's files, as each attempt shuffles anew, and in the last attempt the prepared rows."""
        run.display.tidy(lambda: remove_shuffle_files(context, tag), "the shuffle's files are still on the executors' disks")
        if last and not run.rehearsal:
            run.display.tidy(prepared.release, "the prepared rows are still kept")

    attempt = Attempt(
        dealt,
        assignment,
        slots,
        parts,
        work.notice,
        port=run.job.cluster.driver_port,
        stall_timeout=run.job.cluster.stall_timeout,
        on_filled=release,
        tasks=tasks,
    )
    finished: list[Finished] = []
    try:
        with run.control.attempting(attempt):
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
    finally:
        # Where not all workers had their rows, or the tasks of a run that has finished removed them, there is nothing to take
        if kept is not None and key is not None and len(run.timeline.joined) == parts and (kept.stay or not finished):
            registry.add(kept.token, key)
    run.timeline.mark("end")
    return finished


def _rows_key(run: RunContext, prepared: Prepared) -> RowsKey | None:
    """Return what identifies the workers' rows; None in a rehearsal, or if they may be others the next time."""
    if run.rehearsal:
        return None
    return rows_key(
        prepared.frame,
        prepared.inputs,
        data=run.job.data.model_dump(mode="json"),
        classes=prepared.classes,
        parts=run.workers,
        seed=run.job.seed,
        copies=run.all_rows_each,
    )


def _checkpoint(folder: Folder, workers: int) -> Checkpoint | None:
    """Return the run's last checkpoint that this many workers can resume from; None if there is none."""
    try:
        return to_go_on_from(read(folder.join(CHECKPOINTS).list()), workers)
    except NotFound:
        return None
