"""Reports why a job isn't started."""

from __future__ import annotations

import traceback
from argparse import Namespace

from sparktrain.config import ConfigError
from sparktrain.display.result_line import say, tell
from sparktrain.launcher.errors import CantSubmit
from sparktrain.launcher.job_arguments import name_of
from sparktrain.runs.result import Result, exit_status


def refuse(error: Exception, options: Namespace | None) -> int:
    """Print why Spark isn't started, and for a job its JSON line.

    Args:
        error: what was raised before Spark was started.
        options: the job's arguments; None if the program is none of the project's job programs.

    Returns:
        The exit status: 2 for a job that can't work, else 1.
    """
    status, reason = "failed", str(error)
    shown = reason
    if isinstance(error, ConfigError):
        status = "refused"
    elif isinstance(error, CantSubmit):
        status = error.status
    elif isinstance(error, OSError):  # a full disk, or a home that can't be written to
        reason = shown = f"the submit can't be prepared: {error}"
    else:
        reason, shown = f"{type(error).__name__}: {error}", "".join(traceback.format_exception(error)).rstrip()
    tell(shown)
    if options is None:
        return 1
    result = Result(run=name_of(options), status=status, reason=reason)
    say(result, options.result)
    return exit_status(result)
