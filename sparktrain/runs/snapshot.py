"""One run as it is seen from elsewhere: by its files on the storage, without Spark."""

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

SILENT = 180.0  # seconds without a sign after which a run may be dead; it gives one every minute
_LOGS = {"finished": KEPT_LOG, "running": LOG, "ended": failures.LOG}


@dataclass(frozen=True)
class RunSnapshot:
    """A run as it was a moment ago.

    Attributes:
        state: finished; running (or killed at it, with no time to say so); ended, without a model.
        content: of a finished run summary.json, of one at work who runs it and its status, of an ended one its record.
        folder: that has its files.
    """

    run: str
    state: Literal["finished", "running", "ended"]
    content: dict[str, Any]
    folder: Folder

    @property
    def result(self) -> Result | None:
        """How it ended, as its JSON line says; None while it is at work."""
        if self.state == "running":
            return None
        if self.state == "finished":
            return Result.of_summary(self.content, self.folder.url)
        return Result.of_line(self.content)

    def log(self) -> str:
        """Its log.

        Raises:
            NotFound: there is none, or not yet, or it is at its new place by now: look again.
        """
        return self.folder.read_text(_LOGS[self.state])


def final_result(root: Folder, run: str, application: str | None = None) -> Result | None:
    """How a run ended, as its JSON line says; by the storage alone.

    Args:
        root: what output.path names.
        application: where it is given, the end of a run that failed under this id in another application doesn't count.

    Returns:
        None while it hasn't ended: also where it never began, was a rehearsal, or was killed with no time to say so.

    Raises:
        StorageError: the storage can't be read.
    """
    seen = read_run(root, run)
    if seen is None or (seen.state == "ended" and application not in (None, seen.content.get("application"))):
        return None
    return seen.result


def read_run(root: Folder, run: str) -> RunSnapshot | None:
    """See a run; None where there is none of this id."""
    # Published while it was looked for, it would be in neither place
    return _read_run(root, run) or _read_run(root, run)


def find_run(url: str) -> RunSnapshot:
    """See the run of a URL, output.path/RUN or output.path/latest.

    Raises:
        NotFound: there is none. The message has the names of those there are.
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
        raise NotFound(f"{final}: removed meanwhile")
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
    """Who works on a run, and how far it is; None where nobody does."""
    staged = root.join(STAGED, run)
    owner = claims.owner(staged)
    if owner is None:
        return None
    found: dict[str, Any] = {"run": run, "status": "running", **owner[1]}
    found.pop("token", None)  # who has it could pass for the run's driver
    try:
        found.update(json.loads(staged.read_text(STATUS)))
    except NotFound:  # it has ended, or it begins
        pass
    return found


def silence(content: Mapping[str, Any]) -> float:
    """Seconds since a run at work gave a sign."""
    told = content.get("updated") or content.get("since")
    return (datetime.now(UTC) - finished_at({"finished": told})).total_seconds() if told else 0.0
