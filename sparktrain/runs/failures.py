"""How runs ended that left no model: a small record of each, and its log, for 30 days.

They lie in a folder of their own, `_ended/RUN` under output.path. What a run had come to, a checkpoint or a trained model,
stays for as long in the folder that the run was made in.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sparktrain.runs import finished
from sparktrain.runs.finished import finished_at, record_at
from sparktrain.runs.records import End
from sparktrain.storage import Folder, NotFound

ENDED = "_ended"
LOG = "run.log"
_RECORD = "end.json"  # written last: complete is what has it
_KEPT = timedelta(days=30)


def write(root: Folder, run: str, record: End, log: str) -> None:
    """Keep how a run ended.

    Args:
        root: what output.path names.
    """
    folder = root.join(ENDED, run)
    folder.write_text(LOG, log)
    record.write(folder, _RECORD)


def read(root: Folder, run: str) -> dict[str, Any] | None:
    """The record of a run; None where there is none."""
    return record_at(root, f"{ENDED}/{run}/{_RECORD}")


def names(root: Folder) -> list[str]:
    """The runs that have a record, or are about to."""
    try:
        return root.join(ENDED).list()
    except NotFound:
        return []


def newest(root: Folder, most: int) -> list[dict[str, Any]]:
    """The records of the runs that ended last, the last first."""
    return finished.newest(root.join(ENDED), most, _RECORD)


def forget(root: Folder, run: str) -> None:
    """Remove a run's record and log, if there are any."""
    root.remove(f"{ENDED}/{run}", recursive=True)


def forget_old(root: Folder, staged: str) -> None:
    """Remove what runs that ended without a model more than 30 days ago have left: their records, and what they had come to.

    Only what is old is looked at, by the time of its folder; a store that has no times is read through.

    Args:
        staged: the folder under `root` in which runs are made. One that a killed driver has left there goes, too: a living
            driver writes into it every minute.
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
        if record is not None or not root.exists(
            f"{staged}/{run}"
        ):  # else it may just be written, where no time says that it is not
            root.remove(f"{staged}/{run}", recursive=True)
            forget(root, run)


def _modified(folder: Folder) -> dict[str, float]:
    try:
        return folder.modified()
    except NotFound:
        return {}
