"""Records of the runs that ended without a model: how each ended, and its log, kept for 30 days.

They are in `_ended/RUN` under output.path. A checkpoint or a trained model that the run wrote stays just as long in the
folder that the run was made in.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sparktrain.runs import finished
from sparktrain.runs.finished import finished_at, record_at
from sparktrain.runs.records.run import End
from sparktrain.storage import Folder, NotFound

ENDED = "_ended"
LOG = "run.log"
_RECORD = "end.json"  # written last: a folder that has it is complete
_KEPT = timedelta(days=30)


def write(root: Folder, run: str, record: End, log: str) -> None:
    """Write the record of how a run ended, and its log.

    Args:
        root: the folder that output.path names.
    """
    folder = root.join(ENDED, run)
    folder.write_text(LOG, log)
    record.write(folder, _RECORD)


def read(root: Folder, run: str) -> dict[str, Any] | None:
    """Return the record of a run; None if there is none."""
    return record_at(root, f"{ENDED}/{run}/{_RECORD}")


def names(root: Folder) -> list[str]:
    """Return the ids of the runs that have a record, or for which one is being written."""
    try:
        return root.join(ENDED).list()
    except NotFound:
        return []


def newest(root: Folder, most: int) -> list[dict[str, Any]]:
    """Return the records of at most `most` runs, those that ended last first."""
    return finished.newest(root.join(ENDED), most, _RECORD)


def forget(root: Folder, run: str) -> None:
    """Remove a run's record and log, if they exist."""
    root.remove(f"{ENDED}/{run}", recursive=True)


def forget_old(root: Folder, staged: str) -> None:
    """Remove the records, checkpoints and models of runs that ended without publishing a model more than 30 days ago.

    Only records whose folder is old are read; on a store without modification times all are.

    Args:
        staged: the folder under `root` in which runs are made. A folder that a killed driver left there is removed, too: a
            live driver writes into its folder every minute.
    """
    oldest = datetime.now(UTC) - _KEPT
    for run, time in _modified(root.join(staged)).items():
        if time < oldest.timestamp():
            root.remove(f"{staged}/{run}", recursive=True)
    times = _modified(root.join(ENDED))
    for run in names(root):
        if times.get(run, 0.0) >= oldest.timestamp():
            continue
        record = read(root, run)
        if record is not None and finished_at(record) > oldest:
            continue
        # With neither a record nor a time, the record may be just being written
        if record is not None or not root.exists(f"{staged}/{run}"):
            root.remove(f"{staged}/{run}", recursive=True)
            forget(root, run)


def _modified(folder: Folder) -> dict[str, float]:
    try:
        return folder.modified()
    except NotFound:
        return {}
