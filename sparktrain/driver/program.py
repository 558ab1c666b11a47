"""What jobs/train.py runs: one job by its YAML, with an exit status and one JSON line for schedulers."""

from __future__ import annotations

import signal
import sys
import traceback
from typing import Callable, Sequence

from pyspark.sql import SparkSession
from rich.console import Console
from rich.text import Text

from sparktrain.cluster.slots import ClusterRefused
from sparktrain.cluster.stage import AttemptFailed, StageFailed
from sparktrain.config import ConfigError, Job
from sparktrain.data import InputError, MissingColumn
from sparktrain.driver.functions import resolve, search_folders
from sparktrain.driver.output import RunTaken
from sparktrain.driver.progress import make_console
from sparktrain.driver.request import arguments, load_job, new_run_id
from sparktrain.driver.result import Result, exit_status, say
from sparktrain.driver.run import run_job
from sparktrain.driver.shipping import TooLarge

_REFUSED = (ConfigError, ClusterRefused, RunTaken, TooLarge, MissingColumn)


def main(
    argv: Sequence[str] | None = None,
    *,
    before: Callable[[SparkSession, Job], None] | None = None,
    after: Callable[[SparkSession, Job, Result], None] | None = None,
) -> int:
    """Run a job as spark-submit's program.

    Args:
        argv: the command line; the process's own if left out.
        before: called when Spark is up, before the run begins.
        after: called when the run has finished, or its rehearsal has passed.

    Returns:
        The exit status: 0 if the model is on the storage (or the rehearsal passed), 2 for a configuration that can't
        work, 1 otherwise.
    """
    options = arguments().parse_args(argv)
    console = make_console()
    job, spark = None, None
    run_id = options.run_id or new_run_id()
    signal.signal(signal.SIGTERM, _interrupt)   # a scheduler's kill ends the workers as Ctrl-C does
    try:
        job, folders = load_job(options)
        spark = SparkSession.builder.appName(f"sparktrain {job.name}").getOrCreate()
        if before is not None:
            before(spark, job)
        result = run_job(spark, job, run_id=run_id, check=options.check, folders=folders)
        if after is not None:
            after(spark, job, result)
    except BaseException as error:
        result = failed(error, run_id, job, console)
    if job is not None and job.on_end is not None:
        _tell_end(job.on_end, search_folders(options.config), result, console)
    if spark is not None:
        spark.stop()
    say(result, options.result)
    return exit_status(result)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def failed(error: BaseException, run_id: str, job: Job | None, console: Console) -> Result:
    """Show why a run did not finish, the root cause first, and make it a result."""
    status = "refused" if isinstance(error, _REFUSED) else "failed"
    if isinstance(error, AttemptFailed):
        cause = error.failure.failure
        reason = f"{error.failure}: {cause.error}: {cause.message}"
        console.print(Text(reason, style="bold red"))
        if cause.traceback:
            console.print(Text(cause.traceback))
    elif isinstance(error, (KeyboardInterrupt, SystemExit)):
        status, reason = "stopped", "stopped from outside; every worker was ended"
        console.print(Text(reason))
    elif isinstance(error, (*_REFUSED, InputError, StageFailed, RuntimeError)) and not isinstance(error, RecursionError):
        reason = str(error)
        console.print(Text(reason, style="bold red"))
    else:
        reason = f"{type(error).__name__}: {error}"
        console.print(Text("".join(traceback.format_exception(error))))
    return Result(
        run=run_id,
        status=status,
        workers=job.training.workers if job is not None else 0,
        engine=job.training.engine if job is not None else None,
        reason=reason,
    )


def _tell_end(function: str, folders: Sequence[str], result: Result, console: Console) -> None:
    try:
        resolve(function, folders)(result.to_dict())
    except Exception:   # the run's own end stands, whatever becomes of the telling
        console.print(Text(f"on_end ({function}) failed:\n{traceback.format_exc()}", style="bold red"))
