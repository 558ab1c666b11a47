"""Makes the tables of runs, of prepared rows and of a few rows with their values."""

from __future__ import annotations

import json
import reprlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from sparktrain.display.figures import counted, figure, place
from sparktrain.runs.finished import finished_at
from sparktrain.runs.snapshot import SILENT, RunSnapshot, silence

_REASON = 200  # characters of a reason in a list
_CELL = 40  # characters of a text in a table of rows
_WIDE = 150  # characters that a run's line takes, with room for its metrics or reason


def table(runs: list[dict[str, Any]], url: str, width: int = _WIDE) -> Table | Group:
    """Return a table with a line for each run of `listed`, or with a few lines each on a console under 150 characters.

    Args:
        runs: the records from `listed`.
        url: the output folder's URL, for the title.
        width: the console's width in characters.
    """
    if width < _WIDE:
        return Group(Text(f"runs at {url}"), *(each for run in runs for each in _lines(run)))
    shown = Table(title=f"runs at {url}", title_justify="left")
    for name in ("run", "status", "ended or since", "engine", "workers", "rows", "epochs", "seconds"):
        shown.add_column(name, no_wrap=True)
    shown.add_column("how it goes or went", overflow="fold")
    for run in runs:
        shown.add_row(
            Text(run["run"]),
            run["status"],
            _time(run),
            run.get("engine"),
            _number(run.get("workers")),
            _number(run.get("rows")),
            _number(run.get("epochs")),
            _number(_seconds(run)),
            Text(_how(run)),
        )
    return shown


def _lines(run: Mapping[str, Any]) -> Iterator[RenderableType]:
    what = [
        run.get("engine"),
        *(counted(run[name], name.removesuffix("s")) for name in ("workers", "rows", "epochs") if run.get(name)),
    ]
    if _seconds(run):
        what.append(f"{_seconds(run):,.0f} s")
    yield Text.assemble((run["run"], "bold"), f"  {run['status']}  {_time(run)}")
    for text in (", ".join(filter(None, what)), _how(run)):
        if text:
            yield Padding(Text(text), (0, 0, 0, 4))


def _time(run: Mapping[str, Any]) -> str:
    """Return when a run ended, or when a running one started; UTC."""
    time = run.get("since") if run["status"] == "running" else run["finished"]
    return finished_at({"finished": time}).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S") if time else ""


def _seconds(run: Mapping[str, Any]) -> float | None:
    return run.get("wall", run.get("seconds"))  # in a summary, `seconds` has each phase


def _how(run: Mapping[str, Any]) -> str:
    if run["status"] == "running":
        return f"{_course(run)} ({run.get('user')} on {run.get('host')}, {run.get('application')})"
    return _line(run["reason"]) if "reason" in run else _metrics(run["metrics"])


def details(seen: RunSnapshot) -> tuple[Table, dict[str, Any]]:
    """Return a table on a run, and its records.

    Returns:
        The table, and {"summary": …, "lineage": …} for a finished run, {"status": …} for a running one, {"end": …} for
        one that failed.
    """
    if seen.state == "finished":
        return _finished(seen)
    shown = Table(show_header=False, title=f"run {seen.run}", title_justify="left")
    shown.add_column()
    shown.add_column(overflow="fold")
    content = seen.content
    fields = {"status": content["status"], "reason": content.get("reason"), "goes": _course(content)}
    if seen.state == "ended":
        del fields["goes"]
    else:
        fields["metrics of the last epoch"] = _metrics(content.get("metrics", {}))
    for name in ("engine", "workers", "rows", "epochs", "seconds", "since", "finished", "user", "host", "application"):
        fields[name] = content.get(name)
    for name, value in {**fields, "path": seen.folder.url, "traceback": content.get("traceback")}.items():
        if value not in (None, ""):
            shown.add_row(name, Text(_number(value) if isinstance(value, (int, float)) else value))
    return shown, {"status" if seen.state == "running" else "end": content}


def _finished(seen: RunSnapshot) -> tuple[Table, dict[str, Any]]:
    shown = end_table(seen.content, seen.folder.url)
    if seen.content.get("folds"):  # each fold's run has a lineage of its own
        return shown, {"summary": seen.content}
    origin = json.loads(seen.folder.read_text("lineage.json"))
    for name, value in _origin_fields(origin).items():
        shown.add_row(name, Text(value))
    return shown, {"summary": seen.content, "lineage": origin}


def _course(status: Mapping[str, Any]) -> str:
    """Return a phrase for the progress of a running run."""
    phrases = [status.get("phase", "")]
    if "epoch" in status:
        phrases += place(*(status[name] for name in ("epoch", "of_epochs", "step", "of_steps", "rows_per_second", "loss")))
    if silence(status) > SILENT:
        phrases.append(f"no sign for {silence(status) / 60:,.0f} min")
    return " · ".join(filter(None, phrases))


