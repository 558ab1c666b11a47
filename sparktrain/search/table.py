"""The trials of a search as a table: for the terminal, as CSV and as Markdown."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import Any, Literal

from rich.table import Table
from rich.text import Text

from sparktrain.display.figures import figure
from sparktrain.runs.records.search import TrialRecord
from sparktrain.search.trials import best, is_number, sign

_REASON = 120  # characters of a reason


def ranked(trials: Sequence[TrialRecord], mode: Literal["min", "max"]) -> list[TrialRecord]:
    """Return the trials, the best first: finished ones, then those stopped early, then those without a value."""
    order = {"finished": 0, "stopped": 1}

    def place(trial: TrialRecord) -> tuple[int, float, int]:
        known = trial.state in order and is_number(trial.value)
        return order[trial.state] if known else 2, sign(mode) * (trial.value or 0.0) if known else 0.0, trial.number

    return sorted(trials, key=place)


def names(trials: Sequence[TrialRecord]) -> dict[str, str]:
    """Return a short name for each key that is varied: its last part, or all of it where two have the same last part."""
    keys = list(dict.fromkeys(key for trial in trials for key in trial.parameters))
    last = [key.rpartition(".")[2] for key in keys]
    return {key: short if last.count(short) == 1 else key for key, short in zip(keys, last, strict=True)}


def shown(value: Any) -> str:
    """Format a value of a parameter."""
    return f"{value:.4g}" if isinstance(value, float) else value if isinstance(value, str) else json.dumps(value)


def _rows(trials: Sequence[TrialRecord], metric: str, mode: Literal["min", "max"]) -> tuple[list[str], list[list[str]]]:
    keys = names(trials)
    head = ["trial", "state", metric, *keys.values(), "epochs", "seconds", "reason"]
    rows = []
    for trial in ranked(trials, mode):
        reason = (trial.reason or "").strip().partition("\n")[0]
        rows.append(
            [
                str(trial.number),
                trial.state,
                figure(trial.value) if trial.value is not None else "",
                *(shown(trial.parameters[key]) if key in trial.parameters else "" for key in keys),
                str(trial.epochs or ""),
                f"{trial.seconds:.1f}",
                reason if len(reason) <= _REASON else f"{reason[:_REASON]}…",
            ]
        )
    return head, rows


def rich_table(trials: Sequence[TrialRecord], metric: str, mode: Literal["min", "max"]) -> Table:
    """Return the table for a terminal, the best trial first."""
    head, rows = _rows(trials, metric, mode)
    table = Table(title="trials", title_justify="left")
    for name in head:
        table.add_column(Text(name), overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def markdown(trials: Sequence[TrialRecord], metric: str, mode: Literal["min", "max"]) -> str:
    """Return the table as Markdown, the best trial first."""
    head, rows = _rows(trials, metric, mode)
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines) + "\n"


def table_csv(trials: Sequence[TrialRecord], metric: str, mode: Literal["min", "max"]) -> str:
    """Return the trials as CSV, in the order of their numbers, with whole values and reasons, and whether each is the best."""
    keys = list(names(trials))
    leader = best(trials, mode)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["trial", "state", "best", metric, *keys, "epochs", "seconds", "run", "reason"])
    for trial in trials:
        values = [trial.parameters.get(key, "") for key in keys]
        plain = [value if isinstance(value, str | int | float) else json.dumps(value) for value in values]
        value = "" if trial.value is None else trial.value
        more = [trial.epochs, trial.seconds, trial.run, trial.reason or ""]
        writer.writerow([trial.number, trial.state, int(trial is leader), value, *plain, *more])
    return text.getvalue()
