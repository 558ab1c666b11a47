"""Reports the findings of the checks: as a table for a person, and as JSON for an issue report."""

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
# In a URL, the part before the host may be a user and a password, the part after a `?` a token
_CREDENTIALS = re.compile(r"([a-zA-Z][\w+.-]*://)[^\s'\"]*@")
_QUERY = re.compile(r"([a-zA-Z][\w+.-]*://[^\s'\"?]*)\?[^\s'\"]*")
_MOST_LINES = 12  # lines of a reason in the table; the JSON has all of them


@dataclass(frozen=True)
class Finding:
    """The result of one check: a row of the table.

    Attributes:
        check: the check's name.
        found: what the check found, with numbers.
        verdict: `ok`, `warning` (training works, but not at its best, or the check was skipped) or `bad` (training would fail).
        advice: what to change; empty if there is nothing to change.
    """

    check: str
    found: str
    verdict: Verdict = "ok"
    advice: str = ""


def redacted(value: Any) -> Any:
    """Return a copy of a value for JSON: without credentials in its URLs, and with NaN and infinities as text.

    Lists and dicts are searched, too.
    """
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, str):
        return _QUERY.sub(r"\1?***", _CREDENTIALS.sub(r"\1***@", value))
    if isinstance(value, Mapping):
        return {redacted(key): redacted(content) for key, content in value.items()}
    return [redacted(item) for item in value] if isinstance(value, (list, tuple)) else value


def worst(findings: Sequence[Finding]) -> Verdict:
    """Return the worst verdict of all findings; `ok` if there are none."""
    verdicts = [finding.verdict for finding in findings]
    return "bad" if "bad" in verdicts else "warning" if "warning" in verdicts else "ok"


def exit_status(findings: Sequence[Finding]) -> int:
    """Return the exit status for a program's findings: 1 if one of them is `bad`, else 0."""
    return int(worst(findings) == "bad")


def table(findings: Sequence[Finding], title: str) -> Table:
    """Return a table for the console, with a row for each finding."""
    shown = Table(title=title, title_justify="left", show_lines=True)
    for column in ("checked", "found", "", "what to change"):
        shown.add_column(column, overflow="fold")
    for finding in redacted([asdict(finding) for finding in findings]):
        verdict = Text(finding["verdict"], style=_STYLE[finding["verdict"]])
        shown.add_row(Text(finding["check"]), Text(_short(finding["found"])), verdict, Text(finding["advice"]))
    return shown


def report(findings: Sequence[Finding], facts: Mapping[str, Any]) -> str:
    """Return the findings and the facts that they are based on as JSON text, without credentials."""
    content = {"verdict": worst(findings), "time": now(), "findings": [asdict(finding) for finding in findings], "facts": facts}
    return json.dumps(redacted(content), indent=1, default=str)


def leave(findings: Sequence[Finding], facts: Mapping[str, Any], path: str | None) -> str:
    """Write the JSON report to a file, and return the text for standard output.

    Args:
        path: the report's file; None to have the report itself on standard output.

    Returns:
        The report if there is no file or it can't be written; else the worst verdict and the file's path.
    """
    text = report(findings, facts)
    if path is None:
        return text
    try:
        Path(path).write_text(text + "\n")
    except OSError as error:
        tell(f"--json {path}: the report can't be written there ({error}), so it is printed to standard output")
        return text
    return f"{worst(findings)}; the report is in {path}"


def _short(text: str) -> str:
    """Shorten a text of many lines to its first and last lines, as the end of a traceback says what happened."""
    lines = text.splitlines()
    if len(lines) <= _MOST_LINES:
        return text
    return "\n".join([lines[0], f"… {len(lines) - _MOST_LINES} more lines are in the JSON report …", *lines[1 - _MOST_LINES :]])
