"""The programs of jobs/: run a job from its YAML, with an exit status and a JSON line for schedulers.

What takes long to import, the rooms driver and search, is imported where it is used: it is under way while Spark starts.
"""

from __future__ import annotations

import time
import traceback
from argparse import Namespace
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeVar, cast

from sparktrain.cli.early_imports import importing
from sparktrain.config import Job, ScoringJob, load_search
from sparktrain.display.console import make_console, show_warnings
from sparktrain.display.launcher_link import announce, under_launcher
from sparktrain.display.result_line import say, tell
from sparktrain.launcher.job_arguments import PREPARE, SCORE, TUNE, arguments, load_job, name_of
from sparktrain.launcher.signals import take_signals
from sparktrain.runs.result import Result, exit_status
from sparktrain.usercode.lookup import resolve, search_folders

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_TRAINING, _CROSS_VALIDATION = "sparktrain.driver.training_run", "sparktrain.search.cross_validation"
_PREPARATION, _SEARCH = "sparktrain.driver.preparation_run", "sparktrain.search.search_run"
_SCORING = "sparktrain.ml.scoring_run"
J = TypeVar("J", Job, ScoringJob)


def main(
    argv: Sequence[str] | None = None,
    *,
    before: Callable[[SparkSession, Job], None] | None = None,
    after: Callable[[SparkSession, Job, Result], None] | None = None,
) -> int:
    """Run a job as spark-submit's program.

    Args:
        argv: the command line's arguments; the process's own if left out.
        before: called once Spark is up, before the run begins.
        after: called once the run has finished, or its rehearsal has passed; an error in it doesn't change the result.

    Returns:
        The exit status: 0 if the model is on the storage (or the rehearsal passed), 2 for a configuration that can't
        work, 1 otherwise.
    """
    announce()
    options = arguments().parse_args(argv)
    run_id = name_of(options)
    ends: list[tuple[Result, str]] = []  # of a run that began

    def run(spark: SparkSession, job: Job, folders: list[str]) -> Result:
        train: Callable[..., Result]
        if _crosses(job):
            from sparktrain.search.cross_validation import run_cross_validation as train
        else:
            from sparktrain.driver.training_run import run_job as train
        if before is not None:
            before(spark, job)
        return train(spark, job, run_id=run_id, check=options.check, folders=folders, ended=lambda *end: ends.append(end))

    return _program(options, run_id, run, lambda job: _CROSS_VALIDATION if _crosses(job) else _TRAINING, after, ends)


def _crosses(job: Job) -> bool:
    return job.data.validation is not None and job.data.validation.crosses


def prepare_main(argv: Sequence[str] | None = None) -> int:
    """Prepare a job's rows as spark-submit's program, for data.prepared of other jobs, without calling the job's on_end.

    Args:
        argv: the command line's arguments; the process's own if left out.

    Returns:
        The exit status: 0 if the rows are on the storage, 2 for a configuration that can't work, 1 otherwise.
    """
    announce()
    options = arguments(PREPARE).parse_args(argv)

    def run(spark: SparkSession, job: Job, folders: list[str]) -> Result:
        from sparktrain.driver.preparation_run import write_prepared

        return write_prepared(spark, job, options.to, folders=folders)

    return _program(options, name_of(options), run, lambda job: _PREPARATION)


def tune_main(argv: Sequence[str] | None = None) -> int:
    """Search for the best values of some keys of a job as spark-submit's program.

    Args:
        argv: the command line's arguments; the process's own if left out.

    Returns:
        The exit status: 0 if the best trial's model is on the storage (or the rehearsal passed), 2 for a configuration that
        can't work, 1 otherwise.
    """
    announce()
    options = arguments(TUNE).parse_args(argv)
    run_id = name_of(options)
    ends: list[tuple[Result, str]] = []  # of a search that began

    def run(spark: SparkSession, job: Job, folders: list[str]) -> Result:
        from sparktrain.search.search_run import run_search

        search, base = load_search(options.config, options.set)
        return run_search(
            spark, search, base, run_id=run_id, check=options.check, folders=folders, ended=lambda *end: ends.append(end)
        )

    return _program(options, run_id, run, lambda job: _SEARCH, None, ends)


def score_main(argv: Sequence[str] | None = None) -> int:
    """Score rows with a run's model as spark-submit's program.

    Args:
        argv: the command line's arguments; the process's own if left out.

    Returns:
        The exit status: 0 if the scores are on the storage (or the rehearsal passed), 2 for a configuration that can't work,
        1 otherwise.
    """
    announce()
    options = arguments(SCORE).parse_args(argv)
    run_id = name_of(options)
    ends: list[tuple[Result, str]] = []  # of a scoring that began

    def run(spark: SparkSession, job: ScoringJob, folders: list[str]) -> Result:
        from sparktrain.ml.scoring_run import run_scoring

        return run_scoring(spark, job, run_id=run_id, check=options.check, folders=folders, ended=lambda *end: ends.append(end))

    return _program(options, run_id, run, lambda job: _SCORING, None, ends)


def _program(
    options: Namespace,
    run_id: str,
    action: Callable[[SparkSession, J, list[str]], Result],
    needs: Callable[[J], str],
    after: Callable[[SparkSession, J, Result], None] | None = None,
    ends: Sequence[tuple[Result, str]] = (),
) -> int:
    """Load the job, start Spark, run an action with them, and print the JSON line.

    Args:
        action: called with the session, the job, and the folders of the user's modules; returns the result.
        needs: returns the module that the action is going to import.
        after: called with the session, the job and the result once the action has succeeded.
        ends: the list that a failing action appends its result and details to, if it knows them.

    Returns:
        The exit status.
    """
    console = make_console()
    show_warnings()
    job: J | None = None
    spark = None
    reports = options.to is None  # a preparation calls no on_end
    begun = time.monotonic()
    try:
        take_signals()
        loaded, folders = load_job(options)
        job = cast(J, loaded)  # the program's arguments tell which
        from pyspark.sql import SparkSession

        if not under_launcher():  # the launcher prints this itself
            console.print("starting Spark (10 to 40 s)")
        with importing([needs(job)]):
            spark = SparkSession.builder.appName(f"sparktrain {job.name}").getOrCreate()
        take_signals()  # Spark's handler for Ctrl-C first calls the JVM, which got the signal, too, and may be gone
        result = action(spark, job, folders)
    except BaseException as error:
        from sparktrain.driver.failure_report import failed, show

        # The JSON line must match the run's record on the storage
        elapsed = time.monotonic() - begun
        result, details = ends[-1] if ends else failed(error, run_id, job if isinstance(job, Job) and reports else None, elapsed)
        _unless_it_fails("showing why", lambda: show(result, details, console))
    else:
        if after is not None:  # the model is on the storage, whatever a program does with it next
            _unless_it_fails("what follows the run", partial(after, spark, job, result))
    if reports and job is not None and job.on_end is not None:
        call = partial(_call_on_end, job.on_end, search_folders(options.config), result)
        _unless_it_fails(f"on_end ({job.on_end})", call)
    if spark is not None:
        _unless_it_fails("stopping Spark", spark.stop)
    say(result, options.result)
    return exit_status(result)


def _call_on_end(function: str, folders: Sequence[str], result: Result) -> None:
    resolve(function, folders)(result.to_dict())


def _unless_it_fails(what: str, action: Callable[[], object]) -> None:
    """Run an action after a run's end, and only report its failure, such as a lost terminal or a JVM that is gone."""
    try:
        action()
    except BaseException:  # sys.exit() in on_end and a second Ctrl-C, too
        tell(f"{what} failed:\n{traceback.format_exc()}")
