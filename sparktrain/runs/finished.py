"""Finds the finished runs under an output folder, the latest of them, and the folder that a run's URL stands for."""

from __future__ import annotations

import difflib
import json
import math
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from sparktrain.storage.errors import NotFound, StorageError
from sparktrain.storage.folder import SUMMARY, Folder, open_folder
from sparktrain.storage.urls import parse

LATEST = "latest"
_CLOCKS = 600.0  # seconds by which the clocks of drivers and of the storage may differ


def newest(
    folder: Folder, most: int, record: str = SUMMARY, counts: Callable[[Mapping[str, Any]], bool] = lambda summary: True
) -> list[dict[str, Any]]:
    """Return the summaries of the runs that finished last, from each run's `summary.json` with a time in `finished`.

    As few summaries as possible are read: a run's folder is modified when the run is complete and hardly ever later, so the
    folders are read in the order of their modification times. On a store without such times all are read.

    Args:
        folder: the folder that `output.path` names; it need not exist.
        most: how many to return at most.
        record: the name of the file in a run's folder that records how it ended.
        counts: returns whether a summary is of one to return.

    Returns:
        The summaries, the last finished first, each with the run's id as `run`. Times without a zone are taken as UTC.
    """
    try:
        names = [name for name in folder.list() if not name.startswith(("_", "."))]
        times = folder.modified()
    except NotFound:
        return []
    names.sort(key=lambda name: times.get(name, math.inf), reverse=True)
    found: list[dict[str, Any]] = []
    for name in names:
        if len(found) >= most and times.get(name, math.inf) + _CLOCKS < finished_at(found[most - 1]).timestamp():
            break  # this run and all that follow were complete before the runs found so far had finished
        summary = record_at(folder, f"{name}/{record}")
        if summary is not None and counts(summary):
            found.append({**summary, "run": name})
            found.sort(key=lambda run: (finished_at(run), run["run"]), reverse=True)
    return found[:most]


def latest(folder: Folder) -> str:
    """Return the id of the run with a model that finished last. A cross-validation has none of its own.

    Raises:
        NotFound: there is no finished run.
    """
    runs = newest(folder, 1, counts=lambda summary: not summary.get("folds"))
    if not runs:
        raise NotFound(f"{folder.url}: there is no finished run. Check the path, or first run a job with this output.path")
    return runs[0]["run"]


def resolve(url: str | os.PathLike[str], hadoop: Mapping[str, str] = {}) -> str:
    """Return the URL of the finished run's folder that `…/latest` or `…/RUN` stands for.

    Args:
        url: a run's URL, under its `output.path`; `latest` is never the name of a folder.
        hadoop: Hadoop's settings, as for `open_folder`.

    Raises:
        NotFound: there is no such run, or it is not finished. The message names finished runs that exist.
        StorageError: the storage can't be read.
    """
    location = parse(url)
    if not location.name:
        raise StorageError(f"{url}: expected the folder of a run or `latest`, such as {location.join(LATEST)}")
    folder = open_folder(str(location.parent), hadoop)
    if location.name == LATEST:
        return folder.join(latest(folder)).url
    summary = summary_of(folder, location.name)
    if summary is not None and summary.get("folds"):
        one = folder.join(location.name, "fold-0").url
        raise NotFound(
            f"{folder.join(location.name).url}: a cross-validation, with a model for each fold. Expected one of those, such as {one}"
        )
    if summary is None:
        raise NotFound(f"{folder.join(location.name).url}: not a finished run. {_instead(folder, location.name)}")
    return folder.join(location.name).url


def summary_of(folder: Folder, run: str) -> dict[str, Any] | None:
    """Return the content of a run's summary.json; None if the run isn't complete."""
    return record_at(folder, f"{run}/{SUMMARY}")


def record_at(folder: Folder, name: str) -> dict[str, Any] | None:
    """Return the JSON record of a run's end from a file of `folder`; None if it is missing or has no time in `finished`."""
    try:
        record = json.loads(folder.read_bytes(name))
        finished_at(record)
    except NotFound:
        return None
    except (ValueError, KeyError, TypeError):  # another program's file: ours are never incomplete
        return None
    return record


def finished_at(summary: Mapping[str, Any]) -> datetime:
    """Return when a run ended, as its record says in `finished`. A time without a zone is taken as UTC."""
    time = datetime.fromisoformat(summary["finished"])
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _instead(folder: Folder, run: str) -> str:
    """Return a hint at what the user may have meant: the folder of runs itself, or another run."""
    if newest(folder.join(run), 1):
        return f"It holds runs: {folder.join(run, LATEST).url} is the latest"
    try:
        names = [name for name in folder.list() if not name.startswith(("_", "."))]
    except NotFound:
        names = []
    close = [name for name in difflib.get_close_matches(run, names, n=3) if summary_of(folder, name) is not None]
    close = close or [each["run"] for each in newest(folder, 3)]
    if not close:
        return f"There are no finished runs at {folder.url}"
    return f"Finished runs at {folder.url}: {', '.join(close)}, or `{LATEST}`"
