"""Lists the runs under an output folder: those at work, the finished ones, those that failed."""

from __future__ import annotations

from typing import Any

from sparktrain.runs import failures
from sparktrain.runs.finished import finished_at, newest
from sparktrain.runs.paths import STAGED
from sparktrain.runs.snapshot import at_work
from sparktrain.storage import Folder, NotFound


def listed(folder: Folder, most: int) -> list[dict[str, Any]]:
    """What is at an output folder: runs at work first, then those that have ended, the last first.

    Args:
        folder: what `output.path` names; it need not exist.
        most: how many of those that have ended, at most.

    Returns:
        Of a finished run its summary.json; of one that failed, was stopped or refused the JSON line's content and when
        it `finished`; of one at work (or killed at it) `run`, `status: running`, who runs it (`application`, `user`,
        `host`, `pid`, `since`) and its status.json.
    """
    try:
        names = folder.join(STAGED).list()
    except NotFound:
        names = []
    working = [run for name in names if (run := at_work(folder, name)) is not None]
    done = newest(folder, most)
    without = [{key: value for key, value in record.items() if key != "traceback"} for record in failures.newest(folder, most)]
    return working + sorted([*done, *without], key=finished_at, reverse=True)[:most]
