"""The finished runs under an output folder: which there are, which is the latest, and where a run's URL leads."""

from __future__ import annotations

import difflib
import json
import os
from datetime import datetime, timezone
from typing import Any, Mapping

from sparktrain.storage.errors import NotFound, StorageError
from sparktrain.storage.folder import SUMMARY, Folder, open_folder
from sparktrain.storage.urls import parse

LATEST = "latest"


def complete_runs(folder: Folder) -> list[str]:
    """The ids of the runs of `summaries`, the last finished first."""
    return list(summaries(folder))


def summaries(folder: Folder) -> dict[str, dict[str, Any]]:
    """The runs that are whole: those with a `summary.json` that says when they `finished`.

    Args:
        folder: what `output.path` names; it need not exist.

    Returns:
        The summary of each run id, the last finished first. Times without a zone are taken as UTC.
    """
    try:
        names = folder.list()
    except NotFound:
        return {}
    found = {name: summary for name in names if not name.startswith(("_", "."))
             if (summary := summary_of(folder, name)) is not None}
    return dict(sorted(found.items(), key=lambda run: (finished_at(run[1]), run[0]), reverse=True))


def latest(folder: Folder) -> str:
    """The id of the run that finished last.

    Raises:
        NotFound: no run is complete.
    """
    runs = complete_runs(folder)
    if not runs:
        raise NotFound(f"{folder.url}: there is no finished run. Check the path, or let a job finish whose "
                       "output.path it is")
    return runs[0]


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
    except (ValueError, KeyError, TypeError):   # another program's: ours are written whole
        return None
    return record


def finished_at(summary: Mapping[str, Any]) -> datetime:
    """When a run ended. Times without a zone are taken as UTC."""
    time = datetime.fromisoformat(summary["finished"])
    return time if time.tzinfo else time.replace(tzinfo=timezone.utc)


def _instead(folder: Folder, run: str) -> str:
    """What a user may have meant: the folder of runs itself, or another run."""
    inside = complete_runs(folder.join(run))
    if inside:
        return f"It holds runs: {folder.join(run, LATEST).url} is the latest"
    runs = complete_runs(folder)
    if not runs:
        return f"There is none at {folder.url}"
    close = difflib.get_close_matches(run, runs, n=3) or runs[:3]
    return f"Finished runs at {folder.url}, {len(runs)} in all: {', '.join(close)}, or `{LATEST}`"
