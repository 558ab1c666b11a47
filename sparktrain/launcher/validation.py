"""Checks a job's command line before Spark is started."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence


def validate(argv: Sequence[str], program: str = "train.py") -> int:
    """Check a job's command line without Spark, as the launcher does before it starts Spark.

    Args:
        argv: the program's arguments.
        program: the program's file name.

    Returns:
        0 if no problem was found; else the exit status, after the JSON line was printed: 2 for a job that can't work.
    """
    from sparktrain.config import ConfigError
    from sparktrain.display.result_line import say
    from sparktrain.launcher.job_arguments import arguments, load_job, name_of
    from sparktrain.runs.result import Result, exit_status

    given = arguments(program).parse_args(argv)
    try:
        load_job(given)
        return 0
    except ConfigError as error:
        print(error, file=sys.stderr)
        result = Result(run=name_of(given), status="refused", reason=str(error))
    except Exception as error:
        traceback.print_exc()
        result = Result(run=name_of(given), status="failed", reason=f"{type(error).__name__}: {error}")
    say(result, given.result)
    return exit_status(result)
