"""A run as files on the storage: its folder and claim, its records, its log, and the listing of runs. Needs no Spark."""

from __future__ import annotations

from typing import Any

from sparktrain.exports import load_export

_WHERE = {
    "End": "runs.records.run",
    "Line": "runs.records.run",
    "Lineage": "runs.records.origin",
    "Result": "runs.result",
    "RunSnapshot": "runs.snapshot",
    "Signature": "runs.records.signature",
    "Status": "runs.records.run",
    "Summary": "runs.records.run",
    "exit_status": "runs.result",
    "final_result": "runs.snapshot",
    "find_run": "runs.snapshot",
    "latest": "runs.finished",
    "listed": "runs.listing",
    "read_run": "runs.snapshot",
    "resolve": "runs.finished",
}
__all__ = [
    "End",
    "Line",
    "Lineage",
    "Result",
    "RunSnapshot",
    "Signature",
    "Status",
    "Summary",
    "exit_status",
    "final_result",
    "find_run",
    "latest",
    "listed",
    "read_run",
    "resolve",
]


def __getattr__(name: str) -> Any:
    return load_export(__name__, _WHERE, name)
