"""Reads the state of a run from its files on the storage, without Spark."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from sparktrain.runs import failures
from sparktrain.runs.finished import LATEST, finished_at, resolve, summary_of
from sparktrain.runs.paths import KEPT_LOG, LOG, STAGED, STATUS
from sparktrain.runs.result import Result
from sparktrain.storage import Folder, NotFound, claims, open_folder
from sparktrain.storage.urls import parse

SILENT = 180.0  # seconds without a new status after which a run may be dead; it writes one every minute
_LOGS = {"finished": KEPT_LOG, "running": LOG, "ended": failures.LOG}


@dataclass(frozen=True)
class RunSnapshot:
    """A run's state as last read from the storage.

    Attributes:
        state: finished; running (or killed without notice); ended, without a model.
        content: summary.json of a finished run; who runs it and its status for a running one; the record of an ended one.
        folder: the folder that has the run's files.
    """

    run: str
    state: Literal["finished", "running", "ended"]
    content: dict[str, Any]
    folder: Folder

    @property
    def result(self) -> Result | None:
        """The run's result, as in its JSON line; None while it is running."""
        if self.state == "running":
            return None
        if self.state == "finished":
            return Result.of_summary(self.content, self.folder.url)
        return Result.of_line(self.content)

    def log(self) -> str:
        """Return the text of the run's log.

        Raises:
            NotFound: there is no log, or not yet, or it has moved since the snapshot was taken: read the run again.
        """
        return self.folder.read_text(_LOGS[self.state])


def final_result(root: Folder, run: str, application: str | None = None) -> Result | None:
    """Return the result of a run, as in its JSON line, from the storage alone.

    Args:
        root: the folder that output.path names.
        application: if given, a failure of the same run id in another application is ignored.

    Returns:
        The result; None if the run hasn't ended, never started, was a rehearsal, or was killed without notice.

    Raises:
        StorageError: the storage can't be read.
    """
    seen = read_run(root, run)
    if seen is None or (seen.state == "ended" and application not in (None, seen.content.get("application"))):
        return None
    return seen.result


def read_run(root: Folder, run: str) -> RunSnapshot | None:
    """Return a snapshot of a run; None if there is no run of this id."""
    # A run that is published between the reads is found in neither place
    return _read_run(root, run) or _read_run(root, run)


def find_run(url: str) -> RunSnapshot:
    """Return a snapshot of the run at a URL, output.path/RUN or output.path/latest.

    Raises:
        NotFound: there is no such run. The message names finished runs that exist.
        StorageError: the storage can't be read.
    """
    location = parse(url)
    if location.name and location.name != LATEST:
        seen = read_run(open_folder(str(location.parent)), location.name)
        if seen is not None:
            return seen
    final = parse(resolve(url))
    seen = read_run(open_folder(str(final.parent)), final.name)
    if seen is None:
        raise NotFound(f"{final}: the run has just been removed")
    return seen


def _read_run(root: Folder, run: str) -> RunSnapshot | None:
    summary = summary_of(root, run)
    if summary is not None:
        return RunSnapshot(run, "finished", summary, root.join(run))
    working = at_work(root, run)
    if working is not None:
        return RunSnapshot(run, "running", working, root.join(STAGED, run))
    record = failures.read(root, run)
    if record is not None:
        return RunSnapshot(run, "ended", record, root.join(failures.ENDED, run))
    return None


def at_work(root: Folder, run: str) -> dict[str, Any] | None:
    """Return who works on a run, and its status; None if no process has claimed it."""
    staged = root.join(STAGED, run)
    owner = claims.owner(staged)
    if owner is None:
        return None
    found: dict[str, Any] = {"run": run, "status": "running", **owner[1]}
    found.pop("token", None)  # whoever knows it could pose as the run's driver
    try:
        found.update(json.loads(staged.read_text(STATUS)))
    except NotFound:  # the run has just ended or started
        pass
    return found


def silence(content: Mapping[str, Any]) -> float:
    """Return the seconds since a running run last wrote its status."""
    written = content.get("updated") or content.get("since")
    return (datetime.now(UTC) - finished_at({"finished": written})).total_seconds() if written else 0.0
