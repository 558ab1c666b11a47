"""The runs under an output folder, as an operator sees them: the finished ones, and those that are at work."""

from __future__ import annotations

import json
from typing import Any, Mapping

from rich.table import Table
from rich.text import Text

from sparktrain.driver.output import RUNNING, STAGED
from sparktrain.driver.progress import end_table
from sparktrain.storage import Folder, NotFound
from sparktrain.storage.runs import summaries


def listed(folder: Folder, most: int) -> list[dict[str, Any]]:
    """What is at an output folder: runs at work first, then finished ones, the last finished first.

    Args:
        folder: what `output.path` names; it need not exist.
        most: how many finished runs, at most.

    Returns:
        Of a finished run its summary.json; of one at work (or killed at it) `run`, `status: running` and who runs it:
        `application`, `user`, `host`, `pid`, `since`.
    """
    working = folder.join(STAGED)
    found = []
    try:
        names = working.list()
    except NotFound:
        names = []
    for run in names:
        try:
            found.append({"run": run, "status": "running", **json.loads(working.read_text(f"{run}/{RUNNING}"))})
        except NotFound:
            continue   # it has ended meanwhile
    return found + list(summaries(folder).values())[:most]


def table(runs: list[dict[str, Any]], url: str) -> Table:
    """A line for each of `listed`."""
    shown = Table(title=f"runs at {url}", title_justify="left")
    for name in ("run", "status", "finished or since", "engine", "workers", "rows", "epochs", "seconds", "metrics"):
        shown.add_column(name, overflow="fold")
    for run in runs:
        if run["status"] == "running":
            who = f"{run.get('user')} on {run.get('host')}, {run.get('application')}"
            shown.add_row(Text(run["run"]), "running", str(run.get("since")), *[""] * 5, Text(who))
            continue
        metrics = " ".join(f"{name} {value:.4f}" for name, value in run["metrics"].items())
        shown.add_row(Text(run["run"]), run["status"], run["finished"], run["engine"], str(run["workers"]),
                      f"{run['rows']:,}", str(run["epochs"]), f"{run['wall']:.0f}", Text(metrics))
    return shown


def details(folder: Folder) -> tuple[Table, dict[str, Any]]:
    """A finished run's table, with where its model comes from, and all that is known of it.

    Args:
        folder: the run's own.

    Returns:
        The table, and {"summary": …, "lineage": …}.
    """
    summary = json.loads(folder.read_text("summary.json"))
    origin = json.loads(folder.read_text("lineage.json"))
    shown = end_table(summary, folder.url)
    for name, value in _told(origin).items():
        shown.add_row(name, Text(value))
    return shown, {"summary": summary, "lineage": origin}


def _told(origin: Mapping[str, Any]) -> dict[str, str]:
    files = origin["inputs"]
    told = {
        "input": f"{len(files):,} files, {sum(file['length'] for file in files):,} bytes",
        "seed": str(origin["seed"]),
        "user": f"{origin['user']}, application {origin['application']}",
        "versions": ", ".join(f"{name} {version}" for name, version in origin["versions"].items()),
    }
    if origin.get("prepared"):   # runs of earlier versions don't say
        told["prepared at"] = f"{origin['prepared']['url']}, application {origin['prepared']['application']}"
    if origin["parent"]:
        told["goes on from"] = origin["parent"]
    if origin["classes_after_sampling"]:
        told["classes"] = ", ".join(f"{name}: {rows:,}" for name, rows in origin["classes_after_sampling"].items())
    return told
