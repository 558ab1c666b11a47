"""Loads a job from its YAML file."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from sparktrain.config import check, yamltext
from sparktrain.config import overrides as settings
from sparktrain.config.errors import ConfigError, Problem
from sparktrain.config.job import Job


def load(path: str | Path, overrides: Sequence[str] = ()) -> Job:
    """Read a job from its YAML file.

    Args:
        path: the file, in UTF-8.
        overrides: `a.b=c` each, as from `--set`: a dotted key and its value as YAML. They replace the file's values, in
            their order.

    Returns:
        The complete job: rows, model and output are named.

    Raises:
        ConfigError: the job can't work. The error has every problem, with its key, its place (file and line, or the
            `--set`), what came, what is allowed and, for a misspelling, the nearest name.
    """
    mapping, places, problems = read(path, overrides)
    return check.validate(Job, mapping, whole=True, places=places, source=str(path), found=problems)


def read(path: str | Path, overrides: Sequence[str] = ()) -> tuple[Any, dict[str, str], list[Problem]]:
    """Read a YAML file, and put the values of `--set` into it.

    Args:
        overrides: see `load`.

    Returns:
        The file's value, a mapping where it is a job's; the place of each key by its dotted name; the problems found.

    Raises:
        ConfigError: the file can't be read, or isn't YAML.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([_unreadable(path, error)], str(path)) from error
    mapping, places, problems = yamltext.parse(text, str(path))
    if mapping is None and problems:
        raise ConfigError(problems, str(path))
    mapping = {} if mapping is None else mapping
    if isinstance(mapping, dict):
        problems += settings.apply(mapping, places, overrides)
    return mapping, places, problems


def _unreadable(path: Path, error: OSError | UnicodeDecodeError) -> Problem:
    others = [str(other) for other in path.parent.glob("*.y*ml")] if path.parent.is_dir() else []
    near = get_close_matches(str(path), others, 1)
    reason = error.strerror if isinstance(error, OSError) else f"not UTF-8: {error.reason} at byte {error.start}"
    return Problem(str(path), reason or str(error), "a job's YAML, in UTF-8", f"did you mean {near[0]}?" if near else "")
