"""Turns the exception that ended a run into its result and the details to show."""

from __future__ import annotations

import traceback

from rich.console import Console
from rich.text import Text

from sparktrain.cluster.executors.slots import ClusterRefused, NoSlots
from sparktrain.cluster.stage import AttemptFailed, StageFailed
from sparktrain.config import ConfigError, Job
from sparktrain.data import InputError, MissingColumn, MissingSource, NoFileSystem, first_line
from sparktrain.driver.control.run_control import RunStopped
from sparktrain.interfaces.launch import EngineRefused, LaunchFailed
from sparktrain.runs.folder import RunTaken
from sparktrain.runs.result import Result
from sparktrain.storage import StorageError
from sparktrain.usercode.packing import TooLarge


def stopped(error: BaseException | None) -> bool:
    """Return whether an error is a stop from outside (KeyboardInterrupt), or was raised while handling one.

    A terminal's Ctrl-C ends Spark's JVM and its pipes, too, so that cleaning up may fail in many ways.
    """
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error is not None


class PlainFailure(RuntimeError):
    """The base of errors whose message says all there is to know, so that no traceback is shown."""


_REFUSED = (ConfigError, ClusterRefused, EngineRefused, RunTaken, TooLarge, MissingColumn, MissingSource, NoFileSystem)
_SAID = (*_REFUSED, InputError, LaunchFailed, NoSlots, PlainFailure, StageFailed, StorageError)  # no traceback is needed


def failed(error: BaseException, run_id: str, job: Job | None, seconds: float) -> tuple[Result, str]:
    """Return the result of a run that an error ended, and details to show: a traceback, or an empty text.

    Args:
        job: the run's job; None if it wasn't known yet or had no model to train.
        seconds: wall time of the run.
    """
    status, reason, details = "failed", f"{type(error).__name__}: {error}", ""
    if isinstance(error, RunStopped) or stopped(error):
        status, reason = "stopped", str(error) if isinstance(error, RunStopped) else "stopped from outside"
        reason += "; every worker was ended" if job is not None else ""
    elif isinstance(error, AttemptFailed):
        reason, details = str(error), error.failure.failure.traceback
    elif isinstance(error, _SAID):
        status, reason = "refused" if isinstance(error, _REFUSED) else "failed", str(error)
    else:
        details = "".join(traceback.format_exception(error))
        if hasattr(error, "java_exception"):  # its message is the JVM's whole stack trace
            reason = f"{type(error).__name__}: {first_line(error)}"
    workers = job.training.workers if job is not None else 0
    result = Result(
        run=run_id,
        status=status,
        workers=workers if isinstance(workers, int) else 0,  # {min, max} was not resolved to a number
        engine=job.training.engine if job is not None else None,
        attempts=int(isinstance(error, (AttemptFailed, StageFailed))),
        seconds=seconds,
        reason=reason,
    )
    return result, details


def show(result: Result, details: str, console: Console) -> None:
    """Print the reason and the details that `failed` returned."""
    console.print(Text(result.reason or "", style="bold red"))
    if details:
        console.print(Text(details))
