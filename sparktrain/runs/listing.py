"""Lists the runs under an output folder: running, finished and failed ones."""

from __future__ import annotations

from typing import Any

from sparktrain.runs import failures
from sparktrain.runs.finished import finished_at, newest
from sparktrain.runs.paths import STAGED
from sparktrain.runs.snapshot import at_work
from sparktrain.storage import Folder, NotFound


def listed(folder: Folder, most: int) -> list[dict[str, Any]]:
    """Return a record of each run under an output folder: running ones first, then ended ones, the last ended first.

    Args:
        folder: the folder that `output.path` names; it need not exist.
        most: how many ended runs to return at most.

    Returns:
        For a finished run its summary.json; for one that failed, was stopped or refused, the JSON line's content and
        `finished`; for a running one (or one killed without notice) `run`, `status: running`, who runs it (`application`,
        `user`, `host`, `pid`, `since`) and its status.json.
    """
    try:
        names = folder.join(STAGED).list()
    except NotFound:
        names = []
    working = [run for name in names if (run := at_work(folder, name)) is not None]
    done = newest(folder, most)
    without = [{key: value for key, value in record.items() if key != "traceback"} for record in failures.newest(folder, most)]
    return working + sorted([*done, *without], key=finished_at, reverse=True)[:most]
