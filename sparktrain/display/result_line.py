"""Prints a run's JSON line, the last line on standard output."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

from sparktrain.display.launcher_link import hand_over
from sparktrain.runs.result import Result


def say(result: Result, path: str | None = None) -> None:
    """Print a run's JSON line to standard output, and write it to a file if `path` is given.

    Under spark-submit.sh the launcher prints it once Spark has ended.
    """
    line = result.to_json()
    if path is not None:
        try:
            Path(path).write_text(line + "\n")
        except OSError as error:  # the line itself must still be printed
            tell(f"--result {path}: {error}")
    if not hand_over(line):
        print(line, flush=True)


def tell(text: str) -> None:
    """Print a message to standard error, and ignore a closed pipe or a lost terminal."""
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)
