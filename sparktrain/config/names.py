"""Checks names that a user gives to a run or a folder."""

from __future__ import annotations

import re

from sparktrain.config import ConfigError, Problem

_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def check_run_id(run_id: str | None) -> None:
    """Check that a run id can be the name of a run's folder; None is no id, and passes.

    Raises:
        ConfigError: it can't.
    """
    if run_id is not None:
        check_name("--run-id", run_id)


def check_name(option: str, name: str) -> None:
    """Check that a name can be that of a run's folder.

    Args:
        option: the command line's option that sets it, for the message.
        name: the name.

    Raises:
        ConfigError: it can't.
    """
    if name == "latest" or _RUN_ID.fullmatch(name) is None:
        expected = "letters, digits, and . _ - after the first"
        hint = "latest always means the run that finished last" if name == "latest" else ""
        raise ConfigError([Problem(option, repr(name), expected, hint)])
