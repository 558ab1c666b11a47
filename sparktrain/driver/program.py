"""What jobs/train.py runs: one job by its YAML, with an exit status and one JSON line for schedulers."""

from __future__ import annotations

import time
import traceback
from functools import partial
from typing import Callable, Sequence

from pyspark.sql import SparkSession
from rich.console import Console
from rich.text import Text

from sparktrain.config import Job
from sparktrain.driver.ending import failed
from sparktrain.driver.functions import resolve, search_folders
from sparktrain.driver.handover import announce
from sparktrain.driver.progress import make_console
from sparktrain.driver.request import arguments, load_job, new_run_id
from sparktrain.driver.result import Result, exit_status, say, tell
from sparktrain.driver.run import run_job
from sparktrain.driver.signals import take_signals



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
        after: called when the run has finished, or its rehearsal has passed; that stands whatever comes of this.

    Returns:
        The exit status: 0 if the model is on the storage (or the rehearsal passed), 2 for a configuration that can't
        work, 1 otherwise.
    """
    announce()
    options = arguments().parse_args(argv)
    console = make_console()
    job, spark = None, None
    run_id = options.run_id or new_run_id()
    begun = time.monotonic()
    ends: list[tuple[Result, str]] = []   # of a run that began
    try:
        take_signals()
        job, folders = load_job(options)
        spark = SparkSession.builder.appName(f"sparktrain {job.name}").getOrCreate()
        take_signals()   # Spark's own for Ctrl-C first asks the JVM, which got the same and may be gone
        if before is not None:
            before(spark, job)
        result = run_job(spark, job, run_id=run_id, check=options.check, folders=folders,
                         ended=lambda *end: ends.append(end))
    except BaseException as error:
        # What the storage says of a run is what its line says
        result, details = ends[-1] if ends else failed(error, run_id, job, time.monotonic() - begun)
        _unless_it_fails("showing why", lambda: _show(result, details, console))
    else:
        if after is not None:   # a model that is on the storage is there, whatever a program does with it next
            _unless_it_fails("what follows the run", partial(after, spark, job, result))
    if job is not None and job.on_end is not None:
        call = partial(_call_on_end, job.on_end, search_folders(options.config), result)
        _unless_it_fails(f"on_end ({job.on_end})", call)
    if spark is not None:
        _unless_it_fails("stopping Spark", spark.stop)
    say(result, options.result)
    return exit_status(result)


def _show(result: Result, details: str, console: Console) -> None:
    console.print(Text(result.reason, style="bold red"))
    if details:
        console.print(Text(details))


def _call_on_end(function: str, folders: Sequence[str], result: Result) -> None:
    resolve(function, folders)(result.to_dict())


def _unless_it_fails(what: str, action: Callable[[], object]) -> None:
    """Do what follows a run's end, which stands whatever becomes of this: a lost terminal, a JVM that is gone."""
    try:
        action()
    except BaseException:   # sys.exit() in on_end and a second Ctrl-C, too
        tell(f"{what} failed:\n{traceback.format_exc()}")