def _metrics(metrics: Mapping[str, float | None]) -> str:
    return " ".join(f"{name} {figure(value)}" for name, value in metrics.items() if value is not None)


def _line(text: str) -> str:
    """Return a text's first line, at most 200 characters of it."""
    line = text.strip().partition("\n")[0]
    return line if len(line) <= _REASON else line[:_REASON] + "…"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"


def _origin_fields(origin: Mapping[str, Any]) -> dict[str, str]:
    files = origin["inputs"]
    fields = {
        "input": f"{len(files):,} files, {sum(file['length'] for file in files):,} bytes",
        "seed": str(origin["seed"]),
        "user": f"{origin['user']}, application {origin['application']}",
        "versions": ", ".join(f"{name} {version}" for name, version in origin["versions"].items()),
    }
    if origin.get("prepared"):  # not recorded by earlier versions
        fields["prepared at"] = f"{origin['prepared']['url']}, application {origin['prepared']['application']}"
    if origin["parent"]:
        fields["goes on from"] = origin["parent"]
    if origin["classes_after_sampling"]:
        fields["classes"] = ", ".join(f"{name}: {rows:,}" for name, rows in origin["classes_after_sampling"].items())
    return fields


def show_end(console: Console, summary: Mapping[str, Any], output: str) -> None:
    """Print the table at a run's end, and the model's path on a line that can be copied."""
    console.print(end_table(summary))
    if summary.get("folds"):
        console.print(
            f"The {summary['folds']} models are at {output}/fold-0/model.keras and so on",
            soft_wrap=True,
            markup=False,
            highlight=False,
        )
        return
    console.print(f"The model is at {output}/model.keras", soft_wrap=True, markup=False, highlight=False)


def end_table(summary: Mapping[str, Any], output: str | None = None) -> Table:
    """Return the table at a run's end, from its summary.json; with the run's URL if `output` is given."""
    folds, deviations = summary.get("folds"), summary.get("deviations") or {}
    title = f"cross-validation {summary['run']}: the means of {folds} models" if folds else f"run {summary['run']}"
    table = Table(show_header=False, title=title, title_justify="left")
    table.add_column()
    table.add_column(overflow="fold")  # so that a path can be copied
    table.add_row("rows", f"{summary['rows']:,} training, {summary['validation_rows']:,} validation")
    table.add_row(
        "training", f"{summary['rows_per_second']:,.0f} rows/s by {counted(summary['workers'], 'worker')}, {summary['engine']}"
    )
    for phase, seconds in summary["seconds"].items():
        table.add_row(f"  {phase}", f"{seconds:.1f} s")
    if not folds:
        table.add_row("held back by", str(summary["held_back_by"]))
    for name, value in summary["metrics"].items():
        spread = deviations.get(name)
        table.add_row(Text(name), figure(value) + ("" if spread is None else f" ± {figure(spread)}"))
    for note in summary["notes"]:
        table.add_row("note", Text(note))  # rich would take brackets for markup
    if output is not None:
        table.add_row("path", Text(output))
    return table


_SHOWN_CLASSES = 20


def add_classes(table: Table, classes: Mapping[Any, int]) -> None:
    """Add a table row for each class with its training rows; one row for all if there are over 20 classes."""
    if len(classes) > _SHOWN_CLASSES:
        table.add_row(
            "label", f"{len(classes):,} values, each in {min(classes.values()):,} to {max(classes.values()):,} training rows"
        )
        return
    for label, count in classes.items():
        table.add_row(Text(f"class {label}"), f"{count:,} training rows")


def prepared_table(summary: dict[str, Any], classes: dict[Any, int] | None, url: str) -> Table:
    """Return the table of a prepared frame, from its summary.json and the training rows of each class."""
    table = Table(show_header=False, title="prepared rows", title_justify="left")
    table.add_column()
    table.add_column(overflow="fold")  # so that a path can be copied
    table.add_row("rows", f"{summary['rows']:,} training, {summary['validation_rows']:,} validation")
    add_classes(table, classes or {})
    table.add_row("files", f"{summary['files']:,}, {summary['bytes'] / 1e6:,.1f} MB")
    table.add_row("path", Text(url))
    return table


def rows_table(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> Table:
    """Return a table of a few rows, with a column for each name; long values are cut."""
    shown = Table()
    for name in names:
        shown.add_column(Text(name))
    for row in rows:
        shown.add_row(*(Text(reprlib.repr(value) if not isinstance(value, str) else value[:_CELL]) for value in row))
    return shown
