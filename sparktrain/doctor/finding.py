"""The findings of the checks, as a table for a person and as JSON for an issue report."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from rich.table import Table
from rich.text import Text

from sparktrain.display.result_line import tell
from sparktrain.runs.json_text import now

Verdict = Literal["ok", "warning", "bad"]
_STYLE = {"ok": "green", "warning": "yellow", "bad": "bold red"}
# What stands before a host may be a user and a password, what stands behind a `?` a token.
_CREDENTIALS = re.compile(r"([a-zA-Z][\w+.-]*://)[^\s'\"]*@")
_QUERY = re.compile(r"([a-zA-Z][\w+.-]*://[^\s'\"?]*)\?[^\s'\"]*")
_MOST_LINES = 12  # of a reason in the table; the JSON has them all


@dataclass(frozen=True)
class Finding:
    """What one check found: a line of the table.

    Attributes:
        check: what was looked at.
        found: what was found, with numbers.
        advice: what to change; empty if there is nothing to change.
    """

    check: str
    found: str
    verdict: Verdict = "ok"
    advice: str = ""


def redacted(value: Any) -> Any:
    """Return a value without credentials in its URLs, also in lists and dicts; numbers that JSON lacks become text."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, str):
        return _QUERY.sub(r"\1?***", _CREDENTIALS.sub(r"\1***@", value))
    if isinstance(value, Mapping):
        return {redacted(key): redacted(each) for key, each in value.items()}
    return [redacted(each) for each in value] if isinstance(value, (list, tuple)) else value


def worst(findings: Sequence[Finding]) -> Verdict:
    """Return the worst verdict of all findings."""
    verdicts = [finding.verdict for finding in findings]
    return "bad" if "bad" in verdicts else "warning" if "warning" in verdicts else "ok"


def exit_status(findings: Sequence[Finding]) -> int:
    """Return the exit status: 0 if nothing is bad, else 1."""
    return int(worst(findings) == "bad")


def table(findings: Sequence[Finding], title: str) -> Table:
    """Return the table, with a line for each finding."""
    shown = Table(title=title, title_justify="left", show_lines=True)
    for column in ("checked", "found", "", "what to change"):
        shown.add_column(column, overflow="fold")
    for finding in redacted([asdict(finding) for finding in findings]):
        verdict = Text(finding["verdict"], style=_STYLE[finding["verdict"]])
        shown.add_row(Text(finding["check"]), Text(_short(finding["found"])), verdict, Text(finding["advice"]))
    return shown


def report(findings: Sequence[Finding], facts: Mapping[str, Any]) -> str:
    """Return what an issue report needs, as JSON without credentials."""
    content = {"verdict": worst(findings), "time": now(), "findings": [asdict(finding) for finding in findings], "facts": facts}
    return json.dumps(redacted(content), indent=1, default=str)


def leave(findings: Sequence[Finding], facts: Mapping[str, Any], path: str | None) -> str:
    """Write the report to a file, or return it for standard output.

    Args:
        path: a file; None for standard output.

    Returns:
        What is to be written to standard output.
    """
    text = report(findings, facts)
    if path is None:
        return text
    try:
        Path(path).write_text(text + "\n")
    except OSError as error:
        tell(f"--json {path}: {error}")
        return text
    return f"{worst(findings)}; the report is in {path}"


def _short(text: str) -> str:
    """Return a text's first and last lines if it has many: a traceback says what happened at its end."""
    lines = text.splitlines()
    if len(lines) <= _MOST_LINES:
        return text
    return "\n".join([lines[0], f"… {len(lines) - _MOST_LINES} lines are in the JSON …", *lines[1 - _MOST_LINES :]])
