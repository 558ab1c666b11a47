"""What becomes of a run when something breaks? Each row of docs/failures.md is a test that breaks it; the times are that test's.

python benchmarks/failures.py                        # all of them, anew
python benchmarks/failures.py tests/training ...     # the rows of these tests alone; the others stay as they are
SPARKTRAIN_FAILURES=notes.jsonl ./run-tests.sh && python benchmarks/failures.py --notes notes.jsonl   # of a run of the whole suite
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "failures.md"
COLUMNS = ("what", "happens", "noticed", "again")


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tests", nargs="*", help="files or folders of tests; default: all of them")
    parser.add_argument("--notes", type=Path, help="what a run of the whole suite has noted; no test is run")
    options = parser.parse_args(arguments)
    tests = options.tests
    with tempfile.TemporaryDirectory() as folder:
        notes = options.notes or Path(folder, "failures.jsonl")
        if options.notes is None:
            command = [ROOT / "run-tests.sh", "-n0", "-m", "failures", "-q", *tests]
            subprocess.run(command, check=True, env={**os.environ, "SPARKTRAIN_FAILURES": str(notes)})
        rows = each_once(map(json.loads, notes.read_text(encoding="utf-8").splitlines()))
    if tests:
        renewed = {row["what"] for row in rows}
        rows = [row for row in written(PAGE.read_text(encoding="utf-8")) if row["what"] not in renewed] + rows
    lines = [
        "# When something breaks",
        "",
        f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}. Made by `python "
        "benchmarks/failures.py`, from tests that break a real run, or the part of one that notices it; seconds from what was done. Of all "
        "rows, none is lost or trained on twice: where training goes on, the tests compare weights and history with an unbroken run's.",
        "",
        "| what is done | what happens | noticed | training again | rows lost |",
        "| --- | --- | ---: | ---: | ---: |",
    ]
    # Those that training goes on from first
    rows.sort(key=lambda row: (row["again"] is None, "goes on" not in row["happens"]))
    lines += [f"| {row['what']} | {row['happens']} | {_seconds(row['noticed'])} | {_seconds(row['again'])} | 0 |" for row in rows]
    text = "\n".join(lines) + "\n"
    print(text)
    PAGE.write_text(text, encoding="utf-8")


def each_once(rows: Iterable[dict]) -> list[dict]:
    """One row for what several tests show, the slowest."""
    found: dict[str, dict] = {}
    for row in rows:
        known = found.setdefault(row["what"], row)
        if (row["noticed"] or 0) > (known["noticed"] or 0):
            found[row["what"]] = row
    return list(found.values())


def written(page: str) -> list[dict]:
    """The rows that a page has."""
    rows = []
    for line in page.splitlines()[6:]:
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        row = dict(zip(COLUMNS, cells))
        rows.append(
            {
                **row,
                "noticed": float(row["noticed"]) if row["noticed"] else None,
                "again": float(row["again"]) if row["again"] else None,
            }
        )
    return rows


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
