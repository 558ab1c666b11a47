"""What becomes of a run when something breaks? Each row of docs/failures.md is a test that breaks it; the times are that test's.

    python benchmarks/failures.py
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Iterable

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        notes = Path(folder, "failures.jsonl")
        command = [ROOT / "run-tests.sh", "-n0", "-m", "failures", "-q"]
        subprocess.run(command, check=True, env={**os.environ, "SPARKTRAIN_FAILURES": str(notes)})
        rows = _each_once(map(json.loads, notes.read_text(encoding="utf-8").splitlines()))
    lines = [
        "# When something breaks", "",
        f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}. Made by `python "
        "benchmarks/failures.py`, from tests that break a real run, or the part of one that notices it; seconds from what was done. Of all rows, none is lost or "
        "trained on twice: where training goes on, the tests compare weights and history with an unbroken run's.", "",
        "| what is done | what happens | noticed | training again | rows lost |", "| --- | --- | ---: | ---: | ---: |",
    ]
    # Those that training goes on from first
    rows.sort(key=lambda row: (row["again"] is None, "goes on" not in row["happens"]))
    lines += [f"| {row['what']} | {row['happens']} | {_seconds(row['noticed'])} | {_seconds(row['again'])} | 0 |" for row in rows]
    text = "\n".join(lines) + "\n"
    print(text)
    (ROOT / "docs" / "failures.md").write_text(text, encoding="utf-8")


def _each_once(rows: Iterable[dict]) -> list[dict]:
    """One row for what several tests show, the slowest."""
    found: dict[str, dict] = {}
    for row in rows:
        known = found.setdefault(row["what"], row)
        if (row["noticed"] or 0) > (known["noticed"] or 0):
            found[row["what"]] = row
    return list(found.values())


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


if __name__ == "__main__":
    sys.exit(main())
