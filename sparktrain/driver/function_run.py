"""Runs a user's function in every worker (`sparktrain.run`)."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Mapping
from typing import Any

from sparktrain.cluster.executors.slots import check_application
from sparktrain.driver.attempts.attempts import Work, train
from sparktrain.driver.attempts.worker_slots import WorkerSlots
from sparktrain.driver.rows import rows_of
from sparktrain.driver.run_context import RunContext
from sparktrain.driver.run_lifecycle import RunLifecycle
from sparktrain.driver.shipping import ship
from sparktrain.interfaces.messages import Message, returned_name
from sparktrain.interfaces.training_spec import Fit
from sparktrain.models.custom_objects import in_program
from sparktrain.storage import Folder
from sparktrain.usercode.lookup import source
from sparktrain.usercode.modules import modules_of


def call_in_workers(run: RunContext, args: Mapping[str, Any], has_rows: bool, labelled: bool) -> list[Any]:
    """Call the function that a program passes in every worker; of the run, only the return values are kept.

    Args:
        run: the run's context; its supplied model is the function.
        args: the function's keyword arguments.
        has_rows: whether the workers have any rows.
        labelled: whether the rows have a label.

    Returns:
        The function's return value in each worker, by rank.

    Raises:
        ConfigError: the arguments can't be sent as JSON.
        NotReturned: the file of a worker's return value was changed.
        See `sparktrain.run` for the others.
    """
    context = run.spark.sparkContext
    check_application(context)
    function = source(run.supplied.model, dict(args))
    with RunLifecycle(run.folder, run.who, run.display, pause=run.control.pause) as life, run.control.converted():
        workers = WorkerSlots(run)
        life.finally_do(workers.release, "the run's executors were not given back to the cluster")
        slots = workers.gather()
        shipped = ship(context, modules_of(run.job, run.supplied.functions), run.search, run.job.model.files)
        prepared = rows_of(run, shipped.digests, parent=None)
        life.finally_do(prepared.release, "the prepared rows are still kept")

        def notice(part: int, message: Message) -> None:
            run.timeline.message(part, message)
            run.control.message(part, message, run.timeline.attempts)
            run.display.message(part, message)

        finished = train(
            run,
            prepared,
            slots,
            Work(
                model=function,
                code=shipped.archive,
                fit=lambda sizes, resume: Fit(epochs=1, batch_sizes=sizes, own_loop=True, has_rows=has_rows, labelled=labelled),
                gather=workers.gather,
                free=workers.free,
                notice=notice,
            ),
        )
        digests = {run.timeline.joined[part].rank: each.returned_sha256 for part, each in enumerate(finished)}
        return [unpickled(run.folder.staged, rank, digests[rank]) for rank in range(len(finished))]


def unpickled(folder: Folder, rank: int, sha256: str) -> Any:
    """Read and unpickle the return value of a worker's function.

    Args:
        folder: the run's folder, which others than this run's workers may be able to write to, too.
        rank: the worker's rank.
        sha256: the hash of the worker's file, as it was sent through the authenticated channel.

    Raises:
        NotReturned: the file has another hash; it is not unpickled.
    """
    data = folder.read_bytes(returned_name(rank))
    if hashlib.sha256(data).hexdigest() != sha256:
        raise NotReturned(
            f"{folder.url}/{returned_name(rank)} is not what rank {rank} has written there: it was changed since, and unpickling it could "
            "run any code. Check who else can write to that folder, and run again"
        )
    return in_program(lambda: pickle.loads(data))


class NotReturned(RuntimeError):
    """Raised where the file of a worker's return value is not the one that the worker wrote."""
