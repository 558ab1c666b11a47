"""The finished runs under an output folder: which there are, which is the latest, and where a run's URL leads."""

from __future__ import annotations

import difflib
import json
import math
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sparktrain.storage.errors import NotFound, StorageError
from sparktrain.storage.folder import SUMMARY, Folder, open_folder
from sparktrain.storage.urls import parse

LATEST = "latest"
_CLOCKS = 600.0  # seconds by which the clocks of drivers and of the storage may differ


def newest(folder: Folder, most: int, record: str = SUMMARY) -> list[dict[str, Any]]:
    """The summaries of the runs that finished last: of those with a `summary.json` that says when they `finished`.

    Only as many are read as it takes: a run's folder is modified when the run is complete and hardly ever later, so the
    folders' times say where to look. A store that has no times is read through.

    Args:
        folder: what `output.path` names; it need not exist.
        most: how many.
        record: the file of a run that says how it ended.

    Returns:
        Their summaries, the last finished first, each with its `run`. Times without a zone are taken as UTC.
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
            break  # this one and all that follow were complete before the ones that are found had finished
        summary = record_at(folder, f"{name}/{record}")
        if summary is not None:
            found.append({**summary, "run": name})
            found.sort(key=lambda run: (finished_at(run), run["run"]), reverse=True)
    return found[:most]


def latest(folder: Folder) -> str:
    """The id of the run that finished last.

    Raises:
        NotFound: no run is complete.
    """
    runs = newest(folder, 1)
    if not runs:
        raise NotFound(f"{folder.url}: there is no finished run. Check the path, or let a job finish whose output.path it is")
    return runs[0]["run"]


def resolve(url: str | os.PathLike[str], hadoop: Mapping[str, str] = {}) -> str:
    """The URL of a finished run's folder, for `…/latest` or `…/RUN`.

    Args:
        url: of a run, under its `output.path`; `latest` is never the name of a folder.
        hadoop: as for `open_folder`.

    Raises:
        NotFound: there is no such run, or it is not complete. The message has the names of those there are.
        StorageError: the storage can't be read.
    """
    location = parse(url)
    if not location.name:
        raise StorageError(f"{url}: expected the folder of a run or `latest`, such as {location.join(LATEST)}")
    folder = open_folder(str(location.parent), hadoop)
    if location.name == LATEST:
        return folder.join(latest(folder)).url
    if summary_of(folder, location.name) is None:
        raise NotFound(f"{folder.join(location.name).url}: not a finished run. {_instead(folder, location.name)}")
    return folder.join(location.name).url


def summary_of(folder: Folder, run: str) -> dict[str, Any] | None:
    """The summary of a run; None where it isn't complete."""
    return record_at(folder, f"{run}/{SUMMARY}")


def record_at(folder: Folder, name: str) -> dict[str, Any] | None:
    """What a file tells of a run that has ended, when it `finished` with it; None where there is none."""
    try:
        record = json.loads(folder.read_bytes(name))
        finished_at(record)
    except NotFound:
        return None
    except (ValueError, KeyError, TypeError):  # another program's: ours are written whole
        return None
    return record


def finished_at(summary: Mapping[str, Any]) -> datetime:
    """When a run ended. Times without a zone are taken as UTC."""
    time = datetime.fromisoformat(summary["finished"])
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _instead(folder: Folder, run: str) -> str:
    """What a user may have meant: the folder of runs itself, or another run."""
    if newest(folder.join(run), 1):
        return f"It holds runs: {folder.join(run, LATEST).url} is the latest"
    try:
        names = [name for name in folder.list() if not name.startswith(("_", "."))]
    except NotFound:
        names = []
    close = [name for name in difflib.get_close_matches(run, names, n=3) if summary_of(folder, name) is not None]
    close = close or [each["run"] for each in newest(folder, 3)]
    if not close:
        return f"There is none at {folder.url}"
    return f"Finished runs at {folder.url}: {', '.join(close)}, or `{LATEST}`"
