"""The files on a search in its best run: the trials as tables, the pictures, the log."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from sparktrain.config import Search
from sparktrain.runs.records.search import TrialRecord
from sparktrain.search.pictures import pictures
from sparktrain.search.table import markdown, table_csv

RESULTS = "search"  # the folder in the best run
RECORDS = "trials.json"


def result_files(
    trials: Sequence[TrialRecord], search: Search, title: str, log: str, note: Callable[[str], object]
) -> dict[str, bytes]:
    """Return the content of the files by their names.

    Args:
        trials: all trials, by their numbers.
        title: the heading of the Markdown.
        log: the search's log.
        note: called with a message if the pictures can't be drawn.
    """
    goal = search.goal
    drawn: dict[str, bytes] = {}
    try:
        drawn = pictures(trials, goal.metric, goal.mode, search.space)
    except Exception as error:  # no matplotlib, or something of its fonts or its cache folder: no reason to fail the search
        note(f"no pictures of the search were drawn: {type(error).__name__}: {error}")
    links = "".join(f"\n![{name.removesuffix('.png')}]({name})\n" for name in drawn)
    text = f"# {title}\n\n{markdown(trials, goal.metric, goal.mode)}{links}"
    records = json.dumps([trial.content() for trial in trials], indent=2, default=str) + "\n"
    files = {
        RECORDS: records,
        "trials.csv": table_csv(trials, goal.metric, goal.mode),
        "trials.md": text,
        "run.log": log,
    }
    return {**{name: content.encode() for name, content in files.items()}, **drawn}
