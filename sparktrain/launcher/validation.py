"""Checks a job's command line before Spark is started."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence


def validate(argv: Sequence[str], program: str = "train.py") -> int:
    """Check a job's command line without Spark, as the launcher does before it starts one.

    Args:
        argv: what the program is given.
        program: its file's name.

    Returns:
        0 for what can work, else the exit status, after the JSON line: 2 for what can't.
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
