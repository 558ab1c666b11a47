"""How runs ended that left no model: a small record of each, and its log, for 30 days.

They lie in a folder of their own, `_ended/RUN` under output.path: the folder that a run was made in is gone as a whole,
also what a killed writer left in it, and the run id is free at once.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any, Mapping

from sparktrain.storage import Folder, NotFound
from sparktrain.storage.runs import finished_at, record_at

ENDED = "_ended"
LOG = "run.log"
_RECORD = "end.json"   # written last: complete is what has it
_KEPT = timedelta(days=30)


def write(root: Folder, run: str, record: Mapping[str, Any], log: str) -> None:
    """Keep how a run ended.

    Args:
        root: what output.path names.
        record: the JSON line's content, and at least when it `finished`.
    """
    folder = root.join(ENDED, run)
    folder.write_text(LOG, log)
    folder.write_text(_RECORD, json.dumps(record, indent=2, default=str) + "\n")


def read(root: Folder, run: str) -> dict[str, Any] | None:
    """The record of a run; None where there is none."""
    return record_at(root, f"{ENDED}/{run}/{_RECORD}")


def names(root: Folder) -> list[str]:
    """The runs that have a record, or are about to."""
    try:
        return root.join(ENDED).list()
    except NotFound:
        return []


def forget(root: Folder, run: str) -> None:
    """Remove a run's record and log, if there are any."""
    root.remove(f"{ENDED}/{run}", recursive=True)


def forget_old(root: Folder, at_work: str) -> None:
    """Remove the records of runs that ended more than 30 days ago.

    Args:
        at_work: the folder under `root` that has the runs that are at work: their records may just be written.
    """
    for run in names(root):
        record = read(root, run)
        if record is None:
            old = not root.exists(f"{at_work}/{run}")   # its driver was killed while it wrote it
        else:
            old = datetime.now(timezone.utc) - finished_at(record) > _KEPT
        if old:
            forget(root, run)
