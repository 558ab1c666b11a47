"""A run whose workers call one function of the user's."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Mapping
from typing import Any

from sparktrain.cluster.slots import check_application
from sparktrain.driver.attempts import Work, train
from sparktrain.driver.rows import rows_of
from sparktrain.driver.run_context import RunContext
from sparktrain.driver.run_lifecycle import RunLifecycle
from sparktrain.driver.shipping import ship
from sparktrain.driver.worker_slots import WorkerSlots
from sparktrain.interfaces.messages import Fit, Message, returned_name
from sparktrain.models.custom_objects import in_program
from sparktrain.storage import Folder
from sparktrain.usercode.lookup import source
from sparktrain.usercode.modules import modules_of


def call_in_workers(run: RunContext, args: Mapping[str, Any], has_rows: bool, labelled: bool) -> list[Any]:
    """Call the function that a program passes in every worker; nothing is left of the run but what that returns.

    Args:
        run: whose supplied model is the function.
        args: its keyword arguments.
        has_rows: whether the workers have any rows.
        labelled: whether those have a label.

    Returns:
        What the function returned in each worker, in the order of their ranks.

    Raises:
        ConfigError: the arguments can't travel.
        NotReturned: what a worker has written was changed.
        See `sparktrain.run` for the others.
    """
    context = run.spark.sparkContext
    check_application(context)
    function = source(run.supplied.model, dict(args))
    with RunLifecycle(run.folder, run.who, run.display) as life:
        workers = WorkerSlots(run)
        life.finally_do(workers.release, "what the run had asked of the cluster is not given back")
        slots = workers.gather()
        shipped = ship(context, modules_of(run.job, run.supplied.functions), run.search, run.job.model.files)
        prepared = rows_of(run, shipped.digests, parent=None)
        life.finally_do(prepared.release, "the prepared rows are still kept")

        def notice(part: int, message: Message) -> None:
            run.timeline.message(part, message)
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
                notice=notice,
            ),
        )
        digests = {run.timeline.joined[part].rank: each.returned_sha256 for part, each in enumerate(finished)}
        return [unpickled(run.folder.staged, rank, digests[rank]) for rank in range(len(finished))]


def unpickled(folder: Folder, rank: int, sha256: str) -> Any:
    """Read what a worker's function returned.

    Args:
        folder: the run's, to which others than this run's workers may have access, too.
        rank: the worker's.
        sha256: of its file, as the worker has told it through the authenticated channel.

    Raises:
        NotReturned: the file is another; nothing of it is unpickled.
    """
    data = folder.read_bytes(returned_name(rank))
    if hashlib.sha256(data).hexdigest() != sha256:
        raise NotReturned(
            f"{folder.url}/{returned_name(rank)} is not what rank {rank} has written there: something else has changed it since, and a "
            "pickle may run any code. See who else may write to that folder, and run again"
        )
    return in_program(lambda: pickle.loads(data))


class NotReturned(RuntimeError):
    """What lies where a worker's return value should is not from that worker."""
