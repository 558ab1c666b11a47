"""Prints a run's JSON line, the last on standard output."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

from sparktrain.display.launcher_link import hand_over
from sparktrain.runs.result import Result


def say(result: Result, path: str | None = None) -> None:
    """Print the result's line, the last on standard output, and write it to a file where asked.

    Under spark-submit.sh the launcher prints it, when Spark has ended.
    """
    line = result.to_json()
    if path is not None:
        try:
            Path(path).write_text(line + "\n")
        except OSError as error:  # the line itself still has to come
            tell(f"--result {path}: {error}")
    if not hand_over(line):
        print(line, flush=True)


def tell(text: str) -> None:
    """Say something on standard error, if anybody is still there to hear it."""
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)
