"""Parses what spark-submit.sh is given: spark-submit's options, a program, and the program's arguments."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sparktrain.launcher.job_arguments import arguments
from sparktrain.launcher.spark_options import split_options

_JOB_PROGRAMS = (
    "train.py",
    "prepare.py",
    "tune.py",
    "score.py",
    "quickstart.py",
)  # others of jobs/ take a job's file, too, each in its own way


@dataclass(frozen=True)
class CommandLine:
    """A command line of spark-submit.

    Attributes:
        options: spark-submit's own options.
        program: the program's path; None if there is none, as with `--version`.
        arguments: the program's arguments.
        job: those arguments, parsed, if the program is one of the project's job programs and is given a --config. Such a job is
            checked before Spark starts, and its exit status and JSON line tell how it ended.
        is_doctor: whether the program is jobs/doctor.py, which gets what a job would get.
    """

    options: tuple[str, ...]
    program: str | None = None
    arguments: tuple[str, ...] = ()
    job: Namespace | None = None
    is_doctor: bool = False

    def words(self) -> list[str]:
        """Return the arguments for spark-submit."""
        return [*self.options, *([self.program] if self.program is not None else []), *self.arguments]


def read_command_line(words: Sequence[str], root: Path) -> CommandLine:
    """Parse the arguments of spark-submit.sh.

    Only a program of the project's jobs/ can be named without its folder.

    Args:
        root: the project's folder.

    Raises:
        SystemExit: the job program's arguments can't work; the JSON line is printed.
    """
    options, rest = split_options(words)
    if not rest:
        return CommandLine(options)
    program, *given = rest
    if not os.path.exists(program) and program.startswith("jobs/") and (root / program).exists():
        program = str(root / program)
    name, job = os.path.basename(program), None
    own = root / "jobs" / name
    of_project = os.path.exists(program) and own.exists() and own.samefile(program)
    if of_project and name in _JOB_PROGRAMS and any(word.partition("=")[0] == "--config" for word in given):
        job = arguments(name).parse_args(given)
    return CommandLine(options, program, tuple(given), job, of_project and name == "doctor.py")
